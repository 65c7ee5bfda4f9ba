/** What was seen on this node of packet filters. */
export interface EngineSigns {
	/** `FAMILY NAME` of nftables tables: `inet kube-network-policies`. */
	readonly nftTables: readonly string[];
	/** Chains of iptables and nftables by name: `cali-FORWARD`. */
	readonly chains: readonly string[];
}

/** Another engine that enforces network policies. */
export interface OtherEngine {
	readonly name: string;
	/** What was seen: `chains cali-FORWARD, cali-INPUT`. */
	readonly seen: readonly string[];
	readonly hint: string;
}

/** How engines show. A new one is a row. */
const engines: readonly {
	readonly name: string;
	readonly chain?: RegExp;
	readonly table?: RegExp;
	readonly hint: string;
}[] = [
	{
		name: 'Felix (Calico)',
		chain: /^(cali-|filter-cali-|nat-cali-|mangle-cali-|raw-cali-)/,
		table: /^(ip|ip6|inet) calico$/,
		hint: 'stop calico-node on this node and remove its rules, or set networkPolicy.enforce: false',
	},
	{
		name: 'kube-router',
		chain: /^KUBE-(POD-FW-|NWPLCY-|ROUTER-(INPUT|FORWARD|OUTPUT))/,
		hint: 'run kube-router with --run-firewall=false and clean up its rules (--cleanup-config)',
	},
	{ name: 'kube-network-policies', table: /^inet kube-network-policies$/, hint: 'remove its DaemonSet' },
	{ name: 'Cilium', chain: /^CILIUM_/, hint: 'one of the two can enforce policies; remove the other' },
	{ name: 'Antrea', chain: /^ANTREA-/, hint: 'one of the two can enforce policies; remove the other' },
];

/** Judges the signs; `undefined`: this node has no other engine. Pure. */
export function findOtherEngine({ nftTables, chains }: EngineSigns): OtherEngine | undefined {
	for (const { name, chain, table, hint } of engines) {
		const ofChains = [...new Set(chains.filter((one) => chain?.test(one)))];
		const ofTables = nftTables.filter((one) => table?.test(one));
		if (ofChains.length === 0 && ofTables.length === 0) continue;
		return {
			name,
			seen: [
				...ofTables.map((one) => `nftables table ${one}`),
				...(ofChains.length === 0
					? []
					: [`chains ${ofChains.slice(0, 3).join(', ')}${ofChains.length > 3 ? ', ...' : ''}`]),
			],
			hint,
		};
	}
	return undefined;
}

/**
 * What translates ports of this host to pods, in words: the CNI plugin portmap leaves its chains or
 * its table. `undefined`: nothing that is known. Pure.
 */
export function hostPortsOf({ nftTables, chains }: EngineSigns): string | undefined {
	const found =
		chains.find((one) => one.startsWith('CNI-HOSTPORT-')) ?? nftTables.find((one) => / cni_hostport$/.test(one));
	return found === undefined ? undefined : `host ports are translated by ${found}`;
}
