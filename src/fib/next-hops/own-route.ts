import { type Address, isLinkLocal, parseAddress, parsePrefix, prefixContains } from '../../core/index.ts';
import type { ForeignRoute } from '../kernel.ts';
import type { PrefixTable } from '../prefix-table.ts';
import { networkOf } from './route-map.ts';

/** A route of ours in the kernel, with the fields that determine reachability. */
export interface OwnRoute {
	/** Prefix length. */
	readonly length: number;
	/** The next hop in BGP, not the resolved gateway; for a static route its gateway. */
	readonly nextHop: string;
	/** Of a link-local next hop. */
	readonly device?: string | undefined;
	/** The metric in the kernel. */
	readonly metric: number;
	/** Gateway and interface in the kernel, if both are known. */
	readonly hop?: { readonly via: string; readonly device: string; readonly onlink: boolean };
}

/** Our routes. */
export interface OwnRoutes {
	/** By prefix: in the kernel, and in BGP. */
	readonly table: Pick<PrefixTable, 'get' | 'heldCount'>;
	/** Routes in the kernel that do not depend on BGP. */
	readonly statics: readonly ForeignRoute[];
	/**
	 * Routes of a previous run are still in the kernel: they are used although BGP has not sent
	 * them yet.
	 */
	readonly held: boolean;
}

/**
 * Our most specific route in the kernel to an address; `undefined`: no route, or a blackhole. The
 * caller must reach the route's next hop without this route. Pure.
 */
export function ownRouteTo(address: Address, { table, held }: OwnRoutes): OwnRoute | undefined {
	if (table.heldCount === 0) return undefined;
	for (let length = address.bytes.length * 8; length >= 0; length--) {
		const prefix = networkOf(address, length);
		const state = table.get(prefix);
		const route = state?.held;
		if (route === undefined) continue;
		const known = state?.best;
		const nextHop = route.type === 'blackhole' ? undefined : (known?.nextHop ?? (held ? route.via : undefined));
		const device = known === undefined ? route.device : known.nextHopInterface;
		if (nextHop === undefined) return undefined;
		const isOnLink = isLinkLocal(parseAddress(nextHop).bytes);
		const { via, device: outDevice, onlink, metric } = route;
		const hop = via === undefined || outDevice === undefined ? {} : { hop: { via, device: outDevice, onlink } };
		return { length, nextHop, ...(isOnLink ? { device } : {}), metric, ...hop };
	}
	return undefined;
}

/** Our most specific static route in the kernel to an address. Pure. */
export function staticRouteTo(address: Address, { statics }: Pick<OwnRoutes, 'statics'>): OwnRoute | undefined {
	let found: OwnRoute | undefined;
	for (const { prefix: key, via, metric } of statics) {
		const prefix = parsePrefix(key);
		if (via === undefined || prefix.length <= (found?.length ?? -1) || !prefixContains(prefix, address)) continue;
		found = { length: prefix.length, nextHop: via, metric };
	}
	return found;
}
