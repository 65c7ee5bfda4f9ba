import { AttributeCode, AttributeFlag } from '../constants.ts';
import { type AttributeCodec, fault } from './codec.ts';

/** RFC 8092 §3. Each part is an unsigned 32-bit number. */
export type LargeCommunity = readonly [globalAdministrator: number, localData1: number, localData2: number];

const badLength = fault('treat-as-withdraw', 'LARGE_COMMUNITY is no non-empty list of 12 bytes');

/** Each community once, at its first place. RFC 8092 §3. */
export function uniqueLargeCommunities(values: readonly LargeCommunity[]): LargeCommunity[] {
	return [...new Map(values.map((value) => [value.join(':'), value] as const)).values()];
}

/** Is a community of 12 bytes there twice? */
function repeats(bytes: Uint8Array, start: number, end: number): boolean {
	// There are few as a rule; a long list is not compared with itself.
	if (end - start > 12 * 16)
		return (
			new Set(Array.from({ length: (end - start) / 12 }, (_, index) => text(bytes, start + index * 12))).size * 12 <
			end - start
		);
	for (let one = start; one < end; one += 12)
		for (let other = start; other < one; other += 12) if (same(bytes, one, other)) return true;
	return false;
}

const text = (bytes: Uint8Array, at: number) => String.fromCharCode(...bytes.subarray(at, at + 12));

function same(bytes: Uint8Array, one: number, other: number): boolean {
	for (let index = 0; index < 12; index++) if (bytes[one + index] !== bytes[other + index]) return false;
	return true;
}

/** LARGE_COMMUNITY. RFC 8092 §3, §6. */
export const largeCommunities: AttributeCodec<'largeCommunities', readonly LargeCommunity[]> = {
	name: 'largeCommunities',
	code: AttributeCode.largeCommunities,
	flags: AttributeFlag.optional | AttributeFlag.transitive,
	check: (_bytes, start, end) => (end > start && (end - start) % 12 === 0 ? undefined : badLength),
	// RFC 8092 §3: one that is there twice is sent once.
	untidy: repeats,
	decode: (reader) =>
		uniqueLargeCommunities(
			Array.from({ length: reader.remaining / 12 }, () => [reader.u32(), reader.u32(), reader.u32()] as const),
		),
	encode(writer, values) {
		for (const value of uniqueLargeCommunities(values)) for (const part of value) writer.u32(part);
	},
};
