import {
	AttributeScan,
	attributesOf,
	encodeAttributes,
	faultError,
	judgeAttributes,
	type PathAttributes,
	remedyLevel,
	Summary,
} from '../attributes/index.ts';
import { AttributeCode, headerLength, UpdateSubcode } from '../constants.ts';
import type { PacketContext } from '../context.ts';
import { PacketError } from '../errors.ts';
import { familyCodec } from '../families/index.ts';
import { decodeNlri, encodeNlri, type Nlri, validateNlri } from '../nlri.ts';
import { scanUpdate, UpdateSpans } from '../update-scan.ts';
import type { Writer } from '../writer.ts';

/** Routes that come and go. RFC 4271 §4.3. */
export interface UpdateMessage {
	readonly type: 'update';
	/** IPv4 unicast. */
	readonly withdrawn: readonly Nlri[];
	readonly attributes: PathAttributes;
	/** IPv4 unicast. */
	readonly nlri: readonly Nlri[];
	/**
	 * What was wrong (RFC 7606), with remedy attribute-discard or treat-as-withdraw; the strongest
	 * decides (`strongestRemedy`). Attributes that are malformed are not among `attributes`. Ignored
	 * on encoding.
	 */
	readonly problems: readonly PacketError[];
}

/** An UPDATE of the given parts. */
export function updateMessage(parts: Partial<Omit<UpdateMessage, 'type'>>): UpdateMessage {
	return { type: 'update', withdrawn: [], attributes: {}, nlri: [], problems: [], ...parts };
}

// Nothing of these outlives a call.
const spans = new UpdateSpans();
const scan = new AttributeScan();

/**
 * The UPDATE at `[start, end)` of `bytes`, header included. @throws PacketError where only a reset
 * is left (RFC 7606 §2)
 */
export function decodeUpdate(bytes: Uint8Array, start: number, end: number, context: PacketContext): UpdateMessage {
	scanUpdate(bytes, start, end, spans);
	const addPath = context.addPath(1, 1);
	// RFC 7606 §5.3: without all prefixes nothing can be withdrawn instead.
	if (validateNlri(bytes, spans.withdrawnStart, spans.withdrawnEnd, 32, addPath) < 0)
		throw badNetworkField('Withdrawn Routes');
	if (validateNlri(bytes, spans.nlriStart, spans.nlriEnd, 32, addPath) < 0) throw badNetworkField('NLRI');
	const found: PacketError[] = [];
	judgeAttributes(bytes, spans.attributesStart, spans.attributesEnd, context, scan, found);
	const hasNlri = spans.nlriEnd > spans.nlriStart;
	const problems = [...found, ...problemsOfWhole(bytes, scan, hasNlri)];
	if (remedyLevel(scan.summary, hasNlri) === 3) throw updateError(bytes, scan, hasNlri);
	return {
		type: 'update',
		withdrawn: decodeNlri(bytes, spans.withdrawnStart, spans.withdrawnEnd, 'ipv4', addPath),
		attributes: attributesOf(bytes, scan, context),
		nlri: decodeNlri(bytes, spans.nlriStart, spans.nlriEnd, 'ipv4', addPath),
		problems,
	};
}

/** 3/10 for Withdrawn Routes or NLRI with a prefix that is too long or cut off. RFC 4271 §6.3. */
export function badNetworkField(field: string): PacketError {
	return new PacketError(
		'updateMessage',
		UpdateSubcode.invalidNetworkField,
		`${field} with a prefix that is too long or cut off`,
	);
}

const mandatory = [
	{ code: AttributeCode.origin, bit: Summary.origin, name: 'ORIGIN' },
	{ code: AttributeCode.asPath, bit: Summary.asPath, name: 'AS_PATH' },
	{ code: AttributeCode.nextHop, bit: Summary.nextHop, name: 'NEXT_HOP' },
];

/**
 * Problems that show only with the whole message: what is missing, and NEXT_HOP, which counts with
 * IPv4 NLRI alone.
 */
function problemsOfWhole(bytes: Uint8Array, scan: AttributeScan, hasNlri: boolean): PacketError[] {
	const { summary, nextHopFault, nextHopStart, nextHopEnd } = scan;
	const problems: PacketError[] = [];
	if (nextHopFault !== undefined) {
		const remedy = hasNlri ? nextHopFault.remedy : 'attribute-discard';
		problems.push(faultError({ ...nextHopFault, remedy }, bytes, nextHopStart, nextHopEnd));
	}
	if (!hasNlri && (summary & Summary.reachable) === 0) return problems;
	for (const { code, bit, name } of mandatory) {
		if ((summary & bit) !== 0 || (code === AttributeCode.nextHop && !hasNlri)) continue;
		problems.push(
			new PacketError('updateMessage', UpdateSubcode.missingWellKnownAttribute, `${name} is missing`, {
				data: Uint8Array.of(code),
				remedy: 'treat-as-withdraw',
			}),
		);
	}
	return problems;
}

/**
 * The error that an UPDATE deserves whose `remedyLevel` is above 0: the strongest, with that
 * level's remedy. For the path that need not be fast.
 */
export function updateError(bytes: Uint8Array, scan: AttributeScan, hasNlri: boolean): PacketError {
	const level = remedyLevel(scan.summary, hasNlri);
	const remedy = level === 3 ? 'session-reset' : level === 2 ? 'treat-as-withdraw' : 'attribute-discard';
	const { fault, faultStart, faultEnd, summary } = scan;
	const whole = problemsOfWhole(bytes, scan, hasNlri)[0];
	if (fault !== undefined && ((summary & Summary.levelMask) >= 2 || whole === undefined))
		return faultError({ ...fault, remedy }, bytes, faultStart, faultEnd);
	return (
		whole ?? new PacketError('updateMessage', UpdateSubcode.malformedAttributeList, 'malformed UPDATE', { remedy })
	);
}

/**
 * What treat-as-withdraw makes of an UPDATE: every route it would have announced is withdrawn. RFC
 * 7606 §2.
 */
export function withdrawInstead(update: UpdateMessage): UpdateMessage {
	const { mpReach, mpUnreach } = update.attributes;
	const withdrawnHere = [...update.withdrawn, ...update.nlri];
	if (mpReach === undefined)
		return { ...update, withdrawn: withdrawnHere, nlri: [], attributes: mpUnreach === undefined ? {} : { mpUnreach } };
	const { afi, safi, routes } = mpReach;
	const sameFamily =
		mpUnreach !== undefined && mpUnreach.afi === afi && mpUnreach.safi === safi ? mpUnreach.routes : undefined;
	const merged =
		routes.type === 'prefixes' && sameFamily?.type === 'prefixes'
			? { type: routes.type, nlri: [...sameFamily.nlri, ...routes.nlri] }
			: routes;
	return { ...update, withdrawn: withdrawnHere, nlri: [], attributes: { mpUnreach: { afi, safi, routes: merged } } };
}

/** The body of an UPDATE. */
export function encodeUpdate(
	writer: Writer,
	{ withdrawn, attributes, nlri }: UpdateMessage,
	context: PacketContext,
): void {
	const addPath = context.addPath(1, 1);
	writer.u16(0);
	encodeNlri(writer, withdrawn, addPath);
	writer.patchU16(headerLength, writer.length - headerLength - 2);
	const block = encodeAttributes(attributes, context);
	writer.u16(block.length);
	writer.bytes(block);
	encodeNlri(writer, nlri, addPath);
}

/** The family whose End-of-RIB this is, `undefined` for any other UPDATE. RFC 4724 §2. */
export function endOfRib(update: UpdateMessage): { readonly afi: number; readonly safi: number } | undefined {
	if (update.withdrawn.length > 0 || update.nlri.length > 0) return undefined;
	const names = Object.keys(update.attributes);
	if (names.length === 0) return update.problems.length === 0 ? { afi: 1, safi: 1 } : undefined;
	const { mpUnreach } = update.attributes;
	if (mpUnreach === undefined || names.length > 1) return undefined;
	const { afi, safi, routes } = mpUnreach;
	return (routes.type === 'prefixes' ? routes.nlri.length : routes.bytes.length) === 0 ? { afi, safi } : undefined;
}

/**
 * The End-of-RIB of a family: the empty UPDATE for IPv4 unicast, an empty MP_UNREACH_NLRI for
 * others. RFC 4724 §2.
 */
export function endOfRibMessage(afi: number, safi: number): UpdateMessage {
	if (afi === 1 && safi === 1) return updateMessage({});
	const routes =
		familyCodec(afi, safi) === undefined
			? ({ type: 'opaque', bytes: new Uint8Array(0) } as const)
			: ({ type: 'prefixes', nlri: [] } as const);
	return updateMessage({ attributes: { mpUnreach: { afi, safi, routes } } });
}
