import type { Address, BestRoute, PrefixKey } from '../../core/index.ts';
import type { KernelRoute } from '../kernel.ts';
import { networkOf } from './route-map.ts';

/** A route of ours in the kernel, as far as it says how an address is reached. */
export interface OwnRoute {
	/** Bits of its prefix. */
	readonly length: number;
	/** Of the route as BGP has it, not the gateway that was found for it. */
	readonly nextHop: string;
	/** The kernel's. */
	readonly metric: number;
}

/** Our routes by prefix: as they are in the kernel, and as BGP has them. */
export interface OwnRoutes {
	readonly actual: ReadonlyMap<PrefixKey, readonly KernelRoute[]>;
	readonly best: ReadonlyMap<PrefixKey, BestRoute>;
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
