import test from 'ava';
import { type BestRoute, type Encapsulation, type PrefixKey, prefixKey } from '../../src/core/index.ts';
import {
	type DesiredInputs,
	desired,
	type ForeignRoute,
	type KernelRoute,
	routeMapOf,
	wantedRoute,
	wayBy,
} from '../../src/fib/index.ts';
import { blackhole, unicast } from './kernel-contract.ts';

const best = (prefix: string, nextHop: string | undefined, more: Partial<BestRoute> = {}): BestRoute => ({
	prefix: prefixKey(prefix),
	family: prefix.includes(':') ? 'ipv6' : 'ipv4',
	nextHop,
	source: 'internal',
	peer: 'node-b',
	localPref: 100,
	...more,
});

const inputs = (
	routes: readonly BestRoute[],
	encapsulation: Encapsulation,
	more: Partial<DesiredInputs> = {},
): DesiredInputs & { readonly best: ReadonlyMap<PrefixKey, BestRoute> } => ({
	best: new Map(routes.map((route) => [route.prefix, route])),
	origins: new Set(),
	statics: new Map(),
	datastore: new Map(),
	encapsulate: () => encapsulation,
	resolve: () => undefined,
	metric: 1024,
	...more,
});

const block = prefixKey('192.168.1.0/26');
const origins = new Set([block]);
const rows: readonly { title: string; inputs: ReturnType<typeof inputs>; route?: KernelRoute; reason?: RegExp }[] = [
	{
		title: 'a next hop in a local subnet: through its interface',
		inputs: inputs([best(block, '10.0.1.3')], { type: 'direct', device: 'eth0' }),
		route: unicast(block, '10.0.1.3', 'eth0'),
	},
	{
		title: 'a tunnel: the next hop is installed as onlink',
		inputs: inputs([best(block, '10.0.2.2')], { type: 'ipip', device: 'tunl0' }),
		route: unicast(block, '10.0.2.2', 'tunl0', { onlink: true }),
	},
	{
		title: 'a next hop outside the subnets: by the route that leads there',
		inputs: inputs(
			[best(block, '10.0.2.2')],
			{ type: 'direct' },
			{ resolve: () => ({ via: '10.0.1.1', device: 'eth0' }) },
		),
		route: unicast(block, '10.0.1.1', 'eth0'),
	},
	{
		title: 'a link-local next hop: through the interface of its session, with any interface subnets',
		inputs: inputs([best(prefixKey('2001:db8:1::/48'), 'fe80::b', { nextHopInterface: 'eth1' })], {
			type: 'direct',
			device: 'eth0',
		}),
		route: unicast(prefixKey('2001:db8:1::/48'), 'fe80::b', 'eth1'),
	},
	{
		title: 'a link-local next hop without an interface: no route',
		inputs: inputs([best(prefixKey('2001:db8:1::/48'), 'fe80::b')], { type: 'direct' }),
		reason: /no route leads to the next hop fe80::b/,
	},
	{
		title: 'VXLAN: by the tunnel address of the node',
		inputs: inputs([best(block, '10.0.2.2')], { type: 'vxlan', device: 'vxlan.calico', via: '172.30.2.0' }),
		route: unicast(block, '172.30.2.0', 'vxlan.calico', { onlink: true }),
	},
	{
		title: 'a route of the datastore precedes one of BGP',
		inputs: inputs(
			[best(block, '10.0.1.3')],
			{ type: 'direct', device: 'eth0' },
			{ datastore: new Map([[block, '10.0.1.4']]) },
		),
		route: unicast(block, '10.0.1.4', 'eth0'),
	},
	{
		title: 'equal paths: one route with all of them, in order',
		inputs: inputs([best(block, '10.0.1.9', { alternatives: ['10.0.1.3', '10.0.1.5'] })], {
			type: 'direct',
			device: 'eth0',
		}),
		route: unicast(block, '10.0.1.3', 'eth0', {
			others: [
				{ via: '10.0.1.5', device: 'eth0', onlink: false },
				{ via: '10.0.1.9', device: 'eth0', onlink: false },
			],
		}),
	},
	{
		title: 'equal paths through one gateway: a single next hop',
		inputs: inputs(
			[best(block, '10.0.2.2', { alternatives: ['10.0.2.3'] })],
			{ type: 'direct' },
			{ resolve: () => ({ via: '10.0.1.1', device: 'eth0' }) },
		),
		route: unicast(block, '10.0.1.1', 'eth0'),
	},
	{
		title: 'a preferred source: on the routes of its family',
		inputs: inputs(
			[best(block, '10.0.1.3')],
			{ type: 'direct', device: 'eth0' },
			{ sources: { ipv4: '10.0.1.2', ipv6: 'fd00::2' } },
		),
		route: unicast(block, '10.0.1.3', 'eth0', { source: '10.0.1.2' }),
	},
	{
		title: 'an unreachable next hop',
		inputs: inputs([best(block, '10.0.2.2')], { type: 'direct' }),
		reason: /no route leads to the next hop 10\.0\.2\.2/,
	},
	{
		title: 'a pool of another route owner',
		inputs: inputs([best(block, '10.0.2.2')], { type: 'none', reason: 'VXLAN is Felix’s' }),
		reason: /Felix/,
	},
	{ title: 'an own block: a blackhole', inputs: inputs([], { type: 'direct' }, { origins }), route: blackhole(block) },
	{
		title: 'an own block that another speaker also announces: still a blackhole',
		inputs: inputs([best(block, '10.0.1.3')], { type: 'direct', device: 'eth0' }, { origins }),
		route: blackhole(block),
	},
	{
		title: "an own block of one address: left to the pod's route",
		inputs: inputs([], { type: 'direct' }, { origins: new Set([prefixKey('192.168.1.7/32')]) }),
		reason: /one address/,
	},
	{
		title: 'an announcement of this node that is not a block',
		inputs: inputs([best(block, undefined)], { type: 'direct' }),
		reason: /this node/,
	},
	{
		title: 'a metric set by a policy',
		inputs: inputs([best(block, '10.0.1.3', { priority: 50 })], { type: 'direct', device: 'eth0' }),
		route: unicast(block, '10.0.1.3', 'eth0', { metric: 50 }),
	},
];

for (const { title, inputs: given, route, reason } of rows) {
	test(`desired route for ${title}`, (t) => {
		const [prefix] = [...given.origins, ...given.best.keys()];
		const wanted = prefix === undefined ? undefined : wantedRoute(prefix, given.best.get(prefix), given);
		if (route === undefined) t.regex(wanted?.type === 'skip' ? wanted.reason : '', reason ?? /never/);
		else t.deepEqual(wanted?.type === 'route' ? wanted.route : undefined, route);
		t.deepEqual([...desired(given.best, given).values()], route === undefined ? [] : [route]);
	});
}

test('a prefix without a route or announcement has no desired route', (t) => {
	t.is(wantedRoute(block, undefined, inputs([], { type: 'direct' })), undefined);
});

const foreign = (prefix: string, via: string | undefined, device: string, metric = 0): ForeignRoute => ({
	prefix: prefixKey(prefix) as PrefixKey,
	family: prefix.includes(':') ? 'ipv6' : 'ipv4',
	via,
	device,
	metric,
	protocol: 4,
});

const table = [
	foreign('0.0.0.0/0', '10.0.1.1', 'eth0', 100),
	foreign('0.0.0.0/0', '10.0.3.1', 'eth1', 50),
	foreign('10.0.1.0/24', undefined, 'eth0'),
	foreign('10.9.0.0/16', '10.0.1.9', 'eth0'),
	foreign('fd00::/64', undefined, 'eth0'),
];

for (const { nextHop, way, why } of [
	{ nextHop: '10.0.1.3', way: { via: '10.0.1.3', device: 'eth0' }, why: 'on the link: itself' },
	{ nextHop: '10.9.4.4', way: { via: '10.0.1.9', device: 'eth0' }, why: 'the most specific route, at any metric' },
	{
		nextHop: '10.0.2.2',
		way: { via: '10.0.3.1', device: 'eth1' },
		why: 'of two defaults the one with the lower metric',
	},
	{ nextHop: 'fd00::5', way: { via: 'fd00::5', device: 'eth0' }, why: 'IPv6 on the link' },
	{ nextHop: 'fd01::5', way: undefined, why: 'no IPv6 default' },
]) {
	test(`the way to ${nextHop}: ${why}`, (t) => t.deepEqual(wayBy(nextHop, routeMapOf(table)), way));
}

for (const nextHop of ['fe80::b', '::ffff:10.0.1.3']) {
	test(`no foreign route leads to ${nextHop}`, (t) => {
		const foreign: ForeignRoute[] = ['::/0', 'fe80::/64', '10.0.1.0/24'].map((prefix) => ({
			prefix: prefixKey(prefix),
			family: prefix.includes(':') ? 'ipv6' : 'ipv4',
			protocol: 2,
			via: undefined,
			device: 'eth0',
			metric: 256,
		}));
		t.is(wayBy(nextHop, routeMapOf(foreign)), undefined);
		t.not(wayBy('10.0.1.3', routeMapOf(foreign)), undefined);
	});
}
