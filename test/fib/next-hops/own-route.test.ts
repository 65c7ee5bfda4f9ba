import test from 'ava';
import { type BestRoute, parseAddress, prefixKey } from '../../../src/core/index.ts';
import type { KernelRoute } from '../../../src/fib/index.ts';
import { ownRouteTo, staticRouteTo } from '../../../src/fib/next-hops/own-route.ts';
import { PrefixTable } from '../../../src/fib/prefix-table.ts';
import { blackhole, unicast } from '../kernel-contract.ts';

const best = (prefix: string, nextHop: string | undefined): BestRoute => ({
	prefix: prefixKey(prefix),
	family: 'ipv4',
	nextHop,
	source: 'external',
	peer: 'tor',
	localPref: 100,
});

const rows: readonly {
	readonly title: string;
	readonly kernel: readonly KernelRoute[];
	readonly best: readonly BestRoute[];
	readonly held?: boolean;
	readonly found: string;
}[] = [
	{
		title: 'is none if no own route contains it',
		kernel: [unicast('10.8.0.0/16', '10.0.1.1', 'eth0')],
		best: [best('10.8.0.0/16', '10.0.1.1')],
		found: 'none',
	},
	{
		title: 'is the most specific one, with the next hop of BGP and not the gateway',
		kernel: [unicast('0.0.0.0/0', '10.0.1.1', 'eth0'), unicast('10.9.1.0/24', '10.0.1.2', 'eth0', { metric: 512 })],
		best: [best('0.0.0.0/0', '10.0.1.1'), best('10.9.1.0/24', '10.7.7.7')],
		found: '24 10.7.7.7 512',
	},
	{
		title: 'may be a default route',
		kernel: [unicast('0.0.0.0/0', '10.0.1.1', 'eth0')],
		best: [best('0.0.0.0/0', '10.0.1.1')],
		found: '0 10.0.1.1 1024',
	},
	{
		title: 'is none if the most specific one is a blackhole of this node',
		kernel: [unicast('0.0.0.0/0', '10.0.1.1', 'eth0'), blackhole('10.9.1.0/26')],
		best: [best('0.0.0.0/0', '10.0.1.1')],
		found: 'none',
	},
	{
		title: 'does not count before it is in the kernel',
		kernel: [],
		best: [best('10.9.1.0/24', '10.7.7.7')],
		found: 'none',
	},
	{
		title: 'does not count once only the kernel has it',
		kernel: [unicast('10.9.1.0/24', '10.0.1.2', 'eth0')],
		best: [],
		found: 'none',
	},
	{
		title: 'counts by its gateway while routes of an earlier run are held',
		kernel: [unicast('10.9.1.0/24', '10.0.1.2', 'eth0')],
		best: [],
		held: true,
		found: '24 10.0.1.2 1024',
	},
];
for (const { title, kernel, best: routes, held = false, found } of rows) {
	test(`our own route to an address ${title}`, (t) => {
		const table = new PrefixTable();
		for (const route of kernel) table.setRoutes(table.of(route.prefix), route);
		for (const route of routes) table.setBest(table.of(route.prefix), route);
		const own = ownRouteTo(parseAddress('10.9.1.7'), { table, statics: [], held });
		t.is(own === undefined ? 'none' : `${own.length} ${own.nextHop} ${own.metric}`, found);
	});
}

test('the most specific static route that contains an address provides its gateway', (t) => {
	const fixed = (prefix: string, via: string) => ({
		prefix: prefixKey(prefix),
		family: 'ipv4' as const,
		via,
		device: undefined,
		metric: 1024,
		protocol: 80,
	});
	const statics = [
		fixed('10.9.0.0/16', '10.0.1.1'),
		fixed('10.9.1.7/32', '10.0.1.2'),
		fixed('10.9.1.0/24', '10.0.1.3'),
	];
	const to = (address: string) => staticRouteTo(parseAddress(address), { statics })?.nextHop;
	t.deepEqual(
		[to('10.9.1.7'), to('10.9.1.8'), to('10.9.2.1'), to('10.8.0.1'), to('fd00::1')],
		['10.0.1.2', '10.0.1.3', '10.0.1.1', undefined, undefined],
	);
});
