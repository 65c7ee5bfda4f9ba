/**
 * Path attributes. One file and one row of `table.ts` per attribute; a row judges bytes (`check`),
 * reads and writes them. `judgeAttributes` asks the rows without making objects; `decodeAttributes`
 * asks it and then makes the objects, so the two cannot disagree about what is malformed.
 */
import { AttributeCode, AttributeFlag, UpdateSubcode } from '../constants.ts';
import type { PacketContext } from '../context.ts';
import { PacketError } from '../errors.ts';
import { Reader } from '../reader.ts';
import { Writer } from '../writer.ts';
import { as4PathFor, mergeAs4 } from './as4.ts';
import { AttributeScan, faultError, judgeAttributes } from './judge.ts';
import {
	attributeCodecs,
	codecByCode,
	type PathAttributes,
	type UnknownAttribute,
	type WireAttributes,
} from './table.ts';

export type { Aggregator } from './aggregator.ts';
export type { AsPath, AsSegment } from './as-path.ts';
export { as4PathFor, asPathLength, mergeAs4, mergeAs4Path } from './as4.ts';
export type { AttributeCodec, Fault } from './codec.ts';
export { isTransitive } from './extended-communities.ts';
export { AttributeScan, faultError, judgeAttributes, remedyLevel, Summary } from './judge.ts';
export type { LargeCommunity } from './large-communities.ts';
export { uniqueLargeCommunities } from './large-communities.ts';
export type { FamilyRoutes, MpReach } from './mp-reach.ts';
export type { MpUnreach } from './mp-unreach.ts';
export type { Origin } from './origin.ts';
export { attributeCodecs, type PathAttributes, type UnknownAttribute, type WireAttributes } from './table.ts';

/** Attributes as objects, and what was wrong with those that are not among them. */
export interface DecodedAttributes {
	readonly attributes: PathAttributes;
	readonly problems: readonly PacketError[];
}

// Nothing of it outlives a call.
const scan = new AttributeScan();

/**
 * The attributes of a block. A malformed attribute is absent and its problem is a value, for every
 * remedy; missing ones are no problem here, as that depends on the message. Where the peer has
 * 2-octet AS numbers, AS4_PATH and AS4_AGGREGATOR are merged (RFC 6793 §4.2.3).
 */
export function decodeAttributes(bytes: Uint8Array, context: PacketContext): DecodedAttributes {
	const problems: PacketError[] = [];
	judgeAttributes(bytes, 0, bytes.length, context, scan, problems);
	const { nextHopFault, nextHopStart, nextHopEnd } = scan;
	if (nextHopFault !== undefined) problems.push(faultError(nextHopFault, bytes, nextHopStart, nextHopEnd));
	return { attributes: attributesOf(bytes, scan, context), problems };
}

// `check` has seen the bytes before a row's `decode` does.
const underrun = () =>
	new PacketError('updateMessage', UpdateSubcode.attributeLengthError, 'an attribute is too short');

/** The objects of the attributes that `judgeAttributes` noted in `scan`. */
export function attributesOf(bytes: Uint8Array, scan: AttributeScan, context: PacketContext): PathAttributes {
	const found: Record<string, unknown> = {};
	const unknown: UnknownAttribute[] = [];
	const partial: number[] = [];
	for (let index = 0; index < scan.count; index++) {
		const code = scan.codes[index] ?? 0;
		const flags = scan.flags[index] ?? 0;
		const start = scan.valueStarts[index] ?? 0;
		const end = scan.ends[index] ?? 0;
		const codec = codecByCode[code];
		if (codec === undefined) {
			unknown.push({ code, flags: flags & 0xe0, value: new Uint8Array(bytes.subarray(start, end)) });
			continue;
		}
		if ((flags & AttributeFlag.partial) !== 0 && codec.flags === (AttributeFlag.optional | AttributeFlag.transitive))
			partial.push(code);
		found[codec.name] = codec.decode(new Reader(bytes, start, end, underrun), context);
	}
	if (unknown.length > 0) found['unknown'] = unknown.sort((left, right) => left.code - right.code);
	// The cast follows from the table: each name got the value of its own row.
	const { as4Path, as4Aggregator, ...attributes } = found as WireAttributes;
	const merged =
		as4Path === undefined && as4Aggregator === undefined
			? {}
			: present(mergeAs4({ ...attributes, as4Path, as4Aggregator }));
	const kept = partial
		.filter((code) => code !== AttributeCode.as4Path && code !== AttributeCode.as4Aggregator)
		.sort((left, right) => left - right);
	return { ...attributes, ...merged, ...(kept.length > 0 ? { partial: kept } : {}) };
}

/**
 * What of a received route's attributes goes on to other speakers where this package does not know
 * them: optional transitive ones with the Partial bit set, others not at all. RFC 4271 §5.
 */
export function passedOn(attributes: PathAttributes): PathAttributes {
	const { unknown, ...known } = attributes;
	if (unknown === undefined) return attributes;
	const transitive = unknown.filter(({ flags }) => (flags & AttributeFlag.transitive) !== 0);
	return transitive.length === 0
		? known
		: { ...known, unknown: transitive.map((one) => ({ ...one, flags: one.flags | AttributeFlag.partial })) };
}

function present<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
	// Entries without a value are left out, so none is undefined.
	return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
		[K in keyof T]: Exclude<T[K], undefined>;
	};
}

/**
 * The block of these attributes, in sending order: MP attributes first (RFC 7606 §5.1), then
 * ascending by code. Towards a peer with 2-octet AS numbers AS4_PATH and AS4_AGGREGATOR are added
 * where needed (RFC 6793 §4.2.2). Sends what it is given: what an external peer must not get is the
 * caller's to leave out.
 */
export function encodeAttributes(attributes: PathAttributes, context: PacketContext): Uint8Array {
	const wire: Readonly<Record<string, unknown>> = context.fourOctetAs
		? attributes
		: { ...attributes, ...as4Attributes(attributes) };
	const partial = new Set(attributes.partial);
	const pieces: { readonly code: number; readonly flags: number; readonly value: Uint8Array }[] = [];
	for (const { name, code, flags } of attributeCodecs) {
		const value = wire[name];
		if (value === undefined) continue;
		const writer = new Writer();
		codecByCode[code]?.encode(writer, value, context);
		pieces.push({ code, flags: flags | (partial.has(code) ? AttributeFlag.partial : 0), value: writer.finish() });
	}
	for (const { code, flags, value } of attributes.unknown ?? []) pieces.push({ code, flags: flags & 0xe0, value });
	const rank = (code: number) =>
		code === AttributeCode.mpReach || code === AttributeCode.mpUnreach ? code - 256 : code;
	pieces.sort((left, right) => rank(left.code) - rank(right.code));
	const block = new Writer();
	for (const { code, flags, value } of pieces) writeAttribute(block, code, flags, value);
	return block.finish();
}

function as4Attributes({ asPath, aggregator }: PathAttributes): Partial<WireAttributes> {
	const as4Path = asPath === undefined ? undefined : as4PathFor(asPath);
	const as4Aggregator = aggregator !== undefined && aggregator.asNumber > 0xffff ? aggregator : undefined;
	return { ...(as4Path === undefined ? {} : { as4Path }), ...(as4Aggregator === undefined ? {} : { as4Aggregator }) };
}

/** Writes one attribute; Extended Length only where the value needs it. RFC 4271 §4.3. */
export function writeAttribute(writer: Writer, code: number, flags: number, value: Uint8Array): void {
	const extended = value.length > 255;
	writer.u8(flags | (extended ? AttributeFlag.extendedLength : 0));
	writer.u8(code);
	if (extended) writer.u16(value.length);
	else writer.u8(value.length);
	writer.bytes(value);
}
