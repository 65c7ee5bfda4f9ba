import type { TunnelPool } from './types.ts';

/** nftables tables of ours; each is replaced as a whole in one transaction. */
export const guardTable = 'bgpmesh_guard';
export const natTable = 'bgpmesh_nat';

/** `nft -f` text that puts a table in place of the one of that name; without a body it just removes it. */
function replaceTable(family: 'ip' | 'ip6', name: string, body: readonly string[]): string {
	const remove = [`add table ${family} ${name}`, `delete table ${family} ${name}`];
	return [...remove, ...(body.length === 0 ? [] : [`table ${family} ${name} {`, ...body.map((line) => `\t${line}`), '}']), ''].join('\n');
}

const elements = (values: readonly string[]): string[] => (values.length === 0 ? [] : [`\telements = { ${values.join(', ')} }`]);

/**
 * The guard of the tunnel: packets with protocol 4 (IP in IP) that are for this node itself are taken from known nodes
 * alone, before tunl0 unwraps them. `nodes` are IPv4 addresses.
 */
export function guardRules(nodes: Iterable<string>): string {
	return replaceTable('ip', guardTable, [
		'set nodes {',
		'\ttype ipv4_addr',
		...elements([...nodes].sort()),
		'}',
		'chain input {',
		'\ttype filter hook input priority filter - 10; policy accept;',
		'\tip protocol 4 ip saddr != @nodes counter drop comment "IP in IP from an unknown node"',
		'}',
	]);
}

/** Lets everything in again. */
export const noGuardRules: string = replaceTable('ip', guardTable, []);

/** Masquerade: what comes from a pool with `natOutgoing` and goes outside of all pools leaves under the node's own address. */
export function natRules(pools: readonly TunnelPool[]): string {
	return (['ip', 'ip6'] as const)
		.map((family) => {
			const ofFamily = pools.filter(({ cidr }) => cidr.includes(':') === (family === 'ip6'));
			const sources = ofFamily.filter(({ natOutgoing }) => natOutgoing);
			if (sources.length === 0) return replaceTable(family, natTable, []);
			const set = (name: string, members: readonly TunnelPool[]) => [
				`set ${name} {`,
				`\ttype ${family === 'ip' ? 'ipv4_addr' : 'ipv6_addr'}`,
				'\tflags interval',
				'\tauto-merge',
				...elements(members.map(({ cidr }) => cidr)),
				'}',
			];
			return replaceTable(family, natTable, [
				...set('nat_pools', sources),
				...set('all_pools', ofFamily),
				'chain postrouting {',
				'\ttype nat hook postrouting priority srcnat; policy accept;',
				`\t${family} saddr @nat_pools ${family} daddr != @all_pools counter masquerade fully-random`,
				'}',
			]);
		})
		.join('');
}
