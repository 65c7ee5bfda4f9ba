import { z } from 'zod';
import {
	address,
	expects,
	flag,
	integer,
	ipv4Address,
	key,
	list,
	oneOf,
	path,
	port,
	prefix,
	word,
} from '../schema/index.ts';

// The sections of the data planes: tunnels, policy, Services, routes.

export const ipip = z.strictObject({
	tunnelAddress: key(
		ipv4Address.exactOptional(),
		'address of the tunnel device (`tunl0`)',
		'live',
		'the first address of the first originated block in a pool with IPIP',
	),
	mtuBytes: key(
		integer(576, 65515, 'bytes').exactOptional(),
		'MTU of the tunnel device',
		'live',
		"`ipipMTU` of FelixConfiguration, else 20 less than the node's device",
	),
	guard: key(flag.default(true), 'take IP-in-IP packets from known nodes alone (nftables)', 'restart'),
});

export const networkPolicy = z.strictObject({
	enforce: key(
		flag.default(false),
		'enforce network policies on this node: those of the cluster and of `resourceFiles`',
		'restart',
	),
	besideOthers: key(flag.default(false), 'enforce although another policy engine has rules on this node', 'restart'),
	resourceFiles: key(
		list(z.string(), 'paths').default([]),
		"files and folders of resources besides the cluster's: policies, tiers, sets, host endpoints, FelixConfiguration",
		'live',
	),
});

export const ebpf = z.strictObject({
	pinDirectory: key(
		path.default('/sys/fs/bpf/bgpmesh'),
		'directory in a BPF file system where maps and programs outlive the daemon',
		'restart',
	),
	cgroup: key(
		path.exactOptional(),
		'directory of the cgroup (version 2) whose processes reach services at their sockets: that ' +
			'of all pods and of the host',
		'restart',
		'the first mount of cgroup2',
	),
	interfaces: key(
		list(z.string(), 'names').exactOptional(),
		'interfaces to the outside whose programs translate services; an empty list leaves that to nftables',
		'restart',
		'Ethernet interfaces with an address that other hosts reach',
	),
	podRedirect: key(
		z.union([flag, z.literal('auto')]).default('auto'),
		'TCP and UDP between pods of this node go from interface to interface, past rules and connections of the ' +
			'kernel; `auto`: while others have nothing on that way (docs/ebpf.md)',
		'restart',
	),
});

export const services = z.strictObject({
	proxy: key(
		flag.default(false),
		'program Services on this node, in place of kube-proxy (docs/services.md)',
		'restart',
	),
	besideOthers: key(
		flag.default(false),
		'program although another service proxy has rules or listens on this node',
		'restart',
	),
	podRanges: key(
		list(prefix, 'prefixes').exactOptional(),
		'sources that are pods: their address is kept where other sources are masqueraded; empty: no source is a pod',
		'live',
		'the pools, and `spec.podCIDRs` of this node',
	),
	serviceRanges: key(
		list(prefix, 'prefixes').default([]),
		'ranges of cluster IPs besides those of ServiceCIDR resources; packets to their unused addresses are dropped',
		'live',
	),
	masqueradeAll: key(flag.default(false), 'masquerade every connection to a cluster IP', 'live'),
	nodePortAddresses: key(
		expects(
			z.union([z.literal('primary'), z.literal('all'), z.array(prefix)]).default('primary'),
			'primary, all, or a list of prefixes',
		),
		"where node ports answer: the node's primary addresses, all but loopback, or those in some ranges",
		'live',
	),
	directServerReturn: key(
		flag.exactOptional(),
		'with `dataplane: ebpf`: the node of a backend answers clients outside itself, and pods see their addresses ' +
			'(docs/services.md)',
		'live',
		'FelixConfiguration `bpfExternalServiceMode: DSR`, else false',
	),
	directServerReturnOptOut: key(
		list(prefix, 'prefixes').exactOptional(),
		'clients whose connections take the way without direct server return',
		'live',
		'FelixConfiguration `bpfDSROptoutCIDRs`',
	),
	loadBalancerAddresses: key(
		oneOf('auto', 'on', 'off').default('auto'),
		'give Services of type LoadBalancer addresses of pools with `allowedUses: [LoadBalancer]`; ' +
			"`auto`: unless Calico's kube-controllers run in the cluster",
		'restart',
	),
	healthPort: key(
		integer(0, 65535, 'a TCP port').default(10256),
		'port of `/healthz` and `/livez` for load balancers, at all addresses; 0: none',
		'restart',
	),
	drainSeconds: key(
		integer(0, 3600, 'seconds').default(30),
		'how long the route of a service address asks neighbours for another one (GRACEFUL_SHUTDOWN) ' +
			'before it is withdrawn, while this node still serves',
		'live',
	),
});

const macAddress = expects(
	z.string().regex(/^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$/),
	'a MAC address such as 66:07:02:c1:cc:60',
);

const vxlanNode = expects(
	z.strictObject({
		name: key(word, 'name of the node; its MAC address follows from it', 'live'),
		address: key(address, 'address of the node on the network below', 'live'),
		tunnelAddress: key(address, 'address of its VXLAN device, of the same family', 'live'),
		mac: key(
			macAddress.exactOptional(),
			'MAC address of its VXLAN device',
			'live',
			'as Calico computes it from `name`',
		),
		blocks: key(
			list(prefix, 'prefixes').default([]),
			'blocks of the node that this node has routes to, besides those that BGP announces',
			'live',
		),
	}),
	'a node such as { name: node-b, address: 10.0.2.2, tunnelAddress: 192.168.2.0 }',
);

export const vxlan = z.strictObject({
	vni: key(
		integer(1, 16_777_215).exactOptional(),
		'VXLAN network identifier',
		'live',
		'`vxlanVNI` of FelixConfiguration, else 4096',
	),
	port: key(port.exactOptional(), 'UDP port', 'live', '`vxlanPort` of FelixConfiguration, else 4789'),
	mtuBytes: key(
		integer(576, 65465, 'bytes').exactOptional(),
		'MTU of `vxlan.calico`',
		'live',
		"`vxlanMTU` of FelixConfiguration, else 50 less than the node's device",
	),
	mtuIpv6Bytes: key(
		integer(1280, 65465, 'bytes').exactOptional(),
		'MTU of `vxlan-v6.calico`',
		'live',
		"`vxlanMTUV6` of FelixConfiguration, else 70 less than the node's device",
	),
	tunnelAddresses: key(
		list(address, 'addresses').default([]),
		'addresses of the VXLAN devices, at most one of each family',
		'live',
	),
	nodeAddresses: key(
		list(address, 'addresses').default([]),
		"this node's addresses on the network below, at most one of each family",
		'live',
	),
	nodes: key(list(vxlanNode, 'nodes').default([]), 'the other nodes, without a cluster', 'live'),
	guard: key(flag.default(true), 'take VXLAN packets from known nodes alone (nftables)', 'restart'),
});

export const fib = z.strictObject({
	enabled: key(flag.default(true), '`false`: nothing of the kernel is touched', 'restart'),
	routeProtocol: key(
		integer(5, 255, 'a route protocol number').exactOptional(),
		'by which we know our routes in the kernel',
		'restart',
		'80, and 81 while Felix runs on the node (docs/how-to/kubernetes.md)',
	),
	besideOthers: key(
		flag.default(false),
		'write although Felix or another BIRD programs the same routes (docs/how-to/kubernetes.md)',
		'restart',
	),
	hostSettings: key(
		flag.default(true),
		'write the kernel settings that forwarding needs (docs/reference/health.md) once at the start',
		'live',
	),
	metric: key(
		integer(1, 0xffff_ffff).default(1024),
		'metric of our routes in the kernel, unless a policy sets one',
		'restart',
	),
	table: key(integer(1, 0xffff_ffff).default(254), 'routing table of our routes; 254 is the main one', 'restart'),
	preferredSources: key(
		list(address, 'addresses').default([]),
		"source address of this node's own packets on our routes, at most one of each family; it must be this node's",
		'restart',
		'`deviceRouteSourceAddress` of FelixConfiguration; without it the kernel chooses',
	),
});

export const tunnelProbe = z.strictObject({
	enabled: key(
		flag.default(true),
		'send packets of full size through the tunnels to other nodes, to find links that drop them without an answer',
		'live',
	),
	intervalSeconds: key(
		integer(1, 86_400, 'seconds').default(60),
		'pause between two rounds; a round probes each node once, 16 nodes a second at most',
		'live',
	),
});
