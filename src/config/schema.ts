import { z } from 'zod';
import { expects, key } from './keys.ts';
import { policySchema } from './policy-schema.ts';
import {
	address,
	asNumber,
	community,
	extendedCommunity,
	flag,
	integer,
	ipv4Address,
	largeCommunity,
	list,
	oneOf,
	path,
	port,
	prefix,
	routerId,
	word,
} from './scalars.ts';
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
			largeCommunities: key(list(largeCommunity, 'large communities').exactOptional(), 'large communities of the route', 'live', 'none'),
			extendedCommunities: key(list(extendedCommunity, 'extended communities').exactOptional(), 'extended communities of the route', 'live', 'none'),
		}),
	]),
	'a prefix, or { prefix, nextHop, localPref, med, communities, largeCommunities, extendedCommunities }',
);

const listen = z.strictObject({
	address: key(address.default('0.0.0.0'), 'address to accept sessions at; `::` accepts both families', 'live'),
	port: key(port.default(179), 'port to accept sessions at', 'live'),
});

const bgp = expects(
	z.strictObject({
		asNumber: key(asNumber, 'our AS number', 'reset'),
		routerId: key(routerId.exactOptional(), 'our BGP identifier', 'reset', "the node's IPv4 address"),
		listen: key(listen.prefault({}), 'where sessions are accepted', 'live'),
		clusterId: key(routerId.exactOptional(), 'present: this node is a route reflector (RFC 4456)', 'routes', 'no reflector'),
		clientToClientReflection: key(flag.default(true), 'reflect between clients, too', 'restart'),
		ebgpRequiresPolicy: key(flag.default(true), 'external peers exchange nothing without policies (RFC 8212)', 'routes'),
		nextHopTracking: key(
			oneOf('auto', 'on', 'off').default('auto'),
			"use only routes whose next hop this node's kernel has a way to (RFC 4271, 9.1.2.1), and prefer the nearest; `auto`: where `fib.enabled` is true and this process may program routes (CAP_NET_ADMIN)",
			'restart',
		),
		inSyncTimeoutSeconds: key(
			integer(1, 3600, 'seconds').default(60),
			'after start, how long old kernel routes are kept while peers have not sent End-of-RIB',
			'restart',
		),
		groups: key(z.record(z.string(), groupSchema).default({}), 'values shared by peers, by name', 'reset'),
		peers: key(list(peerSchema, 'peers').default([]), 'neighbours', 'reset'),
		peerRanges: key(list(peerRangeSchema, 'ranges').default([]), 'dynamic neighbours, accepted and never connected to', 'reset'),
		originate: key(list(originated, 'prefixes').default([]), 'static blocks, besides those that address management gives', 'live'),
	}),
	'the BGP settings, at least { asNumber: 64512 }',
);

const pool = expects(
	z.strictObject({
		cidr: key(prefix, 'addresses of the pool', 'live'),
		blockSize: key(integer(20, 128, 'a prefix length').exactOptional(), 'prefix length of the blocks of nodes', 'live', '26 (IPv4), 122 (IPv6)'),
		ipipMode: key(oneOf('CrossSubnet', 'Always', 'Never').default('CrossSubnet'), 'when packets go through the IP-in-IP tunnel', 'live'),
		natOutgoing: key(flag.default(false), 'masquerade towards destinations outside of all pools', 'live'),
	}),
	'a pool such as { cidr: 192.168.0.0/16, ipipMode: CrossSubnet }',
);

const ipam = z.strictObject({
	mode: key(
		oneOf('blocks', 'host-local').default('blocks'),
		"where addresses of pods come from: blocks of Calico's pools, or the ranges that Kubernetes gives each node (`spec.podCIDRs`, kubenet's way)",
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
		"take back addresses, blocks and handles that nobody owns any more; `auto`: unless Calico's kube-controllers run in the cluster",
		'restart',
	),
	leakGraceMinutes: key(integer(1, 1440, 'minutes').default(15), 'how long something must look abandoned before it is taken back', 'restart'),
});

const ipip = z.strictObject({
	tunnelAddress: key(
		ipv4Address.exactOptional(),
		'address of the tunnel device (`tunl0`)',
		'live',
		'the first address of the first originated block in a pool with IPIP',
	),
	mtuBytes: key(integer(576, 65515, 'bytes').exactOptional(), 'MTU of the tunnel device', 'restart', "20 less than the node's device"),
	guard: key(flag.default(true), 'take IP-in-IP packets from known nodes alone (nftables)', 'restart'),
});

const fib = z.strictObject({
	enabled: key(flag.default(true), '`false`: nothing of the kernel is touched', 'restart'),
	routeProtocol: key(integer(5, 255, 'a route protocol number').default(80), 'by which we know our routes in the kernel', 'restart'),
	besideOthers: key(flag.default(false), 'write although Felix or another BIRD programs the same routes (docs/kubernetes.md)', 'restart'),
	metric: key(integer(1, 0xffff_ffff).default(1024), 'metric of our routes in the kernel, unless a policy sets one', 'restart'),
});

const control = z.strictObject({
	socket: key(path.default('/run/bgpmesh/bgpmesh.sock'), 'Unix socket of the commands, mode 0660', 'restart'),
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
	level: key(oneOf('error', 'warn', 'info', 'debug').default('info'), 'the least important lines that are written', 'live'),
	format: key(oneOf('json', 'text').default('json'), 'one JSON object a line, or text for people', 'restart'),
});

/** The whole file. */
export const configSchema = expects(
	z.strictObject({
		node: key(word.exactOptional(), 'name of this node', 'restart', 'the host name'),
		datastore: key(datastore.default({ type: 'none' }), 'where peers, pools and blocks come from besides this file', 'restart'),
		bgp: key(bgp.exactOptional(), 'the speaker; required unless the data store is Kubernetes', 'reset'),
		policies: key(z.record(z.string(), policySchema).default({}), 'policies by name, for `importPolicies` and `exportPolicies`', 'routes'),
		pools: key(list(pool, 'pools').default([]), 'address pools', 'live'),
		ipam: key(ipam.prefault({}), 'addresses in a cluster', 'restart'),
		ipip: key(ipip.prefault({}), 'the tunnel', 'live'),
		fib: key(fib.prefault({}), 'the routes in the kernel', 'restart'),
		control: key(control.prefault({}), 'the socket of the commands', 'restart'),
		metrics: key(metrics.prefault({}), 'figures for Prometheus', 'restart'),
		log: key(log.prefault({}), 'the log, on standard error', 'live'),
	}),
	'a map of settings such as bgp:, fib:, log:',
);

/** The file as it was read, defaults filled in but groups not yet applied. */
export type FileConfig = z.output<typeof configSchema>;
