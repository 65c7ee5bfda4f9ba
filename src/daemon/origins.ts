import { isDeepStrictEqual } from 'node:util';
import type { OriginateAttributes } from '../bgp/index.ts';
import type { BgpConfig } from '../config/index.ts';
import { atOnce, type PrefixKey, type Steps } from '../core/index.ts';

/** The announcements of this node, with their attributes. */
export type Origins = ReadonlyMap<PrefixKey, OriginateAttributes>;

/** The withdrawals and originations that lead from one set to the other. */
export interface OriginsChange {
	readonly withdraw: readonly PrefixKey[];
	readonly originate: readonly (readonly [PrefixKey, OriginateAttributes])[];
}

/** The static blocks of the configuration. Pure. */
export const originsOf = (bgp: BgpConfig | undefined): Origins => atOnce(originSteps(bgp));

/** The same as long work with pause points. */
export function* originSteps(bgp: BgpConfig | undefined): Steps<Origins> {
	const origins = new Map<PrefixKey, OriginateAttributes>();
	for (const { prefix, ...attributes } of bgp?.originate ?? []) {
		origins.set(prefix, attributes);
		if (origins.size % 64 === 0) yield;
	}
	return origins;
}

/** The difference of two sets of origins. Pure. */
export const diffOrigins = (before: Origins, after: Origins): OriginsChange => atOnce(diffOriginSteps(before, after));

/** The same as long work with pause points. */
export function* diffOriginSteps(before: Origins, after: Origins): Steps<OriginsChange> {
	const withdraw: PrefixKey[] = [];
	const originate: (readonly [PrefixKey, OriginateAttributes])[] = [];
	let seen = 0;
	for (const prefix of before.keys()) {
		if (++seen % 64 === 0) yield;
		if (!after.has(prefix)) withdraw.push(prefix);
	}
	for (const [prefix, attributes] of after) {
		if (++seen % 16 === 0) yield;
		if (!isDeepStrictEqual(before.get(prefix), attributes)) originate.push([prefix, attributes]);
	}
	return { withdraw, originate };
}

/**
 * Changes the RIB from one set to the other. A released block is withdrawn before its routes are
 * removed.
 */
export function* applyOriginSteps(
	rib: { originate(prefix: PrefixKey, attributes: OriginateAttributes): void; withdrawOrigin(prefix: PrefixKey): void },
	{ withdraw, originate }: OriginsChange,
): Steps<void> {
	let seen = 0;
	for (const prefix of withdraw) {
		rib.withdrawOrigin(prefix);
		if (++seen % 16 === 0) yield;
	}
	for (const [prefix, attributes] of originate) {
		rib.originate(prefix, attributes);
		if (++seen % 16 === 0) yield;
	}
}
