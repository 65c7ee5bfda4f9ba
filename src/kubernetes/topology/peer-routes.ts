import type { BgpPeer } from '../model/bgp.ts';

/** The address of a neighbour behind a gateway on one of this node's links. */
export interface PeerRoute {
	/** Canonical, of the gateway's family. */
	readonly address: string;
	readonly gateway: string;
	/** The BGPPeer with the setting. */
	readonly resource: string;
}

/** A session, and the resource that defines it. */
export interface ReachedPeer {
	readonly address: string;
	readonly resource: BgpPeer | undefined;
}

const isV6 = (address: string): boolean => address.includes(':');

/**
 * The reason why `reachableBy` can not be applied to this address; `undefined`: it can. `own`: the
 * node's addresses.
 */
function reachableByProblem(gateway: string, address: string, own: readonly string[]): string | undefined {
	if (isV6(gateway) !== isV6(address)) return `reachableBy ${gateway} is of another address family than ${address}`;
	if (gateway === address) return `reachableBy ${gateway} is the peer itself`;
	if (own.includes(gateway)) return `reachableBy ${gateway} is this node's own address`;
	return undefined;
}

/**
 * The routes for `reachableBy` of the sessions, one per address: Calico gives BIRD a static route
 * to the address. If two resources have different gateways for one address, the session planned
 * first decides. Pure.
 */
export function peerRoutes(
	peers: readonly ReachedPeer[],
	own: readonly string[],
): { readonly routes: readonly PeerRoute[]; readonly problems: readonly string[] } {
	const routes = new Map<string, PeerRoute>();
	const problems: string[] = [];
	for (const { address, resource } of peers) {
		const gateway = resource?.reachableBy;
		if (resource === undefined || gateway === undefined) continue;
		const label = `BGPPeer ${resource.name}`;
		const first = routes.get(address);
		const problem = reachableByProblem(gateway, address, own);
		if (problem !== undefined) problems.push(`${label}: ${problem}; no route to ${address} is added`);
		else if (first === undefined) routes.set(address, { address, gateway, resource: resource.name });
		else if (first.gateway !== gateway)
			problems.push(
				`${label}: reachableBy ${gateway} for ${address} is passed over, since BGPPeer ` +
					`${first.resource} has ${first.gateway}`,
			);
	}
	return { routes: [...routes.values()], problems };
}
