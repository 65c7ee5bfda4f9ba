import { type Address, type BestRoute, type PrefixKey, parsePrefix, prefixContains } from '../../core/index.ts';
import type { ForeignRoute, KernelRoute } from '../kernel.ts';
import { networkOf } from './route-map.ts';

/** A route of ours in the kernel, as far as it says how an address is reached. */
export interface OwnRoute {
	/** Bits of its prefix. */
	readonly length: number;
	/** Of the route as BGP has it, not the gateway that was found for it; the gateway of a static one. */
	readonly nextHop: string;
	/** The kernel's. */
	readonly metric: number;
}

/** Our routes by prefix: as they are in the kernel, and as BGP has them. */
export interface OwnRoutes {
	readonly actual: ReadonlyMap<PrefixKey, readonly KernelRoute[]>;
	readonly best: ReadonlyMap<PrefixKey, BestRoute>;
	/** Those in the kernel that stand whatever BGP says. */
	readonly statics: readonly ForeignRoute[];
	/** Routes of an earlier life stay in the kernel for now: they lead somewhere although BGP has not told them yet. */
	readonly held: boolean;
}

/**
 * Our most specific route in the kernel that contains an address; `undefined`: there is none, or it leads nowhere. Whoever asks has to
 * reach the route's next hop without it. Pure.
 */
export function ownRouteTo(address: Address, { actual, best, held }: OwnRoutes): OwnRoute | undefined {
	if (actual.size === 0) return undefined;
	for (let length = address.bytes.length * 8; length >= 0; length--) {
		const prefix = networkOf(address, length);
		const route = actual.get(prefix)?.[0];
		if (route === undefined) continue;
		const nextHop = route.type === 'blackhole' ? undefined : (best.get(prefix)?.nextHop ?? (held ? route.via : undefined));
		return nextHop === undefined ? undefined : { length, nextHop, metric: route.metric };
	}
	return undefined;
}

/** Our most specific static route in the kernel that contains an address. Pure. */
export function staticRouteTo(address: Address, { statics }: Pick<OwnRoutes, 'statics'>): OwnRoute | undefined {
	let found: OwnRoute | undefined;
	for (const { prefix: key, via, metric } of statics) {
		const prefix = parsePrefix(key);
		if (via === undefined || prefix.length <= (found?.length ?? -1) || !prefixContains(prefix, address)) continue;
		found = { length: prefix.length, nextHop: via, metric };
	}
	return found;
}
