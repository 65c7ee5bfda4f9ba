import { AttributeCode, AttributeFlag } from '../constants.ts';
import { type AttributeCodec, fault } from './codec.ts';

/** RFC 8092 §3. Each part is an unsigned 32-bit number. */
export type LargeCommunity = readonly [globalAdministrator: number, localData1: number, localData2: number];

const badLength = fault('treat-as-withdraw', 'LARGE_COMMUNITY is no non-empty list of 12 bytes');

/** Each community once, at its first place. RFC 8092 §3. */
export function uniqueLargeCommunities(values: readonly LargeCommunity[]): LargeCommunity[] {
	return [...new Map(values.map((value) => [value.join(':'), value] as const)).values()];
}

/** LARGE_COMMUNITY. RFC 8092 §3, §6. */
export const largeCommunities: AttributeCodec<'largeCommunities', readonly LargeCommunity[]> = {
	name: 'largeCommunities',
	code: AttributeCode.largeCommunities,
	flags: AttributeFlag.optional | AttributeFlag.transitive,
	check: (_bytes, start, end) => (end > start && (end - start) % 12 === 0 ? undefined : badLength),
	decode: (reader) => uniqueLargeCommunities(Array.from({ length: reader.remaining / 12 }, () => [reader.u32(), reader.u32(), reader.u32()] as const)),
	encode(writer, values) {
		for (const value of uniqueLargeCommunities(values)) for (const part of value) writer.u32(part);
	},
};
