import { asksForInterface, type PeerOptions } from '../bgp/index.ts';
import type { Config } from '../config/index.ts';
import { aFew } from '../core/index.ts';

const mostNames = 5;

/** RFC 8212 in words: which external peers exchange nothing because no policy says what. Pure. */
export function policyWarnings({ bgp }: Config): string[] {
	if (bgp === undefined || !bgp.ebgpRequiresPolicy) return [];
	const external = [...bgp.peers, ...bgp.peerRanges].filter(({ asNumber, localAsNumber }) => asNumber !== (localAsNumber ?? bgp.asNumber));
	return [
		...warning(
			'nothing is taken from',
			'importPolicies',
			external.filter(({ importPolicies }) => importPolicies === undefined),
		),
		...warning(
			'nothing is sent to',
			'exportPolicies',
			external.filter(({ exportPolicies }) => exportPolicies === undefined),
		),
	].map((text) => `${text} (RFC 8212; bgp.ebgpRequiresPolicy: false turns this off)`);
}

/** Whose policies ask for the interface of routes, which nobody knows. Pure. */
export function interfaceWarnings(peers: readonly Pick<PeerOptions, 'name' | 'importPolicies' | 'exportPolicies'>[], tracked: boolean): string[] {
	if (tracked) return [];
	const asking = peers.filter(({ importPolicies, exportPolicies }) => asksForInterface(importPolicies) || asksForInterface(exportPolicies));
	if (asking.length === 0) return [];
	return [
		`the policies of ${namesOf(asking)} ask for the interface of routes, which is not known while next hops are not tracked: only * matches (bgp.nextHopTracking: on)`,
	];
}

function warning(what: string, key: string, peers: readonly { readonly name: string }[]): string[] {
	return peers.length === 0 ? [] : [`${what} ${namesOf(peers)}: external without ${key}`];
}

const namesOf = (peers: readonly { readonly name: string }[]): string =>
	aFew(
		peers.map(({ name }) => name),
		mostNames,
	);
