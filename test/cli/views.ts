import type { StatusView } from '../../src/control/index.ts';
import type { ExplanationView, FibView, PeerView, RouteView } from '../../src/core/index.ts';
import { prefixKey } from '../../src/core/index.ts';

/** 2026-01-02 12:00:00 UTC: the current time of the screens in tests. */
export const nowMs = Date.UTC(2026, 0, 2, 12);

const messages = { open: 1, update: 3, notification: 0, keepalive: 245, refresh: 0, bytes: 5_120 };

export const tor: PeerView = {
	name: 'tor',
	address: '10.0.1.1',
	port: 179,
	asNumber: 64999,
	localAsNumber: 64512,
	kind: 'external',
	reflectorClient: false,
	dynamic: false,
	passive: false,
	state: 'established',
	enabled: true,
	since: '2026-01-02T09:58:03.123Z',
	routerId: '10.0.1.1',
	localAddress: '10.0.1.2',
	holdTimeSeconds: 90,
	keepaliveSeconds: 30,
	prefixes: [
		{ family: 'ipv4', received: 12, accepted: 10, best: 9, advertised: 4, stale: 0 },
		{ family: 'ipv6', received: 1, accepted: 1, best: 1, advertised: 0, stale: 0 },
	],
	messages: { received: messages, sent: { ...messages, update: 2, bytes: 4_700 } },
	establishedCount: 2,
	malformed: { treatedAsWithdraw: 3, attributesDiscarded: 1 },
	lastError: { at: '2026-01-02T09:57:58.000Z', message: 'hold timer expired' },
	lastNotificationSent: {
		at: '2026-01-02T09:57:58.000Z',
		code: 4,
		subcode: 0,
		name: 'Hold Timer Expired',
		dataHex: '',
	},
	lastNotificationReceived: {
		at: '2026-01-01T07:00:00.000Z',
		code: 6,
		subcode: 2,
		name: 'Cease, Administrative Shutdown',
		text: 'maintenance',
		dataHex: '0b6d61696e74656e616e6365',
	},
	capabilities: {
		sent: ['multiprotocol ipv4', 'multiprotocol ipv6', 'four-octet-as', 'extended-message'],
		received: ['multiprotocol ipv4', 'multiprotocol ipv6', 'four-octet-as'],
		negotiated: ['multiprotocol ipv4', 'multiprotocol ipv6', 'four-octet-as'],
	},
	timers: { hold: 81.24, keepalive: 12 },
};

export const peers: readonly PeerView[] = [
	tor,
	{
		...tor,
		name: '10.0.2.2',
		address: '10.0.2.2',
		asNumber: 64512,
		kind: 'internal',
		problems: [
			{
				id: 'no-next-hop',
				severity: 'warning',
				reason: 'its interface has no ipv6 address',
				remedy: 'Give it one.',
			},
		],
		reflectorClient: true,
		state: 'active',
		since: '2026-01-02T11:56:48.000Z',
		lastError: { at: '2026-01-02T11:56:48.000Z', message: 'connection refused\u001b[31m' },
	},
	{
		...tor,
		name: 'node-d',
		address: '10.0.2.4',
		asNumber: 4200000000,
		enabled: false,
		state: 'idle',
		since: '2025-12-04T12:00:00.000Z',
		lastError: { at: '', message: '' },
	},
];

const route: RouteView = {
	prefix: prefixKey('192.168.1.0/26'),
	nextHop: '10.0.1.3',
	source: 'internal',
	peer: 'node-b',
	best: true,
	stale: false,
	localPref: 100,
	origin: 'igp',
	asPath: '',
	communities: [],
	largeCommunities: [],
	extendedCommunities: [],
	clusterList: [],
};

export const routes: readonly RouteView[] = [
	{
		...route,
		prefix: prefixKey('0.0.0.0/0'),
		nextHop: '10.0.1.1',
		source: 'external',
		peer: 'tor',
		med: 50,
		asPath: '64999 65001 {65002 65003}',
		origin: 'incomplete',
		communities: ['64999:100', '65535:65281'],
	},
	route,
	{ ...route, best: false, stale: true, nextHop: '10.0.1.1', source: 'external', peer: 'tor', asPath: '64999' },
	{
		...route,
		prefix: prefixKey('192.168.1.64/26'),
		best: true,
		source: 'local',
		peer: undefined as never,
		nextHop: undefined as never,
	},
	{
		...route,
		prefix: prefixKey('127.0.0.0/8'),
		best: false,
		source: 'external',
		peer: 'tor',
		asPath: '64999',
		ineligible: 'martian',
	},
];

export const explanation: ExplanationView = {
	prefix: route.prefix,
	paths: [
		{
			...route,
			best: false,
			nextHop: '10.0.1.1',
			source: 'external',
			peer: 'tor',
			asPath: '64999 64998',
			lostAt: { step: 'as-path-length', rfc: 'RFC 4271 §9.1.2.2 (a)' },
		},
		route,
		{ ...route, best: false, peer: 'node-e', ineligible: 'own AS in the path' },
	],
};

export const fib: FibView = {
	enabled: true,
	inSync: false,
	waitingFor: ['bgp'],
	routeProtocol: 80,
	table: 254,
	metric: 1024,
	routes: [
		{ prefix: prefixKey('192.168.0.0/26'), type: 'blackhole', onlink: false, metric: 1024, state: 'installed' },
		{
			prefix: prefixKey('192.168.1.0/26'),
			type: 'unicast',
			via: '10.0.1.3',
			device: 'eth0',
			onlink: false,
			metric: 1024,
			state: 'installed',
		},
		{
			prefix: prefixKey('192.168.2.0/26'),
			type: 'unicast',
			via: '10.0.2.2',
			device: 'tunl0',
			onlink: true,
			metric: 1024,
			state: 'missing',
		},
		{
			prefix: prefixKey('192.168.3.0/26'),
			type: 'unicast',
			via: '10.0.2.3',
			device: 'tunl0',
			onlink: true,
			metric: 1024,
			state: 'failed',
			reason: 'Network is unreachable (ENETUNREACH)',
		},
		{
			prefix: prefixKey('192.168.9.0/26'),
			type: 'unicast',
			via: '10.0.1.9',
			device: 'eth0',
			onlink: false,
			metric: 1024,
			state: 'extra',
		},
	],
};

export const status: StatusView = {
	node: 'node-a',
	version: '0.1.0',
	pid: 4711,
	startedAt: '2026-01-02T09:57:00.000Z',
	uptimeSeconds: 7380,
	asNumber: 64512,
	routerId: '10.0.1.2',
	clusterId: '10.0.1.2',
	listen: ['0.0.0.0 port 179'],
	peers: { configured: 3, dynamic: 2, established: 3, disabled: 1 },
	rib: {
		inSync: true,
		waitingFor: [],
		prefixes: { ipv4: 14, ipv6: 1 },
		paths: { ipv4: 23, ipv6: 1 },
		attributeSets: 5,
		attributeMemory: { heldBytes: 520, residentBytes: 1_048_576 },
		updateGroups: 2,
		dirty: 0,
	},
	fib: {
		enabled: true,
		inSync: false,
		installed: 12,
		missing: 0,
		failed: 1,
		marks: { protocol: 80, table: 254, metric: 1024 },
	},
	nextHops: { tracked: 4, unreachable: [] },
	config: {
		file: '/etc/bgpmesh/bgpmeshd.yaml',
		loadedAt: '2026-01-02T09:57:00.000Z',
		lastReloadError: {
			at: '2026-01-02T11:00:00.000Z',
			message: '/etc/bgpmesh/bgpmeshd.yaml:4:3: bgp.asNumber: found 0, expected an AS number',
		},
	},
	process: { residentBytes: 83_886_080, heapBytes: 20_971_520, cpuSeconds: 12.34, longestBlockSeconds: 0.0123 },
	warnings: [
		'5000 sessions need about 5064 open files, the limit is 1024: raise LimitNOFILE= of the unit, or ulimit -n',
	],
	ready: false,
	problems: [
		{
			id: 'route-failed',
			severity: 'error',
			subject: '192.168.3.0/26',
			text: 'The kernel refused a route that this node needs.',
			reason: 'Network is down',
			remedy: 'Read the reason: `bgpmesh fib --diff` lists every refused route with the words of the kernel.',
			docs: 'reference/health.md',
			since: '2026-01-02T11:30:00.000Z',
		},
		{
			id: 'descriptors-short',
			severity: 'warning',
			subject: '',
			text: 'File descriptors are short: sessions cannot connect.',
			reason:
				'5000 sessions need about 5064 open files, the limit is 1024: raise LimitNOFILE= of the unit, or ulimit -n',
			remedy: 'Raise LimitNOFILE of the unit.',
			docs: 'reference/health.md',
			since: '2026-01-02T09:57:00.000Z',
		},
	],
};
