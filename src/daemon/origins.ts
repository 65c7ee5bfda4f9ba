import { isDeepStrictEqual } from 'node:util';
import type { OriginateAttributes } from '../bgp/index.ts';
import type { BgpConfig } from '../config/index.ts';
import type { PrefixKey } from '../core/index.ts';

/** What this node announces, and how. */
export type Origins = ReadonlyMap<PrefixKey, OriginateAttributes>;

/** The static blocks of the configuration. Pure. */
export function originsOf(bgp: BgpConfig | undefined): Origins {
	return new Map((bgp?.originate ?? []).map(({ prefix, ...attributes }) => [prefix, attributes]));
}

/** What must be withdrawn and what (again) originated. Pure. */
export function diffOrigins(
	before: Origins,
	after: Origins,
): { readonly withdraw: readonly PrefixKey[]; readonly originate: readonly (readonly [PrefixKey, OriginateAttributes])[] } {
	return {
		withdraw: [...before.keys()].filter((prefix) => !after.has(prefix)),
		originate: [...after].filter(([prefix, attributes]) => !isDeepStrictEqual(before.get(prefix), attributes)),
	};
}
