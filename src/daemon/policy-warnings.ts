import type { Config } from '../config/index.ts';

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

function warning(what: string, key: string, peers: readonly { readonly name: string }[]): string[] {
	if (peers.length === 0) return [];
	const names = peers.slice(0, mostNames).map(({ name }) => name);
	const more = peers.length > mostNames ? ` and ${peers.length - mostNames} more` : '';
	return [`${what} ${names.join(', ')}${more}: external without ${key}`];
}
