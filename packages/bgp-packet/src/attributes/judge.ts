import { AttributeCode, AttributeFlag, UpdateSubcode } from '../constants.ts';
import type { PacketContext } from '../context.ts';
import { PacketError, type Remedy, remedyLevels } from '../errors.ts';
import { readU16 } from '../reader.ts';
import { type Fault, fault } from './codec.ts';
import { codecByCode, unusedFlags } from './table.ts';

/**
 * What an attribute block amounts to, as bits of one number, so that it can be kept beside interned
 * bytes: it depends on the bytes and the context alone. `remedyLevel` turns it into a decision once
 * it is known whether IPv4 NLRI stand behind.
 */
export const Summary = {
	/**
	 * Level of the strongest remedy so far: 0 none, 1 attribute-discard, 2 treat-as-withdraw, 3
	 * session-reset.
	 */
	levelMask: 3,
	origin: 4,
	asPath: 8,
	nextHop: 16,
	/** NEXT_HOP is malformed, which matters only if there are IPv4 NLRI (RFC 4760 §3). */
	badNextHop: 32,
	/** MP_REACH_NLRI with at least one route. */
	reachable: 64,
	/** MP_UNREACH_NLRI is there. */
	unreach: 128,
	/** Attributes besides MP_UNREACH_NLRI are there. */
	others: 256,
	/**
	 * The bytes cannot be passed on as they are: something is to be dropped, or a bit of the flags is
	 * not as it is sent.
	 */
	rewrite: 512,
} as const;

/**
 * Where the attributes of one block are. One object serves any number of blocks; the entries are
 * valid until the next.
 */
export class AttributeScan {
	/** Bits of `Summary`. */
	summary = 0;
	/** The first fault of the strongest remedy, and the bytes it is about. */
	fault: Fault | undefined = undefined;
	faultStart = 0;
	faultEnd = 0;
	/** What is wrong with NEXT_HOP, kept apart as it counts only if there are IPv4 NLRI. */
	nextHopFault: Fault | undefined = undefined;
	nextHopStart = 0;
	nextHopEnd = 0;
	/** Attributes to go on with: well-formed, first of their code, known or optional. */
	count = 0;
	readonly codes = new Uint8Array(256);
	/** The flags as they came. */
	readonly flags = new Uint8Array(256);
	/** Offset of each attribute's header. */
	readonly starts = new Int32Array(256);
	readonly valueStarts = new Int32Array(256);
	readonly ends = new Int32Array(256);
	/** Index of MP_REACH_NLRI and MP_UNREACH_NLRI among the entries, -1 without. */
	mpReach = -1;
	mpUnreach = -1;
	/** One bit per code that occurred: 0 to 31, and the others. */
	seenLow = 0;
	readonly seenHigh = new Uint32Array(8);
	/** Is a bit of `seenHigh` set? */
	anyHigh = false;
	/** Where every problem goes as an error during a judgement that was asked for them. */
	problems: PacketError[] | undefined = undefined;
}

const noRoom = fault(
	'treat-as-withdraw',
	'bytes left over behind the attributes',
	UpdateSubcode.malformedAttributeList,
);
const overrun = fault(
	'treat-as-withdraw',
	'an attribute runs over the attribute block',
	UpdateSubcode.malformedAttributeList,
);
const mpOverrun = fault(
	'session-reset',
	'an MP attribute runs over the attribute block',
	UpdateSubcode.malformedAttributeList,
);
const mpTwice = fault('session-reset', 'an MP attribute occurs twice', UpdateSubcode.malformedAttributeList);
const twice = fault('attribute-discard', 'an attribute occurs twice', UpdateSubcode.malformedAttributeList);
const unrecognized = fault(
	'session-reset',
	'unrecognized well-known attribute',
	UpdateSubcode.unrecognizedWellKnownAttribute,
);
const flagFaults: Readonly<Record<Remedy, Fault>> = {
	'attribute-discard': fault(
		'attribute-discard',
		'Optional or Transitive bit is wrong',
		UpdateSubcode.attributeFlagsError,
	),
	'treat-as-withdraw': fault(
		'treat-as-withdraw',
		'Optional or Transitive bit is wrong',
		UpdateSubcode.attributeFlagsError,
	),
	'session-reset': fault('session-reset', 'Optional or Transitive bit is wrong', UpdateSubcode.attributeFlagsError),
};

const isMp = (code: number) => code === AttributeCode.mpReach || code === AttributeCode.mpUnreach;

/** The NOTIFICATION that a fault at `[start, end)` would be. */
export function faultError(
	{ subcode, text, remedy }: Fault,
	bytes: Uint8Array,
	start: number,
	end: number,
): PacketError {
	return new PacketError('updateMessage', subcode, text, { remedy, data: new Uint8Array(bytes.subarray(start, end)) });
}

/** Records a fault; the strongest stays, of equals the first. RFC 7606 §3 (h). */
function record(scan: AttributeScan, found: Fault, bytes: Uint8Array, start: number, end: number): void {
	const level = remedyLevels[found.remedy];
	if (level > (scan.summary & Summary.levelMask)) {
		scan.summary = (scan.summary & ~Summary.levelMask) | level;
		scan.fault = found;
		scan.faultStart = start;
		scan.faultEnd = end;
	}
	scan.summary |= Summary.rewrite;
	scan.problems?.push(faultError(found, bytes, start, end));
}

/**
 * Walks the attribute block at `[start, end)`, judges each attribute (RFC 7606 §3, §4, §7) and
 * notes where those are that count. Allocates nothing, unless asked to collect `problems`. The
 * verdict depends on bytes and context alone; what is missing is judged by `remedyLevel`.
 */
export function judgeAttributes(
	bytes: Uint8Array,
	start: number,
	end: number,
	context: PacketContext,
	scan: AttributeScan,
	problems?: PacketError[],
): number {
	scan.problems = problems;
	scan.summary = 0;
	scan.fault = undefined;
	scan.nextHopFault = undefined;
	scan.count = 0;
	scan.mpReach = -1;
	scan.mpUnreach = -1;
	scan.seenLow = 0;
	if (scan.anyHigh) {
		scan.seenHigh.fill(0);
		scan.anyHigh = false;
	}
	let offset = start;
	while (offset < end) {
		const flags = bytes[offset] ?? 0;
		// RFC 4271 §4.3: the bit is honoured for every length.
		const extended = (flags & AttributeFlag.extendedLength) !== 0;
		const valueStart = offset + (extended ? 4 : 3);
		const code = offset + 1 < end ? (bytes[offset + 1] ?? 0) : 0;
		if (valueStart > end) {
			record(scan, isMp(code) ? mpOverrun : noRoom, bytes, offset, end);
			scan.summary |= Summary.others;
			break;
		}
		const valueEnd = valueStart + (extended ? readU16(bytes, offset + 2) : (bytes[offset + 2] ?? 0));
		if (valueEnd > end) {
			// RFC 7606 §3 (j): withdrawing takes prefixes that could be read.
			record(scan, isMp(code) ? mpOverrun : overrun, bytes, offset, end);
			scan.summary |= Summary.others;
			break;
		}
		judgeOne(bytes, offset, code, flags, valueStart, valueEnd, context, scan);
		offset = valueEnd;
	}
	return scan.summary;
}

function judgeOne(
	bytes: Uint8Array,
	start: number,
	code: number,
	flags: number,
	valueStart: number,
	end: number,
	context: PacketContext,
	scan: AttributeScan,
): void {
	if (seenBefore(scan, code)) {
		// RFC 7606 §3 (g).
		record(scan, isMp(code) ? mpTwice : twice, bytes, start, end);
		return;
	}
	if (code !== AttributeCode.mpUnreach) scan.summary |= Summary.others;
	const codec = codecByCode[code];
	if (codec === undefined) {
		if ((flags & AttributeFlag.optional) === 0) record(scan, unrecognized, bytes, start, end);
		else {
			// RFC 4271 §5: passed on with the Partial bit, or not at all (`passedOn`).
			const passes = AttributeFlag.transitive | AttributeFlag.partial;
			if ((flags & passes) !== passes || (flags & unusedFlags) !== 0) scan.summary |= Summary.rewrite;
			keep(scan, code, flags, start, valueStart, end);
		}
		return;
	}
	const refused =
		context.external && codec.refusedFromExternal !== undefined
			? codec.refusedFromExternal
			: context.fourOctetAs
				? codec.refusedFromFourOctetAs
				: undefined;
	if (refused !== undefined) {
		record(scan, refused, bytes, start, end);
		return;
	}
	const badFlags = ((flags ^ codec.flags) & (AttributeFlag.optional | AttributeFlag.transitive)) !== 0;
	const badValue = codec.check(bytes, valueStart, end, context);
	switch (code) {
		case AttributeCode.origin:
			scan.summary |= Summary.origin;
			break;
		case AttributeCode.asPath:
			scan.summary |= Summary.asPath;
			break;
		case AttributeCode.nextHop: {
			scan.summary |= Summary.nextHop;
			const found = badFlags ? flagFaults['treat-as-withdraw'] : badValue;
			if (found === undefined) break;
			scan.summary |= Summary.badNextHop | Summary.rewrite;
			scan.nextHopFault = found;
			scan.nextHopStart = start;
			scan.nextHopEnd = end;
			return;
		}
	}
	if (badFlags) record(scan, flagFaults[codec.flagsRemedy], bytes, start, end);
	if (badValue !== undefined) record(scan, badValue, bytes, start, end);
	if ((flags & codec.strayFlags) !== 0 || (badValue === undefined && codec.untidy?.(bytes, valueStart, end) === true))
		scan.summary |= Summary.rewrite;
	if (!badFlags && badValue === undefined) keep(scan, code, flags, start, valueStart, end);
	// What is withdrawn instead must be known: the routes are readable unless the value asks for a
	// reset.
	else if (isMp(code) && badValue?.remedy !== 'session-reset') keep(scan, code, flags, start, valueStart, end);
	else return;
	if (code === AttributeCode.mpReach) {
		scan.mpReach = scan.count - 1;
		// AFI, SAFI, length, next hop, reserved octet, routes.
		if (valueStart + 5 + (bytes[valueStart + 3] ?? 0) < end) scan.summary |= Summary.reachable;
	} else if (code === AttributeCode.mpUnreach) {
		scan.mpUnreach = scan.count - 1;
		scan.summary |= Summary.unreach;
	}
}

function seenBefore(scan: AttributeScan, code: number): boolean {
	const bit = 1 << (code & 31);
	const word = code < 32 ? scan.seenLow : (scan.seenHigh[code >> 5] ?? 0);
	if ((word & bit) !== 0) return true;
	if (code < 32) scan.seenLow = word | bit;
	else {
		scan.seenHigh[code >> 5] = word | bit;
		scan.anyHigh = true;
	}
	return false;
}

function keep(scan: AttributeScan, code: number, flags: number, start: number, valueStart: number, end: number): void {
	const index = scan.count++;
	scan.codes[index] = code;
	scan.flags[index] = flags;
	scan.starts[index] = start;
	scan.valueStarts[index] = valueStart;
	scan.ends[index] = end;
}

/**
 * What to do with an UPDATE: 0 nothing, 1 attribute-discard, 2 treat-as-withdraw, 3 session-reset.
 * `hasNlri`: IPv4 NLRI stand behind the block.
 */
export function remedyLevel(summary: number, hasNlri: boolean): number {
	let level = summary & Summary.levelMask;
	if (level === 3) return 3;
	const reachable = hasNlri || (summary & Summary.reachable) !== 0;
	// RFC 7606 §3 (d); RFC 4760 §3: NEXT_HOP is for the NLRI field alone.
	const needed = hasNlri ? Summary.origin | Summary.asPath | Summary.nextHop : Summary.origin | Summary.asPath;
	if (reachable && (summary & needed) !== needed) level = 2;
	// RFC 7606 §7.3; without NLRI the attribute is ignored (RFC 4760 §3), which is counted.
	if ((summary & Summary.badNextHop) !== 0) level = hasNlri ? 2 : Math.max(1, level);
	// RFC 7606 §5.2: nothing that could be withdrawn was understood.
	if (!reachable && level === 2 && (summary & Summary.others) !== 0) return 3;
	return level;
}
