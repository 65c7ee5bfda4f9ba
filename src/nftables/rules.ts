import type { PrefixKey } from '../core/index.ts';

/** A pool, as far as address translation needs it. */
export interface NatPool {
	readonly cidr: PrefixKey;
	/** Its addresses leave to destinations outside all pools under the node's own address. */
	readonly natOutgoing: boolean;
}

/** nftables tables of ours; each is changed in one transaction. */
export const guardTable = 'bgpmesh_guard';
export const natTable = 'bgpmesh_nat';

/** A set with its declaration, or a chain with its hook, and the lines within. */
interface Part {
	readonly name: string;
	/** `type ...;` as in nft's text. */
	readonly declaration: string;
	/** Elements of a set, rules of a chain. */
	readonly lines: readonly string[];
}

interface TableParts {
	readonly sets: readonly Part[];
	readonly chains: readonly Part[];
}

/** Every chain that a table of ours can have. */
const chainsOf = { [guardTable]: ['input', 'forward', 'prerouting', 'output'], [natTable]: ['postrouting'] } as const;

/**
 * `nft -f` text that brings a table to these parts; without parts it removes the table. Chains that
 * stay keep their hooks, so that each packet meets the rules of before or those of after: a chain
 * that is removed and made anew is empty for a packet that is judged during the commit.
 */
function tableText(family: 'ip' | 'ip6', name: keyof typeof chainsOf, parts: TableParts | undefined): string {
	const at = `${family} ${name}`;
	if (parts === undefined) return `add table ${at}\ndelete table ${at}\n`;
	const { sets, chains } = parts;
	const absent = chainsOf[name].filter((one) => !chains.some((chain) => chain.name === one));
	return [
		`add table ${at}`,
		`flush table ${at}`,
		// A chain of that name may be there, and only what is there can be deleted.
		...absent.flatMap((chain) => [`add chain ${at} ${chain}`, `delete chain ${at} ${chain}`]),
		...sets.flatMap((set) => [
			`add set ${at} ${set.name} { ${set.declaration} }`,
			`flush set ${at} ${set.name}`,
			...(set.lines.length === 0 ? [] : [`add element ${at} ${set.name} { ${set.lines.join(', ')} }`]),
		]),
		...chains.flatMap((chain) => [
			`add chain ${at} ${chain.name} { ${chain.declaration} }`,
			...chain.lines.map((rule) => `add rule ${at} ${chain.name} ${rule}`),
		]),
		'',
	].join('\n');
}

/** From where tunnelled packets are taken. */
export interface Guard {
	/** IPv4 addresses of the nodes that may send IP in IP. */
	readonly ipip: Iterable<string>;
	/** Present: this node takes VXLAN at this UDP port from these node addresses of both families. */
	readonly vxlan?: { readonly port: number; readonly nodes: Iterable<string> };
	/**
	 * Pods send no tunnelled packets: names of their interfaces (`cali*`), and the pools that their
	 * addresses are in.
	 */
	readonly pods?: { readonly interfaces: string; readonly pools: readonly PrefixKey[] };
}

/**
 * The guard of the tunnels, both families: protocol 4 (IP in IP) and the UDP port of VXLAN that are
 * for this node itself are taken from known nodes alone, before a tunnel device unwraps them; pods
 * send neither. VXLAN is not tracked: its flows are as many as node pairs, and a tracked one would
 * be translated with the packet inside. Calico: felix/rules, protocol 4 and vxlanPort.
 */
export function guardRules(guard: Guard): string {
	return (['ip', 'ip6'] as const).map((family) => guardOf(family, guard)).join('');
}

const ofFamily = (family: 'ip' | 'ip6', values: Iterable<string>): string[] =>
	[...new Set(values)].filter((value) => value.includes(':') === (family === 'ip6')).sort();

function guardOf(family: 'ip' | 'ip6', { ipip, vxlan, pods }: Guard): string {
	const set = addressSets(family);
	const port = vxlan?.port;
	// IPv6 has nothing to guard while there is no VXLAN.
	if (family === 'ip6' && port === undefined) return tableText(family, guardTable, undefined);
	const fromPods = [
		...(family === 'ip' ? [['ip protocol 4', 'IP in IP']] : []),
		...(port === undefined ? [] : [[`udp dport ${port}`, 'VXLAN']]),
	];
	const podRules = (sources: readonly string[]) =>
		sources.flatMap((source) =>
			fromPods.map(([match, name]) => `${source} ${match} counter drop comment "${name} from a pod"`),
		);
	const inputRules = [
		...(pods === undefined ? [] : podRules([`iifname "${pods.interfaces}"`])),
		...(family === 'ip'
			? ['ip protocol 4 ip saddr != @nodes counter drop comment "IP in IP from an unknown node"']
			: []),
		...(port === undefined
			? []
			: [
					`udp dport ${port} fib daddr type local ${family} saddr != @vxlan_nodes counter drop comment ` +
						'"VXLAN from an unknown node"',
				]),
	];
	const forwardRules = pods === undefined ? [] : podRules([`iifname "${pods.interfaces}"`, `${family} saddr @pools`]);
	return tableText(family, guardTable, {
		sets: [
			set('nodes', ofFamily(family, ipip)),
			set('vxlan_nodes', ofFamily(family, vxlan?.nodes ?? [])),
			set('pools', ofFamily(family, pods?.pools ?? []), 'interval'),
		],
		chains: [
			chain('input', 'type filter hook input priority filter - 10', inputRules),
			...(pods === undefined ? [] : [chain('forward', 'type filter hook forward priority filter - 10', forwardRules)]),
			...(port === undefined
				? []
				: (['prerouting', 'output'] as const).map((hook) =>
						chain(hook, `type filter hook ${hook} priority raw`, [`udp dport ${port} notrack`]),
					)),
		],
	});
}

const chain = (name: string, hook: string, lines: readonly string[]): Part => ({
	name,
	declaration: `${hook}; policy accept;`,
	lines,
});

const addressSets =
	(family: 'ip' | 'ip6') =>
	(name: string, lines: readonly string[], members: 'interval' | 'address' = 'address'): Part => ({
		name,
		declaration:
			`type ${family === 'ip' ? 'ipv4_addr' : 'ipv6_addr'};` +
			(members === 'interval' ? ' flags interval; auto-merge;' : ''),
		lines,
	});

/** Removes the guard: packets are taken from every address. */
export const noGuardRules: string = (['ip', 'ip6'] as const)
	.map((family) => tableText(family, guardTable, undefined))
	.join('');

/**
 * Masquerade: what comes from a pool with `natOutgoing` and goes outside of all pools leaves under
 * the node's own address.
 */
export function natRules(pools: readonly NatPool[]): string {
	return (['ip', 'ip6'] as const)
		.map((family) => {
			const all = pools.filter(({ cidr }) => cidr.includes(':') === (family === 'ip6'));
			const sources = all.filter(({ natOutgoing }) => natOutgoing);
			if (sources.length === 0) return tableText(family, natTable, undefined);
			const set = (name: string, members: readonly NatPool[]) =>
				addressSets(family)(
					name,
					members.map(({ cidr }) => cidr),
					'interval',
				);
			return tableText(family, natTable, {
				sets: [set('nat_pools', sources), set('all_pools', all)],
				chains: [
					chain('postrouting', 'type nat hook postrouting priority srcnat', [
						`${family} saddr @nat_pools ${family} daddr != @all_pools counter masquerade fully-random`,
					]),
				],
			});
		})
		.join('');
}
