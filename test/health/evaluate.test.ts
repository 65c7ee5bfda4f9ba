import test from 'ava';
import {
	blocks,
	checkLimits,
	checkSettings,
	evaluate,
	type HealthFacts,
	HealthTracker,
	type PeerFact,
	type ProblemId,
	problems,
	readConnections,
	settingName,
	settingsToWrite,
	sustained,
} from '../../src/health/index.ts';

const established = {
	name: 'tor',
	address: '10.0.1.1',
	port: 179,
	passive: false,
	state: 'established',
	enabled: true,
	dynamic: false,
};

const well: HealthFacts = {
	peers: [established],
	fib: { failed: [], failedCount: 0, refusal: undefined, staticProblems: [] },
	leftRoutes: [],
	planes: [{ name: 'ipip', failures: [] }],
	networkPolicy: undefined,
	settings: [],
	limits: [],
	mtuHoles: [],
	unreachableNextHops: [],
	withoutNextHop: [],
	nearLimit: [],
	withoutKey: [],
	cluster: {
		server: 'https://10.0.0.1:6443',
		awaySinceMs: undefined,
		refusals: [],
		unreadable: [],
		unusable: [],
		notFollowed: [],
		noAddresses: undefined,
	},
	recentBlockSeconds: 0.01,
	lastReloadError: undefined,
	descriptors: [],
	policies: [],
	interfacePolicies: [],
};

const needs = { ipv4: true, ipv6: true, tunnels: ['tunl0'], interfaces: [], direct: [], pods: ['cali1', 'cali2'] };
const kernel: Readonly<Record<string, string>> = {
	'net/ipv4/ip_forward': '1',
	'net/ipv6/conf/all/forwarding': '1',
	'net/ipv4/conf/all/rp_filter': '0',
	'net/ipv4/conf/tunl0/rp_filter': '0',
	'net/ipv4/conf/all/proxy_arp': '0',
	'net/ipv4/conf/cali1/proxy_arp': '1',
};
const settings = (changed: Readonly<Record<string, string | undefined>>) =>
	checkSettings(needs, (path) => ({ ...kernel, ...changed })[path]);

/** `all`: the value for all interfaces; the device has 0. */
const directSettings = (all: string) =>
	checkSettings({ ipv4: false, ipv6: false, tunnels: [], interfaces: [], direct: ['bgpmesh-dsr'], pods: [] }, (path) =>
		path.includes('/all/') ? all : '0',
	);

const plane = (failures: HealthFacts['planes'][number]['failures']) => ({ planes: [{ name: 'ipip', failures }] });
const clusterWith = (changed: Partial<NonNullable<HealthFacts['cluster']>>) => ({
	cluster: { ...(well.cluster as NonNullable<HealthFacts['cluster']>), ...changed },
});
const fibWith = (changed: Partial<NonNullable<HealthFacts['fib']>>) => ({
	fib: { ...(well.fib as NonNullable<HealthFacts['fib']>), ...changed },
});

test('a node without a fault has no problem', (t) => {
	t.deepEqual(evaluate({ ...well, settings: settings({}) }), []);
});

const down = { ...established, name: 'b', address: '10.0.1.3', state: 'active', lastError: { message: 'refused' } };
/** Faults, the resulting problems, and whether they block readiness and the Node's network. */
const rows: readonly {
	readonly title: string;
	readonly facts: Partial<HealthFacts>;
	readonly ids: readonly ProblemId[];
	readonly ready: boolean;
	readonly network: boolean;
}[] = [
	{
		title: 'a refused route',
		facts: fibWith({ failed: [{ prefix: '192.168.2.0/26', reason: 'Network is down' }], failedCount: 1 }),
		ids: ['route-failed'],
		ready: false,
		network: false,
	},
	{
		title: 'more refused routes than the list contains',
		facts: fibWith({ failed: [{ prefix: '192.168.2.0/26', reason: 'Network is down' }], failedCount: 900 }),
		ids: ['route-failed', 'route-failed'],
		ready: false,
		network: false,
	},
	{
		title: 'another service proxy',
		facts: { servicesRefusal: { reason: 'nftables table ip kube-proxy', remedy: 'bgpmesh services takeover' } },
		ids: ['services-refused'],
		ready: false,
		network: true,
	},
	{
		title: 'another policy engine',
		facts: { networkPolicy: { refusal: 'Felix (Calico): chains cali-FORWARD', problems: [] } },
		ids: ['network-policy-refused'],
		ready: false,
		network: true,
	},
	{
		title: 'eBPF that was asked for and is not in use',
		facts: { networkPolicy: { refusal: undefined, fallback: 'the policy does not fit: 40,000 rules', problems: [] } },
		ids: ['dataplane-fallback'],
		ready: true,
		network: true,
	},
	{
		title: 'a policy that is not enforced as written',
		facts: {
			networkPolicy: { refusal: undefined, problems: [{ subject: 'NetworkPolicy a/b', reason: 'fails-closed: http' }] },
		},
		ids: ['network-policy-problem'],
		ready: true,
		network: true,
	},
	{
		title: 'another route programmer',
		facts: fibWith({ refusal: { seen: 'kernel', reason: 'Felix', hint: 'stop it' } }),
		ids: ['other-programmer'],
		ready: false,
		network: false,
	},
	{
		title: 'routes that are left to Felix, which does not write them',
		facts: {
			leftRoutes: [
				{ pool: '192.168.0.0/16', reason: 'Felix', routes: [{ prefix: '192.168.2.0/26', via: '10.0.1.3' }] },
			],
		},
		ids: ['left-without-route'],
		ready: false,
		network: true,
	},
	{
		title: 'a peer route that the kernel refused',
		facts: fibWith({ staticProblems: ['no route to 10.9.0.1/32'] }),
		ids: ['peer-route-failed'],
		ready: true,
		network: true,
	},
	{
		title: 'a kernel without ipip',
		facts: plane([{ subject: 'tunl0', reason: 'Operation not supported', kind: 'device' }]),
		ids: ['tunnel-device'],
		ready: false,
		network: false,
	},
	{
		title: 'a path that loses packets of full size',
		facts: {
			mtuHoles: [{ node: 'node-c', nodeAddress: '10.0.2.2', device: 'tunl0', mtuBytes: 1480, passesBytes: 1384 }],
		},
		ids: ['tunnel-mtu'],
		ready: true,
		network: true,
	},
	{
		title: 'a guard that is not loaded',
		facts: plane([{ subject: 'guard', reason: 'nft is missing', kind: 'guard' }]),
		ids: ['tunnel-guard'],
		ready: true,
		network: true,
	},
	{
		title: 'a masquerade that is not loaded',
		facts: plane([{ subject: 'nat', reason: 'nft is missing', kind: 'masquerade' }]),
		ids: ['masquerade'],
		ready: false,
		network: true,
	},
	{
		title: 'an object of another plane',
		facts: plane([{ subject: '10.0.2.2', reason: 'EPERM' }]),
		ids: ['plane-failed'],
		ready: false,
		network: true,
	},
	{
		title: 'IPv4 forwarding turned off',
		facts: { settings: settings({ 'net/ipv4/ip_forward': '0' }) },
		ids: ['ipv4-forwarding'],
		ready: false,
		network: false,
	},
	{
		title: 'IPv6 forwarding turned off',
		facts: { settings: settings({ 'net/ipv6/conf/all/forwarding': '0' }) },
		ids: ['ipv6-forwarding'],
		ready: false,
		network: false,
	},
	{
		title: 'a kernel without IPv6 under an IPv6 pool',
		facts: { settings: settings({ 'net/ipv6/conf/all/forwarding': undefined }) },
		ids: ['ipv6-forwarding'],
		ready: false,
		network: false,
	},
	{
		title: 'strict reverse path filtering on the tunnel, by the setting of all interfaces',
		facts: { settings: settings({ 'net/ipv4/conf/all/rp_filter': '1' }) },
		ids: ['rp-filter-strict'],
		ready: true,
		network: true,
	},
	{
		title: 'strict reverse path filtering under direct server return, by the setting of all interfaces',
		facts: { settings: directSettings('1') },
		ids: ['direct-return-strict'],
		ready: true,
		network: true,
	},
	{
		title: 'loose reverse path filtering under direct server return',
		facts: { settings: directSettings('2') },
		ids: [],
		ready: true,
		network: true,
	},
	{
		title: 'a pod whose gateway does not answer ARP',
		facts: { settings: settings({ 'net/ipv4/conf/cali1/proxy_arp': '0' }) },
		ids: ['pod-gateway-silent'],
		ready: true,
		network: true,
	},
	{
		title: 'a table of connections that is nearly full',
		facts: { limits: checkLimits({ connections: { count: 901, most: 1000 }, tunnels: [], pods: [] }) },
		ids: ['conntrack-full'],
		ready: true,
		network: true,
	},
	{
		title: 'routes of this node without a next hop',
		facts: { withoutNextHop: [{ peer: 'tor', family: 'ipv6' }] },
		ids: ['no-next-hop'],
		ready: true,
		network: true,
	},
	{
		title: 'a peer near its limit, and one without the key of its range',
		facts: {
			nearLimit: [{ peer: 'tor', family: 'ipv4', received: 95, limit: 100, action: 'shutdown' }],
			withoutKey: [{ peer: 'b', range: 'rack' }],
		},
		ids: ['prefix-limit', 'peer-key-missing'],
		ready: true,
		network: true,
	},
	{
		title: 'one of two sessions down',
		facts: { peers: [established, down] },
		ids: ['session-down'],
		ready: true,
		network: true,
	},
	{
		title: 'all sessions down',
		facts: { peers: [down] },
		ids: ['no-session', 'session-down'],
		ready: false,
		network: true,
	},
	{
		title: 'a session that was disabled, and a dynamic one',
		facts: {
			peers: [
				{ ...down, enabled: false },
				{ ...down, dynamic: true },
			],
		},
		ids: [],
		ready: true,
		network: true,
	},
	{
		title: 'an unreachable next hop',
		facts: { unreachableNextHops: ['10.0.9.1'] },
		ids: ['next-hop-unreachable'],
		ready: true,
		network: true,
	},
	{
		title: 'an unreachable API server, for which missing addresses are no separate problem',
		facts: clusterWith({ awaySinceMs: 5, noAddresses: 'it is away' }),
		ids: ['api-server-away'],
		ready: true,
		network: true,
	},
	{
		title: 'a kind without permission',
		facts: clusterWith({ refusals: [{ kind: 'Secret', namespace: 'kube-system', reason: 'forbidden' }] }),
		ids: ['resources-refused'],
		ready: true,
		network: true,
	},
	{
		title: 'an unreadable block',
		facts: clusterWith({ unreadable: [{ kind: 'block', name: '10-0-0-0-26', problem: 'no cidr' }] }),
		ids: ['ipam-unreadable'],
		ready: true,
		network: true,
	},
	{
		title: 'no free addresses',
		facts: clusterWith({ noAddresses: 'the datastore is read-only' }),
		ids: ['ipam-unavailable'],
		ready: false,
		network: true,
	},
	{
		title: 'a state of the cluster that was not applied',
		facts: clusterWith({
			unusable: ['BGPFilter x has an unknown criterion'],
			notFollowed: [{ step: 'sessions', error: 'PeerExistsError', sinceMs: 5 }],
		}),
		ids: ['resource-unusable', 'cluster-not-followed'],
		ready: false,
		network: true,
	},
	{
		title: 'a blocked event loop',
		facts: { recentBlockSeconds: 2.5 },
		ids: ['event-loop-blocked'],
		ready: true,
		network: true,
	},
	{
		title: 'a rejected reload',
		facts: { lastReloadError: { at: '2026-01-02T11:00:00.000Z', message: 'a\nb' } },
		ids: ['config-rejected'],
		ready: true,
		network: true,
	},
	{
		title: 'few descriptors and missing policies',
		facts: { descriptors: ['few'], policies: ['none'], interfacePolicies: ['unknown'] },
		ids: ['descriptors-short', 'policy-missing', 'policy-interface-unknown'],
		ready: true,
		network: true,
	},
];
for (const { title, facts, ids, ready, network } of rows) {
	test(`${title}: ${ids.join(', ') || 'no problem'}`, (t) => {
		const found = evaluate({ ...well, ...facts });
		t.deepEqual(
			found.map(({ id }) => id),
			ids,
		);
		t.is(blocks('ready', found).length === 0, ready);
		t.is(blocks('network', found).length === 0, network);
		for (const { reason } of found) t.true(reason.length > 2);
	});
}

test('every problem of the table is reached by a rule', (t) => {
	const reached = new Set(rows.flatMap(({ ids }) => ids));
	t.deepEqual(
		Object.keys(problems).filter((id) => !reached.has(id as ProblemId)),
		[],
	);
});

test('a problem keeps its start time while it persists, and gets a new one when it returns', (t) => {
	const tracker = new HealthTracker();
	const failed = (reason: string) => [{ id: 'route-failed', subject: '10.0.0.0/24', reason }] as const;
	t.deepEqual(
		[
			tracker.update(failed('Network is down'), 1000),
			tracker.update(failed('No buffer space'), 2000),
			tracker.update([], 3000),
			tracker.update(failed('Network is down'), 4000),
		].map((found) => found.map(({ sinceMs }) => sinceMs)),
		[[1000], [1000], [], [4000]],
	);
});

test('errors precede warnings, and the source may provide the start time', (t) => {
	const found = new HealthTracker().update(
		[
			{ id: 'api-server-away', subject: 's', reason: 'requests fail', sinceMs: 5 },
			{ id: 'route-failed', subject: '10.0.0.0/24', reason: 'EPERM' },
		],
		1000,
	);
	t.deepEqual(
		found.map(({ id, severity, sinceMs }) => [id, severity, sinceMs]),
		[
			['route-failed', 'error', 1000],
			['api-server-away', 'warning', 5],
		],
	);
});

test('only settings that are wrong, writable for the daemon and present in the kernel are written', (t) => {
	t.deepEqual(settingsToWrite(settings({})), []);
	t.deepEqual(
		settingsToWrite(
			settings({
				'net/ipv4/ip_forward': '0',
				'net/ipv6/conf/all/forwarding': undefined,
				'net/ipv4/conf/tunl0/rp_filter': '1',
				'net/ipv4/conf/cali2/proxy_arp': '0',
			}),
		),
		[
			{ path: 'net/ipv4/ip_forward', value: '1' },
			{ path: 'net/ipv4/conf/tunl0/rp_filter', value: '2' },
			{ path: 'net/ipv4/conf/cali2/proxy_arp', value: '1' },
		],
	);
	const reports = checkSettings(
		{ ipv4: true, ipv6: false, tunnels: [], interfaces: ['eth0'], direct: [], pods: [] },
		() => '1',
	);
	t.deepEqual(settingsToWrite(reports), []);
	t.deepEqual(
		reports.map(({ subject, ok }) => [subject, ok]),
		[
			['net.ipv4.ip_forward', true],
			['net.ipv4.conf.eth0.rp_filter', false],
		],
	);
});

test('a node without IPv6 pools leaves the IPv6 settings unchanged', (t) => {
	const checks = checkSettings(
		{ ipv4: false, ipv6: false, tunnels: ['tunl0'], interfaces: ['eth0'], direct: [], pods: ['cali1'] },
		() => '0',
	);
	t.deepEqual(checks, []);
});

test('a setting has its sysctl name', (t) => {
	t.is(settingName('net/ipv4/conf/eth0.100/rp_filter'), 'net.ipv4.conf.eth0/100.rp_filter');
});

test('the remedy of a setting names the device that it is about', (t) => {
	const checks = checkSettings(
		{ ipv4: true, ipv6: false, tunnels: ['tunl0', 'vxlan.calico'], interfaces: [], direct: [], pods: ['cali1'] },
		(path) => (/vxlan|ip_forward/.test(path) ? '1' : '0'),
	);
	const remedies = evaluate({ ...well, settings: checks }).map(({ subject, remedy }) => [
		subject,
		remedy?.split(/[ ;]/)[2],
	]);
	t.deepEqual(remedies, [
		['net.ipv4.conf.vxlan/calico.rp_filter', 'net.ipv4.conf.vxlan/calico.rp_filter=2'],
		['net.ipv4.conf.cali1.proxy_arp', 'net.ipv4.conf.cali1.proxy_arp=1'],
	]);
});

test('the MTU of a tunnel has the bound of its uplink, that of a pod the least tunnel', (t) => {
	const numbers = {
		connections: undefined,
		tunnels: [
			{ name: 'tunl0', mtuBytes: 1480, mostBytes: 1480 },
			{ name: 'vxlan.calico', mtuBytes: 1460, mostBytes: 1450 },
		],
		pods: [
			{ name: 'cali1', mtuBytes: 1461 },
			{ name: 'cali2', mtuBytes: 1460 },
		],
	};
	const seen = checkLimits(numbers).map(({ subject, found, most, ok }) => [subject, found, most, ok]);
	t.deepEqual(seen, [
		['MTU of tunl0', 1480, 1480, true],
		['MTU of vxlan.calico', 1460, 1450, false],
		['MTU of cali1', 1461, 1460, false],
		['MTU of cali2', 1460, 1460, true],
	]);
	t.deepEqual(checkLimits({ ...numbers, tunnels: [] }), [], 'without tunnels');
});

test('the table of connections is nearly full above 90 % of its maximum', (t) => {
	const ok = (values: Readonly<Record<string, string>>) =>
		checkLimits({
			connections: readConnections((path) => values[path.replace('net/netfilter/nf_conntrack_', '')]),
			tunnels: [],
			pods: [],
		}).map((check) => check.ok);
	t.deepEqual(ok({ count: '900', max: '1000' }), [true]);
	t.deepEqual(ok({ count: '901', max: '1000' }), [false]);
	t.deepEqual(ok({ count: '901', max: '0' }), [], 'no maximum');
	t.deepEqual(ok({ count: '901' }), [], 'no such setting');
	t.deepEqual(ok({}), [], 'no connection tracking');
});

test('routes without a program are named with their nodes, the pool and the reason', (t) => {
	const routes = [1, 2, 3, 4, 5].map((at) => ({ prefix: `192.168.${at}.0/26`, via: `10.0.1.${at}` }));
	const [found] = evaluate({ ...well, leftRoutes: [{ pool: '192.168.0.0/16', reason: 'so it is', routes }] });
	t.is(found?.subject, '192.168.0.0/16');
	t.is(
		found?.reason,
		'the kernel has no route to 192.168.1.0/26 of 10.0.1.1, 192.168.2.0/26 of 10.0.1.2, 192.168.3.0/26 of 10.0.1.3 ' +
			'and 2 more; this node leaves routes of the pool: so it is',
	);
});

test('a black hole is named with the node, the sizes and the key to set', (t) => {
	const hole = { node: 'node-c', nodeAddress: '10.0.2.2', device: 'tunl0', mtuBytes: 1480, passesBytes: 1384 };
	const [found] = evaluate({ ...well, mtuHoles: [hole] });
	t.is(found?.subject, 'node-c');
	t.is(
		found?.reason,
		'packets of 1480 bytes through tunl0 to node-c (10.0.2.2) are lost, those of up to 1384 bytes arrive',
	);
	t.regex(found?.remedy ?? '', /1384 .*`ipip\.mtuBytes`/);
});

test('a problem that was reported at the start stays reported before its patience is over', (t) => {
	const device = { id: 'tunnel-device', subject: 'tunl0', sinceMs: 1000 } as const;
	const route = { id: 'plane-failed', subject: '10.0.0.0/26', sinceMs: 4000 } as const;
	t.deepEqual(sustained([device], [], 1000), [device], 'at the first check, without patience');
	t.deepEqual(sustained([device, route], [device], -9000), [device]);
	t.deepEqual(sustained([device, route], [], -9000), []);
	t.deepEqual(sustained([device, route], [device], 4000), [device, route]);
	t.deepEqual(sustained([], [device], 4000), []);
});

test('without any session the remedy names the ports to which this node connects', (t) => {
	const remedyOf = (...peers: Partial<PeerFact>[]) =>
		evaluate({ ...well, peers: peers.map((peer) => ({ ...down, ...peer })) }).find(({ id }) => id === 'no-session')
			?.remedy ?? '';
	t.regex(remedyOf({}), /^Check TCP port 179 to the peers/);
	t.regex(remedyOf({ port: 1179 }, { port: 179 }, { port: 1179 }), /^Check TCP ports 179, 1179 to the peers/);
	t.regex(remedyOf({ port: 1179 }, { passive: true }), /^Check TCP port 1179 to the peers/);
	t.is(remedyOf({ passive: true }), '');
});
