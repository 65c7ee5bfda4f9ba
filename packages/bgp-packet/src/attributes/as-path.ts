import { AttributeCode, AttributeFlag, asTrans, UpdateSubcode } from '../constants.ts';
import type { Reader } from '../reader.ts';
import { readU16, readU32 } from '../reader.ts';
import type { Writer } from '../writer.ts';
import { type AttributeCodec, type Fault, fault } from './codec.ts';

/** RFC 4271 §4.3 (b) and RFC 5065 §3, in the order of their values from 1. */
const segmentTypes = ['set', 'sequence', 'confed-sequence', 'confed-set'] as const;

/** One segment of an AS path. */
export interface AsSegment {
	readonly type: (typeof segmentTypes)[number];
	/** Nearest first in a sequence; 1 to 255 on the wire (longer ones are split on encoding). */
	readonly asNumbers: readonly number[];
}

/** An AS path, nearest segment first. */
export type AsPath = readonly AsSegment[];

/** Why the bytes of a path are none. */
type PathFlaw = 'type' | 'empty' | 'overrun' | 'zero' | 'confed' | undefined;

/** Walks the segments at `[start, end)`; `asBytes` is 2 or 4. Allocates nothing. */
function flawOf(bytes: Uint8Array, start: number, end: number, asBytes: 2 | 4, confedAllowed: boolean): PathFlaw {
	let offset = start;
	while (offset < end) {
		if (end - offset < 2) return 'overrun';
		const type = bytes[offset] ?? 0;
		const count = bytes[offset + 1] ?? 0;
		if (type < 1 || type > 4) return 'type';
		if (count === 0) return 'empty';
		offset += 2;
		const next = offset + count * asBytes;
		if (next > end) return 'overrun';
		if (type > 2 && !confedAllowed) return 'confed';
		// RFC 7607 §2: AS 0 is in no path.
		for (; offset < next; offset += asBytes)
			if ((asBytes === 4 ? readU32(bytes, offset) : readU16(bytes, offset)) === 0) return 'zero';
	}
	return undefined;
}

const malformed = (text: string) => fault('treat-as-withdraw', text, UpdateSubcode.malformedAsPath);
const asPathFaults: Readonly<Record<Exclude<PathFlaw, undefined>, Fault>> = {
	type: malformed('AS_PATH segment of unknown type'),
	empty: malformed('AS_PATH segment without AS numbers'),
	overrun: malformed('AS_PATH segment beyond the attribute'),
	zero: malformed('AS 0 in AS_PATH'),
	confed: malformed('confederation segment from outside the confederation'),
};

function decodeSegments(reader: Reader, asBytes: 2 | 4): AsSegment[] {
	const segments: AsSegment[] = [];
	while (reader.remaining > 0) {
		const type = segmentTypes[reader.u8() - 1] ?? 'sequence';
		const count = reader.u8();
		segments.push({
			type,
			asNumbers: Array.from({ length: count }, () => (asBytes === 4 ? reader.u32() : reader.u16())),
		});
	}
	return segments;
}

function encodeSegments(writer: Writer, path: AsPath, asBytes: 2 | 4): void {
	for (const { type, asNumbers } of path) {
		for (let from = 0; from < asNumbers.length; from += 255) {
			const part = asNumbers.slice(from, from + 255);
			writer.u8(segmentTypes.indexOf(type) + 1);
			writer.u8(part.length);
			for (const asNumber of part) {
				if (asBytes === 4) writer.u32(asNumber);
				// RFC 6793 §4.2.2.
				else writer.u16(asNumber > 0xffff ? asTrans : asNumber);
			}
		}
	}
}

/** AS_PATH. RFC 4271 §4.3 (b), RFC 5065 §5, RFC 6793 §4, RFC 7606 §7.2, RFC 7607 §2. */
export const asPath: AttributeCodec<'asPath', AsPath> = {
	name: 'asPath',
	code: AttributeCode.asPath,
	flags: AttributeFlag.transitive,
	check(bytes, start, end, { fourOctetAs, external }) {
		const flaw = flawOf(bytes, start, end, fourOctetAs ? 4 : 2, !external);
		return flaw === undefined ? undefined : asPathFaults[flaw];
	},
	decode: (reader, { fourOctetAs }) => decodeSegments(reader, fourOctetAs ? 4 : 2),
	encode: (writer, path, { fourOctetAs }) => encodeSegments(writer, path, fourOctetAs ? 4 : 2),
};

const badAs4Path = fault('attribute-discard', 'AS4_PATH is malformed');
const fromNewSpeaker = fault('attribute-discard', 'AS4_PATH from a speaker of 4-octet AS numbers');

/** AS4_PATH, merged into `asPath` on decoding and made from it on encoding. RFC 6793 §3, §6. */
export const as4Path: AttributeCodec<'as4Path', AsPath> = {
	name: 'as4Path',
	code: AttributeCode.as4Path,
	flags: AttributeFlag.optional | AttributeFlag.transitive,
	// RFC 6793 §4.1.
	refused: { sender: 'four-octet-as', fault: fromNewSpeaker },
	check: (bytes, start, end) =>
		start === end || flawOf(bytes, start, end, 4, true) !== undefined ? badAs4Path : undefined,
	decode: (reader) => decodeSegments(reader, 4).filter(({ type }) => type === 'sequence' || type === 'set'),
	encode: (writer, path) => encodeSegments(writer, path, 4),
};
