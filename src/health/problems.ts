/** One kind of problem. */
export interface ProblemRow {
	/**
	 * `error`: packets are lost or will be; `warning`: the node works, with less than it was
	 * configured for.
	 */
	readonly severity: 'error' | 'warning';
	/**
	 * What the problem blocks: `ready`: `/readyz` fails; `network`: the Node condition
	 * NetworkUnavailable becomes True.
	 */
	readonly blocks: readonly ('ready' | 'network')[];
	/** What is wrong, in one sentence. */
	readonly text: string;
	/** What to do about it. */
	readonly remedy: string;
	/** Page of `docs/` with more about it. */
	readonly docs: string;
	/**
	 * The subject is the name of a peer: `bgpmesh peers` and `explain` show the problem beside it.
	 */
	readonly about?: 'peer';
	/** A contradiction of the configuration, which `lint` lists although it is a warning. */
	readonly contradiction?: true;
}

const both = ['ready', 'network'] as const;

/** Every problem that the daemon reports. A new one is a row here and a rule in `evaluate.ts`. */
export const problems = {
	'route-failed': {
		severity: 'error',
		blocks: both,
		text: 'The kernel refused a route that this node needs.',
		remedy: 'Read the reason: `bgpmesh fib --diff` lists every refused route with the words of the kernel.',
		docs: 'reference/bgpmeshd.md',
	},
	'other-programmer': {
		severity: 'error',
		blocks: both,
		text: 'Another program writes the routes of this node, so that the daemon writes none.',
		remedy:
			'Stop the other program, or give it the pools (`vxlanMode`, FelixConfiguration), or set ' +
			'`fib.besideOthers: true`.',
		docs: 'how-to/kubernetes.md',
	},
	'left-without-route': {
		severity: 'error',
		blocks: ['ready'],
		text: 'Routes of a pool are left to Felix, and Felix does not write them: blocks of other nodes are unreachable.',
		remedy:
			'With Felix before Calico 3.33, have ClusterInformation `default` name its version (`calicoVersion`), or set ' +
			'`programClusterRoutes: Disabled` in FelixConfiguration: this node then writes them. With a later one, ' +
			'read the log of Felix on this node.',
		docs: 'how-to/kubernetes.md',
	},
	'peer-route-failed': {
		severity: 'warning',
		blocks: [],
		text: 'The route to a peer (`reachableBy`) is not in the kernel.',
		remedy: 'Check that the gateway is on a subnet of this node.',
		docs: 'how-to/kubernetes.md',
	},
	'tunnel-device': {
		severity: 'error',
		blocks: both,
		text: 'The tunnel device is not as it must be, so that no packet crosses subnets.',
		remedy: 'Load the module (`modprobe ipip`), or use a kernel that has it, and give the daemon CAP_NET_ADMIN.',
		docs: 'reference/bgpmeshd.md',
	},
	'tunnel-guard': {
		severity: 'error',
		blocks: [],
		text: 'The packet filter that accepts tunnelled packets from known nodes alone is not loaded.',
		remedy: 'Install nftables, and give the daemon CAP_NET_ADMIN; `ipip.guard: false` runs without the filter.',
		docs: 'reference/bgpmeshd.md',
	},
	masquerade: {
		severity: 'error',
		blocks: ['ready'],
		text: 'The masquerade of pools with `natOutgoing` is not loaded: pods cannot reach hosts outside of the pools.',
		remedy: 'Install nftables, and give the daemon CAP_NET_ADMIN.',
		docs: 'how-to/kubernetes.md',
	},
	'network-policy-refused': {
		severity: 'error',
		blocks: ['ready'],
		text: 'Network policies are to be enforced and are not: another engine is on this node.',
		remedy: 'Remove the other engine and restart the daemon, or set `networkPolicy.enforce: false`.',
		docs: 'policy.md',
	},
	'network-policy-problem': {
		severity: 'warning',
		blocks: [],
		text: 'A resource of network policy is not enforced as written, or is not what it seems.',
		remedy: 'Read the reason and correct the resource: `bgpmesh policy status` lists all of them.',
		docs: 'policy.md',
	},
	'dataplane-fallback': {
		severity: 'warning',
		blocks: [],
		text: 'The eBPF data plane was asked for, and nftables enforces network policy.',
		remedy:
			'Read the reason: correct what is missing on this node, or make the policy smaller (sets ' +
			'instead of rules); it is tried again by itself. `dataplane: nftables` makes it permanent.',
		docs: 'ebpf.md',
	},
	'services-refused': {
		severity: 'error',
		blocks: ['ready'],
		text: 'Services are to be programmed and are not: another service proxy is on this node.',
		remedy: 'Stop the other proxy and run `bgpmesh services takeover`, or set `services.proxy: false`.',
		docs: 'services.md',
	},
	'plane-failed': {
		severity: 'error',
		blocks: ['ready'],
		text: 'A data plane could not write a part of its state to the kernel.',
		remedy: 'Read the reason: `bgpmesh fib --diff` lists what differs with the words of the kernel.',
		docs: 'reference/bgpmeshd.md',
	},
	'tunnel-mtu': {
		severity: 'warning',
		blocks: [],
		text: 'Packets of full size to another node are lost without an answer, small ones arrive: connections hang.',
		remedy:
			'Repair the link with the smaller MTU, or set the MTU of the tunnel (`ipip.mtuBytes`, ' +
			'`vxlan.mtuBytes`, FelixConfiguration) to what passes.',
		docs: 'reference/health.md',
	},
	'ipv4-forwarding': {
		severity: 'error',
		blocks: both,
		text: 'The kernel does not forward IPv4 packets: pods reach no other node.',
		remedy: 'sysctl -w net.ipv4.ip_forward=1, and keep it in /etc/sysctl.d; another program may set it back.',
		docs: 'reference/health.md',
	},
	'ipv6-forwarding': {
		severity: 'error',
		blocks: both,
		text: 'The kernel does not forward IPv6 packets: pods reach no other node over IPv6.',
		remedy:
			'sysctl -w net.ipv6.conf.all.forwarding=1, and keep it in /etc/sysctl.d; accept_ra=2 keeps ' +
			'router advertisements.',
		docs: 'reference/health.md',
	},
	'rp-filter-strict': {
		severity: 'warning',
		blocks: [],
		text: 'Reverse path filtering is strict on the tunnel device: packets that return another way are dropped.',
		remedy: 'sysctl -w net.ipv4.conf.TUNNEL.rp_filter=2 (loose); the larger value of `all` and the interface counts.',
		docs: 'reference/health.md',
	},
	'direct-return-strict': {
		severity: 'warning',
		blocks: [],
		text: 'Reverse path filtering is strict: direct server return is off at this node, services work without it.',
		remedy: 'sysctl -w net.ipv4.conf.all.rp_filter=2 (loose); the larger value of `all` and the interface counts.',
		docs: 'reference/health.md',
	},
	'pod-gateway-silent': {
		severity: 'error',
		blocks: [],
		text: 'The gateway of a pod does not answer ARP: the pod sends no IPv4 packet.',
		remedy: 'sysctl -w net.ipv4.conf.POD.proxy_arp=1; another program sets it back, look into /etc/sysctl.d.',
		docs: 'reference/health.md',
	},
	'conntrack-full': {
		severity: 'warning',
		blocks: [],
		text: 'The table of connections is nearly full: the kernel drops packets that begin one beyond it.',
		remedy:
			'sysctl -w net.netfilter.nf_conntrack_max=NUMBER with a larger number, and keep it in /etc/sysctl.d; ' +
			'`conntrack -L` shows whose connections they are.',
		docs: 'reference/health.md',
	},
	'session-down': {
		severity: 'warning',
		blocks: [],
		about: 'peer',
		text: 'A configured session is not established.',
		remedy: '`bgpmesh peers PEER` shows the last error, the timers and both addresses.',
		docs: 'reference/bgpmesh.md',
	},
	'prefix-limit': {
		severity: 'warning',
		blocks: [],
		about: 'peer',
		text: 'A peer announces nearly as many prefixes as its limit allows, or more.',
		remedy: 'Find out why the peer announces more than before, or raise `maxPrefix.limit`.',
		docs: 'reference/configuration.md',
	},
	'peer-key-missing': {
		severity: 'warning',
		blocks: [],
		about: 'peer',
		contradiction: true,
		text: 'A peer without an MD5 key lies in a range with one: the kernel drops its segments.',
		remedy: 'Give the peer the key of the range, or take its address out of the range.',
		docs: 'reference/configuration.md',
	},
	'no-next-hop': {
		severity: 'warning',
		blocks: [],
		about: 'peer',
		contradiction: true,
		text: 'Routes of this node are not announced to a peer: no address of this node can be their next hop.',
		remedy: 'Give the interface of the session a global address of the family, or set `nextHopSelf` of the peer.',
		docs: 'reference/configuration.md',
	},
	'no-session': {
		severity: 'error',
		blocks: ['ready'],
		text: 'None of the configured sessions is established: the node learns no route.',
		remedy: 'Check the TCP port of each session, AS numbers and passwords: `bgpmesh peers`.',
		docs: 'reference/bgpmesh.md',
	},
	'next-hop-unreachable': {
		severity: 'warning',
		blocks: [],
		text: 'A next hop is unreachable: routes through it are not used.',
		remedy: '`ip route get NEXT-HOP` shows what the kernel has; a route or an interface is missing.',
		docs: 'reference/bgpmeshd.md',
	},
	'api-server-away': {
		severity: 'warning',
		blocks: [],
		text:
			'The API server does not answer: the node goes on with the last known resources, and new ' +
			'pods get no address.',
		remedy: 'Check the way to the server and the credentials; the log has the last error.',
		docs: 'how-to/kubernetes.md',
	},
	'resources-refused': {
		severity: 'warning',
		blocks: [],
		text: 'The API server does not let this node read a kind of resource.',
		remedy: 'kubectl apply -f config/rbac/node.yaml grants what a node reads.',
		docs: 'how-to/kubernetes.md',
	},
	'ipam-unreadable': {
		severity: 'error',
		blocks: [],
		text: 'A resource of addresses cannot be read: no address is given from it.',
		remedy: 'Correct or delete the resource; `bgpmesh ipam check` names each one.',
		docs: 'how-to/kubernetes.md',
	},
	'ipam-unavailable': {
		severity: 'error',
		blocks: ['ready'],
		text: 'This node cannot give addresses to pods.',
		remedy: '`bgpmesh pools` shows what is free and why a pool does not serve this node.',
		docs: 'how-to/kubernetes.md',
	},
	'resource-unusable': {
		severity: 'warning',
		blocks: [],
		text: 'A resource of the cluster cannot be used, or contradicts another one.',
		remedy: 'Correct the resource; `bgpmesh lint` lists what contradicts itself.',
		docs: 'how-to/kubernetes.md',
	},
	'cluster-not-followed': {
		severity: 'error',
		blocks: ['ready'],
		text: 'A step of following the cluster failed; it is retried.',
		remedy: 'Read the error, and correct the resource that it names.',
		docs: 'how-to/kubernetes.md',
	},
	'event-loop-blocked': {
		severity: 'warning',
		blocks: [],
		text: 'The event loop was blocked for long in the last minute: keepalives were late.',
		remedy: 'Give the node more CPU, or raise hold times; report the block with the log of that minute.',
		docs: 'reference/bgpmeshd.md',
	},
	'descriptors-short': {
		severity: 'warning',
		blocks: [],
		text: 'File descriptors are short: sessions cannot connect.',
		remedy: 'Raise LimitNOFILE of the unit.',
		docs: 'reference/bgpmeshd.md',
	},
	'config-rejected': {
		severity: 'warning',
		blocks: [],
		text: 'The last reload was rejected: the daemon runs the configuration before it.',
		remedy: '`bgpmesh config check` lists each error with its line.',
		docs: 'reference/configuration.md',
	},
	'policy-missing': {
		severity: 'warning',
		blocks: [],
		text: 'External peers without a policy exchange no routes (RFC 8212).',
		remedy: 'Set importPolicies and exportPolicies, or `bgp.ebgpRequiresPolicy: false`.',
		docs: 'reference/configuration.md',
	},
	'policy-interface-unknown': {
		severity: 'warning',
		blocks: [],
		text: 'A policy matches on the interface of routes, which is unknown without next-hop tracking.',
		remedy: 'Set `bgp.nextHopTracking: on`.',
		docs: 'reference/configuration.md',
	},
} as const satisfies Readonly<Record<string, ProblemRow>>;

export type ProblemId = keyof typeof problems;

/** A problem that holds now. Identifier and subject identify it. */
export interface Finding {
	readonly id: ProblemId;
	/** What it is about: a prefix, a device, a peer, a setting; empty for the node as a whole. */
	readonly subject: string;
	/** The details, with the words of the kernel or the server where there are any. */
	readonly reason: string;
	/**
	 * When it began, where that is known; the tracker notes the first sight otherwise. Milliseconds
	 * since 1970.
	 */
	readonly sinceMs?: number;
	/** In place of the remedy of the row, where the source has a better one. */
	readonly remedy?: string;
}
