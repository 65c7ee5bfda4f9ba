import test from 'ava';
import type { AsPath, PathAttributes } from 'bgp-packet';

import { open, WireBench, type WirePeerOptions } from '../../support/wire-bench.ts';

const prefix = '10.1.0.0/16';
const path = (...asNumbers: number[]): AsPath => [{ type: 'sequence', asNumbers }];
const client = (routerId: number): WirePeerOptions => ({ options: { reflectorClient: true }, routerId });
const outside = (asNumber: number, routerId: number): WirePeerOptions => ({ asNumber, routerId, options: open });

/** Two clients, two neighbours in AS 65002, one in 65003, and one that only receives. */
const peers = {
	a: client(0x0c000001),
	b: client(0x0c000002),
	c: outside(65002, 0x0c000003),
	d: outside(65002, 0x0c000004),
	e: outside(65003, 0x0c000005),
	watcher: client(0x0c000009),
};
type Sender = 'a' | 'b' | 'c' | 'd' | 'e';

/**
 * The routes of each, the peer of the best route, and the step of the explanation that excluded the
 * first of the others.
 */
const rows: readonly { title: string; sent: Readonly<Partial<Record<Sender, PathAttributes>>>; best: Sender }[] = [
	{
		title: '[C150] the highest LOCAL_PREF',
		sent: { a: { localPref: 200, asPath: path(1, 2, 3) }, b: { localPref: 100 } },
		best: 'a',
	},
	{
		title: '[C150] a route from outside has 100',
		sent: { a: { localPref: 99 }, c: { asPath: path(65002, 1, 2) } },
		best: 'c',
	},
	{ title: '[C151] the shortest path', sent: { a: { asPath: path(1, 2) }, b: { asPath: path(1) } }, best: 'b' },
	{
		title: '[C151] a set counts one',
		sent: { a: { asPath: [{ type: 'set', asNumbers: [1, 2, 3] }] }, b: { asPath: path(1, 2) } },
		best: 'a',
	},
	{ title: '[C152] the lowest ORIGIN', sent: { a: { origin: 'incomplete' }, b: { origin: 'egp' } }, best: 'b' },
	{ title: '[C153] the lowest MED of one AS', sent: { c: { med: 20 }, d: { med: 10 } }, best: 'd' },
	{ title: '[C153] no MED is the lowest', sent: { c: { med: 1 }, d: {} }, best: 'd' },
	{ title: '[C153] MED counts nothing between two ASes', sent: { c: { med: 100 }, e: { med: 1 } }, best: 'c' },
	{ title: '[C155] outside before inside', sent: { a: { asPath: path(65002) }, c: {} }, best: 'c' },
	{ title: '[C157] the lowest identifier', sent: { b: {}, a: {} }, best: 'a' },
	{
		title: '[C157] ORIGINATOR_ID in its place',
		sent: { a: { originatorId: 0x0d000002, clusterList: [7] }, b: { originatorId: 0x0d000001, clusterList: [7] } },
		best: 'b',
	},
	{
		title: '[C158] the shortest CLUSTER_LIST',
		sent: { a: { originatorId: 0x0d000001, clusterList: [7, 8] }, b: { originatorId: 0x0d000001, clusterList: [7] } },
		best: 'b',
	},
	{
		title: '[C159] the lowest address',
		sent: { b: { originatorId: 0x0d000001, clusterList: [7] }, a: { originatorId: 0x0d000001, clusterList: [8] } },
		best: 'a',
	},
	// c beats d by MED; without c, d would have lost against e only by identifier.
	{
		title: '[C154] MED removes within a group, with any other routes beside it',
		sent: { d: { med: 1 }, c: { med: 5 }, e: { med: 0 } },
		best: 'd',
	},
];

for (const { title, sent, best } of rows) {
	test(`${title} is best, in either order of arrival`, async (t) => {
		// The record has exactly these names.
		const names = Object.keys(sent) as Sender[];
		for (const order of [names, names.toReversed()]) {
			const bench = await WireBench.start(t, { peers });
			await bench.connect(...names, 'watcher');
			for (const name of order) {
				bench.peers[name].announce([prefix], sent[name] ?? {});
				await bench.settle();
			}
			const { paths } = bench.rib.explain(prefix as never);
			t.deepEqual(
				paths.filter((candidate) => candidate.best).map(({ peer }) => peer),
				[best],
			);
			t.is(paths.filter(({ lostAt }) => lostAt !== undefined).length, names.length - 1);
			t.true(bench.peers.watcher.holds(prefix));
		}
	});
}

test('[C160] overlapping prefixes are routes of their own', async (t) => {
	const bench = await WireBench.start(t, { peers });
	await bench.connect('a', 'watcher');
	bench.peers.a.announce(['10.0.0.0/8', '10.1.0.0/16', '10.1.1.0/24', '10.1.1.1/32', '0.0.0.0/0']);
	await bench.settle();
	t.deepEqual(bench.peers.watcher.prefixes, ['0.0.0.0/0', '10.0.0.0/8', '10.1.0.0/16', '10.1.1.0/24', '10.1.1.1/32']);
});

test('[C165] what is held at the end does not depend on the order of arrival', async (t) => {
	const announcements: readonly (readonly [Sender, PathAttributes])[] = [
		['a', { asPath: path(65002), med: 3, communities: [1] }],
		['b', { asPath: path(65002), med: 1, communities: [2] }],
		['c', { med: 7, communities: [3] }],
		['d', { med: 2, communities: [4] }],
		['e', { med: 5, communities: [5] }],
	];
	const outcomes = new Set<string>();
	for (const shift of [0, 1, 2, 3, 4]) {
		const bench = await WireBench.start(t, { peers });
		await bench.connect();
		for (const [name, attributes] of [...announcements.slice(shift), ...announcements.slice(0, shift)]) {
			bench.peers[name].announce([prefix], attributes);
			await bench.settle();
		}
		const held = (['a', 'b', 'c', 'd', 'e', 'watcher'] as const).map(
			(name) => bench.peers[name].table.get(prefix)?.communities?.join() ?? '-',
		);
		outcomes.add(held.join(' '));
	}
	// MED leaves b of AS 65002, and e of AS 65003; e comes from outside.
	t.deepEqual([...outcomes], ['5 5 5 5 - 5']);
});
