import { asksForInterface, type PeerOptions } from '../bgp/index.ts';
import type { Config } from '../config/index.ts';
import { aFew } from '../core/index.ts';

const mostNames = 5;

/** What an external peer lacks, and the consequence: a row for each combination. */
const lacks = [
	{ imports: true, exports: true, what: 'nothing is taken from or sent to', keys: 'importPolicies and exportPolicies' },
	{ imports: true, exports: false, what: 'nothing is taken from', keys: 'importPolicies' },
	{ imports: false, exports: true, what: 'nothing is sent to', keys: 'exportPolicies' },
] as const;

/**
 * RFC 8212: external peers that exchange no routes because they have no policy. One line for the
 * peers that lack the same, so that each peer appears once. Pure.
 */
export function policyWarnings({ bgp }: Config): string[] {
	if (bgp === undefined || !bgp.ebgpRequiresPolicy) return [];
	const external = [...bgp.peers, ...bgp.peerRanges].filter(
		({ asNumber, localAsNumber }) => asNumber !== (localAsNumber ?? bgp.asNumber),
	);
	return lacks.flatMap(({ imports, exports, what, keys }) => {
		const peers = external.filter(
			({ importPolicies, exportPolicies }) =>
				(importPolicies === undefined) === imports && (exportPolicies === undefined) === exports,
		);
		return peers.length === 0
			? []
			: [
					`${what} ${namesOf(peers)}: external without ${keys} (RFC 8212; bgp.ebgpRequiresPolicy: ` +
						'false turns this off)',
				];
	});
}

/** Peers whose policies match on the interface of routes, which is unknown. Pure. */
export function interfaceWarnings(
	peers: readonly Pick<PeerOptions, 'name' | 'importPolicies' | 'exportPolicies'>[],
	tracked: boolean,
): string[] {
	if (tracked) return [];
	const asking = peers.filter(
		({ importPolicies, exportPolicies }) => asksForInterface(importPolicies) || asksForInterface(exportPolicies),
	);
	if (asking.length === 0) return [];
	return [
		`the policies of ${namesOf(asking)} ask for the interface of routes, which is not known ` +
			'while next hops are not tracked: only * matches (bgp.nextHopTracking: on)',
	];
}

const namesOf = (peers: readonly { readonly name: string }[]): string =>
	aFew(
		peers.map(({ name }) => name),
		mostNames,
	);
