import test from 'ava';
import { type BestRoute, type Encapsulation, type PrefixKey, prefixKey } from '../../src/core/index.ts';
import { type DesiredInputs, desired, type ForeignRoute, findWay, type KernelRoute, wantedRoute } from '../../src/fib/index.ts';
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

const inputs = (routes: readonly BestRoute[], encapsulation: Encapsulation, more: Partial<DesiredInputs> = {}): DesiredInputs => ({
	best: new Map(routes.map((route) => [route.prefix, route])),
	origins: new Set(),
	statics: new Map(),
	encapsulate: () => encapsulation,
	resolve: () => undefined,
	metric: 1024,
	...more,
});

const block = prefixKey('192.168.1.0/26');
const origins = new Set([block]);
const rows: readonly { title: string; inputs: DesiredInputs; route?: KernelRoute; reason?: RegExp }[] = [
	{
		title: 'a next hop in our subnet: through its interface',
		inputs: inputs([best(block, '10.0.1.3')], { type: 'direct', device: 'eth0' }),
		route: unicast(block, '10.0.1.3', 'eth0'),
	},
	{
		title: 'a tunnel: the next hop is on the link by our word',
		inputs: inputs([best(block, '10.0.2.2')], { type: 'tunnel', device: 'tunl0' }),
		route: unicast(block, '10.0.2.2', 'tunl0', { onlink: true }),
	},
	{
		title: 'a next hop elsewhere: the way that leads there',
		inputs: inputs([best(block, '10.0.2.2')], { type: 'direct' }, { resolve: () => ({ via: '10.0.1.1', device: 'eth0' }) }),
		route: unicast(block, '10.0.1.1', 'eth0'),
	},
	{
		title: 'a next hop that nothing leads to',
		inputs: inputs([best(block, '10.0.2.2')], { type: 'direct' }),
		reason: /no route leads to the next hop 10\.0\.2\.2/,
	},
	{ title: 'a pool of somebody else', inputs: inputs([best(block, '10.0.2.2')], { type: 'none', reason: 'VXLAN is Felix’s' }), reason: /Felix/ },
	{ title: 'an own block: a blackhole', inputs: inputs([], { type: 'direct' }, { origins }), route: blackhole(block) },
	{
		title: 'an own block that somebody else announces too: still a blackhole',
		inputs: inputs([best(block, '10.0.1.3')], { type: 'direct', device: 'eth0' }, { origins }),
		route: blackhole(block),
	},
	{
		title: 'an own block of one address: left to the pod’s route',
		inputs: inputs([], { type: 'direct' }, { origins: new Set([prefixKey('192.168.1.7/32')]) }),
		reason: /one address/,
	},
	{ title: 'an announcement of this node that is no block', inputs: inputs([best(block, undefined)], { type: 'direct' }), reason: /this node/ },
	{
		title: 'a metric that a policy asked for',
		inputs: inputs([best(block, '10.0.1.3', { priority: 50 })], { type: 'direct', device: 'eth0' }),
		route: unicast(block, '10.0.1.3', 'eth0', { metric: 50 }),
	},
];

for (const { title, inputs: given, route, reason } of rows) {
	test(`wanted for ${title}`, (t) => {
		const [prefix] = [...given.origins, ...given.best.keys()];
		const wanted = prefix === undefined ? undefined : wantedRoute(prefix, given);
		if (route === undefined) t.regex(wanted?.type === 'skip' ? wanted.reason : '', reason ?? /never/);
		else t.deepEqual(wanted?.type === 'route' ? wanted.route : undefined, route);
		t.deepEqual([...desired(given).values()], route === undefined ? [] : [route]);
	});
}

test('nothing is wanted for a prefix that nobody speaks of', (t) => {
	t.is(wantedRoute(block, inputs([], { type: 'direct' })), undefined);
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
	{ nextHop: '10.9.4.4', way: { via: '10.0.1.9', device: 'eth0' }, why: 'the most specific route, however dear' },
	{ nextHop: '10.0.2.2', way: { via: '10.0.3.1', device: 'eth1' }, why: 'of two defaults the one with the lower metric' },
	{ nextHop: 'fd00::5', way: { via: 'fd00::5', device: 'eth0' }, why: 'IPv6 on the link' },
	{ nextHop: 'fd01::5', way: undefined, why: 'no IPv6 default' },
]) {
	test(`the way to ${nextHop}: ${why}`, (t) => t.deepEqual(findWay(nextHop, table), way));
}
