/** What was seen on this node of another service proxy. */
export interface ProxySigns {
	/** `FAMILY NAME` of nftables tables: `ip kube-proxy`. */
	readonly nftTables: readonly string[];
	/** Chains of iptables, in either variant: `KUBE-SERVICES`. */
	readonly iptablesChains: readonly string[];
	readonly interfaces: readonly string[];
	/** TCP ports with a listener that is not this process. */
	readonly listeningPorts: readonly number[];
}

/** Another service proxy. */
export interface OtherProxy {
	/** It runs: a listener at its ports. Otherwise it has left its rules behind. */
	readonly isRunning: boolean;
	/** What was seen: `nftables table ip kube-proxy`. */
	readonly seen: readonly string[];
	/** What to do about it. */
	readonly hint: string;
}

/** Tables, chains, devices and ports by which kube-proxy shows, in each of its modes. */
const proxyTables = ['ip kube-proxy', 'ip6 kube-proxy'];
/**
 * Those of the kubelet (KUBE-KUBELET-CANARY, KUBE-FIREWALL, KUBE-MARK-*) and of CNI's port mapping
 * are no proxy's.
 */
const proxyChain = new RegExp(
	'^KUBE-(SERVICES|NODEPORTS|EXTERNAL-SERVICES|PROXY-CANARY|PROXY-FIREWALL|SVC-|SVL-|SEP-|EXT-|' +
		'FW-|XLB-|LOAD-BALANCER|NODE-PORT)',
);
const ipvsDevice = 'kube-ipvs0';
const proxyPorts: readonly number[] = [10256, 10249];

/** Judges the signs; `undefined`: this node has no other proxy. Pure. */
export function findOtherProxy({
	nftTables,
	iptablesChains,
	interfaces,
	listeningPorts,
}: ProxySigns): OtherProxy | undefined {
	const chains = [...new Set(iptablesChains.filter((chain) => proxyChain.test(chain)))];
	const ports = listeningPorts.filter((port) => proxyPorts.includes(port));
	const seen = [
		...nftTables.filter((table) => proxyTables.includes(table)).map((table) => `nftables table ${table}`),
		...(chains.length === 0
			? []
			: [`iptables chains ${chains.slice(0, 3).join(', ')}${chains.length > 3 ? ', ...' : ''}`]),
		...interfaces.filter((name) => name === ipvsDevice).map((name) => `device ${name}`),
		...ports.map((port) => `a listener at port ${port}`),
	];
	if (seen.length === 0) return undefined;
	const isRunning = ports.length > 0;
	return {
		isRunning,
		seen,
		hint: isRunning
			? 'stop kube-proxy on this node (DaemonSet kube-proxy in kube-system), then run: bgpmesh services takeover'
			: 'another service proxy has left its rules behind; run: bgpmesh services takeover',
	};
}
