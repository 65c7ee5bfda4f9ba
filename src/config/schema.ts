import { z } from 'zod';
import {
	address,
	asNumber,
	community,
	expects,
	extendedCommunity,
	flag,
	integer,
	key,
	largeCommunity,
	list,
	oneOf,
	path,
	port,
	prefix,
	routerId,
	socketPath,
	word,
} from '../schema/index.ts';
import { ebpf, fib, ipip, networkPolicy, services, tunnelProbe, vxlan } from './plane-schema.ts';
import { policySchema } from './policy-schema.ts';
import { groupSchema, peerRangeSchema, peerSchema } from './session-schema.ts';

const datastore = expects(
	z.discriminatedUnion('type', [
		z.strictObject({ type: z.literal('none') }),
		z.strictObject({
			type: z.literal('kubernetes'),
			kubeconfig: key(path.exactOptional(), 'kubeconfig file', 'restart', "the pod's service account"),
			stateDirectory: key(
				path.exactOptional(),
				'folder for what was known last, which a start without the API server begins with',
				'restart',
				"systemd's `STATE_DIRECTORY`; without it a start waits for the API server",
			),
		}),
	]),
	'{ type: none } or { type: kubernetes, kubeconfig: PATH }',
);

const originated = expects(
	z.union([
		prefix.transform((only) => ({ prefix: only })),
		z.strictObject({
			prefix: key(prefix, 'what is announced', 'live'),
			nextHop: key(address.exactOptional(), 'NEXT_HOP of the route', 'live', "the session's local address"),
			localPref: key(integer(0, 0xffff_ffff).exactOptional(), 'LOCAL_PREF', 'live', '100'),
			med: key(integer(0, 0xffff_ffff).exactOptional(), 'MULTI_EXIT_DISC', 'live', 'none'),
			communities: key(list(community, 'communities').exactOptional(), 'communities of the route', 'live', 'none'),
			largeCommunities: key(
				list(largeCommunity, 'large communities').exactOptional(),
				'large communities of the route',
				'live',
				'none',
			),
			extendedCommunities: key(
				list(extendedCommunity, 'extended communities').exactOptional(),
				'extended communities of the route',
				'live',
				'none',
			),
		}),
	]),
	'a prefix, or { prefix, nextHop, localPref, med, communities, largeCommunities, extendedCommunities }',
);

const listen = z.strictObject({
	address: key(address.exactOptional(), '`::` accepts both families', 'live', '0.0.0.0; in a cluster as the node has'),
	port: key(port.exactOptional(), 'port to accept sessions at', 'live', '179; in a cluster its `listenPort`'),
});

const bgp = expects(
	z.strictObject({
		asNumber: key(asNumber, 'our AS number', 'reset'),
		routerId: key(routerId.exactOptional(), 'our BGP identifier', 'reset', "the node's IPv4 address"),
		listen: key(listen.prefault({}), 'where sessions are accepted', 'live'),
		clusterId: key(
			routerId.exactOptional(),
			'present: this node is a route reflector (RFC 4456)',
			'routes',
			'no reflector',
		),
		clientToClientReflection: key(flag.default(true), 'reflect between clients, too', 'restart'),
		maximumPaths: key(
			integer(1, 64).default(1),
			'next hops of a route in the kernel, where several paths are equal up to the interior cost (ECMP)',
			'restart',
		),
		ebgpRequiresPolicy: key(
			flag.default(true),
			'external peers exchange nothing without policies (RFC 8212)',
			'routes',
		),
		nextHopTracking: key(
			oneOf('auto', 'on', 'off').default('auto'),
			"use only routes whose next hop this node's kernel has a way to (RFC 4271, 9.1.2.1), and " +
				'prefer the nearest; `auto`: where `fib.enabled` is true and this process may program routes ' +
				'(CAP_NET_ADMIN)',
			'restart',
		),
		inSyncTimeoutSeconds: key(
			integer(1, 3600, 'seconds').default(60),
			'after start, how long old kernel routes are kept while peers have not sent End-of-RIB',
			'restart',
		),
		groups: key(z.record(z.string(), groupSchema).default({}), 'values shared by peers, by name', 'reset'),
		peers: key(list(peerSchema, 'peers').default([]), 'neighbours', 'reset'),
		peerRanges: key(
			list(peerRangeSchema, 'ranges').default([]),
			'dynamic neighbours, accepted and never connected to',
			'reset',
		),
		originate: key(
			list(originated, 'prefixes').default([]),
			'static blocks, besides those that address management gives',
			'live',
		),
	}),
	'the BGP settings, at least { asNumber: 64512 }',
);

const pool = expects(
	z.strictObject({
		cidr: key(prefix, 'addresses of the pool', 'live'),
		blockSize: key(
			integer(20, 128, 'a prefix length').exactOptional(),
			'prefix length of the blocks of nodes',
			'live',
			'26 (IPv4), 122 (IPv6)',
		),
		ipipMode: key(
			oneOf('CrossSubnet', 'Always', 'Never').default('CrossSubnet'),
			'when packets go through the IP-in-IP tunnel',
			'live',
		),
		vxlanMode: key(
			oneOf('CrossSubnet', 'Always', 'Never').default('Never'),
			'when packets go through the VXLAN tunnel; other than `Never`, `ipipMode` does not count',
			'live',
		),
		natOutgoing: key(flag.default(false), 'masquerade towards destinations outside of all pools', 'live'),
	}),
	'a pool such as { cidr: 192.168.0.0/16, ipipMode: CrossSubnet }',
);

const ipam = z.strictObject({
	mode: key(
		oneOf('blocks', 'host-local').default('blocks'),
		"where addresses of pods come from: blocks of Calico's pools, or the ranges that Kubernetes " +
			"gives each node (`spec.podCIDRs`, kubenet's way)",
		'restart',
	),
	directory: key(
		path.exactOptional(),
		'folder in which `host-local` keeps what it has given; it must outlive a restart',
		'restart',
		'`addresses` in `datastore.stateDirectory`',
	),
	garbageCollection: key(
		oneOf('auto', 'on', 'off').default('auto'),
		"take back orphaned addresses, blocks and handles; `auto`: unless Calico's kube-controllers run in the cluster",
		'restart',
	),
	leakGraceMinutes: key(
		integer(1, 1440, 'minutes').default(15),
		'how long something must look abandoned before it is taken back',
		'restart',
	),
});

const detectionMethods =
	'`auto` (the InternalIP that Kubernetes has, else the first found; the address of the Node ' +
	'stays while this host has it), `none` (the address of the Node stays), or as Calico: ' +
	'`first-found`, `kubernetes-internal-ip`, `can-reach=DESTINATION`, ' +
	'`interface=EXPRESSION,...`, `skip-interface=EXPRESSION,...`, `cidr=PREFIX,...`';
const detection = (family: string) =>
	key(
		z
			.string()
			.regex(
				/^(auto|none|first-found|kubernetes-internal-ip|(can-reach|interface|skip-interface|cidr)=.+)$/,
				'a method of detection such as auto, first-found or interface=eth.*',
			)
			.default('auto'),
		`how the ${family} address of the node is found: ${detectionMethods}`,
		'restart',
	);
const nodeAddress = z.strictObject({ ipv4: detection('IPv4'), ipv6: detection('IPv6') });

const control = z.strictObject({
	socket: key(socketPath.default('/run/bgpmesh/bgpmesh.sock'), 'Unix socket of the commands, mode 0660', 'restart'),
	group: key(word.exactOptional(), 'group that may use the socket', 'restart', "the daemon's"),
});

const metrics = z.strictObject({
	listen: key(
		z
			.strictObject({
				address: key(address.default('127.0.0.1'), 'address of /metrics', 'restart'),
				port: key(port.default(9179), 'port of /metrics', 'restart'),
			})
			.exactOptional(),
		'serve /metrics over TCP, too',
		'restart',
		'on the control socket alone',
	),
});

const log = z.strictObject({
	level: key(
		oneOf('error', 'warn', 'info', 'debug').default('info'),
		'the least important lines that are written',
		'live',
	),
	format: key(oneOf('json', 'text').default('json'), 'one JSON object a line, or text for people', 'restart'),
});

/** The whole file. */
export const configSchema = expects(
	z.strictObject({
		node: key(word.exactOptional(), 'name of this node', 'restart', 'the variable `NODENAME`, else the host name'),
		datastore: key(
			datastore.default({ type: 'none' }),
			'where peers, pools and blocks come from besides this file',
			'restart',
		),
		bgp: key(bgp.exactOptional(), 'the speaker; required unless the data store is Kubernetes', 'reset'),
		policies: key(
			z.record(z.string(), policySchema).default({}),
			'policies by name, for `importPolicies` and `exportPolicies`',
			'routes',
		),
		pools: key(list(pool, 'pools').default([]), 'address pools', 'live'),
		ipam: key(ipam.prefault({}), 'addresses in a cluster', 'restart'),
		nodeAddress: key(nodeAddress.prefault({}), 'the addresses of the node in a cluster', 'restart'),
		ipip: key(ipip.prefault({}), 'the tunnel', 'live'),
		services: key(services.prefault({}), 'Services of a cluster', 'restart'),
		vxlan: key(vxlan.prefault({}), 'the VXLAN tunnels', 'live'),
		tunnelProbe: key(tunnelProbe.prefault({}), 'the search for black holes below the tunnels of a cluster', 'live'),
		networkPolicy: key(networkPolicy.prefault({}), 'network policy (docs/policy.md)', 'restart'),
		dataplane: key(
			oneOf('nftables', 'ebpf').exactOptional(),
			'what judges packets of pods: rules of nftables, or eBPF programs at their interfaces (docs/ebpf.md)',
			'live',
			'`bpfEnabled` of FelixConfiguration, else nftables',
		),
		ebpf: key(ebpf.prefault({}), 'the eBPF programs', 'restart'),
		fib: key(fib.prefault({}), 'the routes in the kernel', 'restart'),
		control: key(control.prefault({}), 'the socket of the commands', 'restart'),
		metrics: key(metrics.prefault({}), 'figures for Prometheus', 'restart'),
		log: key(log.prefault({}), 'the log, on standard error', 'live'),
	}),
	'a map of settings such as bgp:, fib:, log:',
);

/** The parsed file, with defaults and before groups are applied. */
export type FileConfig = z.output<typeof configSchema>;
