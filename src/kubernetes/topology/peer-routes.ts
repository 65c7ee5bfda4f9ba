import type { BgpPeer } from '../model/bgp.ts';

/** A neighbour's address that is to be reached through a gateway on one of this node's links. */
export interface PeerRoute {
	/** Canonical, of the gateway's family. */
	readonly address: string;
	readonly gateway: string;
	/** The BGPPeer that says so. */
	readonly resource: string;
}

/** A session that is made, and the resource that it follows from. */
export interface ReachedPeer {
	readonly address: string;
	readonly resource: BgpPeer | undefined;
}

const isV6 = (address: string): boolean => address.includes(':');

/** What of `reachableBy` can't be done for this address, in words; `undefined`: it can. `own` are the node's addresses. */
export function reachableByProblem(gateway: string, address: string, own: readonly string[]): string | undefined {
	if (isV6(gateway) !== isV6(address)) return `reachableBy ${gateway} is of another address family than ${address}`;
	if (gateway === address) return `reachableBy ${gateway} is the peer itself`;
	if (own.includes(gateway)) return `reachableBy ${gateway} is this node's own address`;
	return undefined;
}

/**
 * The routes that the sessions ask for by `reachableBy`, each address once: Calico gives BIRD a static route to the address. Where two
 * resources name different gateways for one address, the one whose session was planned first decides. Pure.
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
			problems.push(`${label}: reachableBy ${gateway} for ${address} is passed over, since BGPPeer ${first.resource} says ${first.gateway}`);
	}
	return { routes: [...routes.values()], problems };
}
