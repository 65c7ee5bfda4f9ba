import test from 'ava';
import type { PathAttributes } from 'bgp-packet';

import { eventually } from '../../support/eventually.ts';
import { open, WireBench } from '../../support/wire-bench.ts';

const bytes = (text: string): Uint8Array => Uint8Array.from(text.split('.').map(Number));
const prefix = '10.1.0.0/16';
const client = { options: { reflectorClient: true } };
/** Our cluster and identifier. */
const own = 0x0a000001;

/** Two clients, two non-clients, one external neighbour. */
const around = {
	client: { ...client, routerId: 0x0c000001 },
	second: { ...client, routerId: 0x0c000002 },
	inside: { routerId: 0x0c000003 },
	other: { routerId: 0x0c000004 },
	outside: { asNumber: 65002, options: open },
};
type Name = keyof typeof around;

for (const { from, to } of [
	{ from: 'inside', to: ['client', 'second', 'outside'] },
	{ from: 'client', to: ['second', 'inside', 'other', 'outside'] },
	{ from: 'outside', to: ['client', 'second', 'inside', 'other'] },
] as const) {
	test(`[C168][C177] a route from '${from}' goes to ${to.join(', ')}`, async (t) => {
		const bench = await WireBench.start(t, { peers: around });
		await bench.connect();
		bench.peers[from].announce([prefix]);
		await bench.settle();
		// The record has exactly these names.
		const have = (Object.keys(around) as Name[]).filter((name) => bench.peers[name].table.has(prefix));
		t.deepEqual(have, [...to]);
	});
}

test('[C169] clients that are fully meshed are not reflected to each other', async (t) => {
	const bench = await WireBench.start(t, { rib: { clientToClientReflection: false }, peers: around });
	await bench.connect();
	bench.peers.client.announce([prefix]);
	await bench.settle();
	t.deepEqual([bench.peers.second.table.has(prefix), bench.peers.inside.table.has(prefix)], [false, true]);
});

test('[C170][C172] the first reflector adds the originator and its cluster', async (t) => {
	const bench = await WireBench.start(t, { peers: around });
	await bench.connect();
	bench.peers.client.announce([prefix]);
	await bench.settle();
	t.like(bench.peers.inside.table.get(prefix), { originatorId: 0x0c000001, clusterList: [own] });
});

test('[C170][C172] another reflector leaves the originator and puts its cluster in front', async (t) => {
	const bench = await WireBench.start(t, { rib: { clusterId: 0x77777777 }, peers: around });
	await bench.connect();
	bench.peers.client.announce([prefix], { originatorId: 0x0d000001, clusterList: [0x0d0d0d0d, 0x0e0e0e0e] });
	await bench.settle();
	t.like(bench.peers.second.table.get(prefix), {
		originatorId: 0x0d000001,
		clusterList: [0x77777777, 0x0d0d0d0d, 0x0e0e0e0e],
	});
});

for (const { title, attributes } of [
	{ title: '[C171] ORIGINATOR_ID is our identifier', attributes: { originatorId: own } },
	{ title: '[C173][C174] CLUSTER_LIST holds our cluster', attributes: { originatorId: 5, clusterList: [1, own, 2] } },
] satisfies { title: string; attributes: PathAttributes }[]) {
	test(`${title}: the route is ignored, the session stays`, async (t) => {
		const bench = await WireBench.start(t, { peers: around });
		await bench.connect();
		bench.peers.client.announce([prefix], attributes);
		await bench.settle();
		t.false(bench.peers.second.table.has(prefix));
		t.is(bench.speaker.peer('client')?.state, 'established');
		t.is(typeof bench.rib.routes({ received: 'client' })[0]?.ineligible, 'string');
	});
}

test('[C174] the cluster of a reflector is its own to choose', async (t) => {
	const bench = await WireBench.start(t, { rib: { clusterId: 99 }, peers: around });
	await bench.connect();
	bench.peers.client.announce([prefix], { originatorId: 5, clusterList: [own] });
	await bench.settle();
	t.deepEqual(bench.peers.second.table.get(prefix)?.clusterList, [99, own]);
});

test('[C175][C178] everything else is passed on as it came, unknown attributes included', async (t) => {
	const bench = await WireBench.start(t, { peers: around });
	await bench.connect();
	const attributes: PathAttributes = {
		origin: 'egp',
		asPath: [{ type: 'sequence', asNumbers: [65010, 4_200_000_001] }],
		nextHop: bytes('10.66.0.1'),
		med: 5,
		localPref: 333,
		communities: [1, 0xfde90001],
		extendedCommunities: [Uint8Array.of(0, 2, 0, 1, 0, 0, 0, 1)],
		largeCommunities: [[1, 2, 3]],
		unknown: [{ code: 250, flags: 0xe0, value: Uint8Array.of(1, 2, 3) }],
	};
	bench.peers.client.announce([prefix], attributes);
	await bench.settle();
	const { originatorId, clusterList, ...rest } = bench.peers.inside.table.get(prefix) ?? {};
	t.deepEqual([originatorId, clusterList], [0x0c000001, [own]]);
	t.deepEqual(rest, attributes);
});

test('[C98][C99] of unknown attributes the transitive ones go on, marked as partial, the others stay here', async (t) => {
	const bench = await WireBench.start(t, { peers: around });
	await bench.connect();
	const value = Uint8Array.of(1, 2, 3);
	bench.peers.outside.announce([prefix], {
		unknown: [26, 230, 250].map((code) => ({ code, flags: code === 250 ? 0xc0 : 0x80, value })),
	});
	await bench.settle();
	t.deepEqual(bench.peers.inside.table.get(prefix)?.unknown, [{ code: 250, flags: 0xe0, value }]);
	t.deepEqual(bench.peers.second.table.get(prefix)?.unknown, [{ code: 250, flags: 0xe0, value }]);
});

test('[C176] outside there is neither ORIGINATOR_ID nor CLUSTER_LIST, nor on what comes from outside or from here', async (t) => {
	const bench = await WireBench.start(t, { peers: around });
	await bench.connect();
	bench.peers.client.announce([prefix], { originatorId: 5, clusterList: [6] });
	bench.peers.outside.announce(['10.2.0.0/16']);
	bench.rib.originate('10.3.0.0/16' as never, { nextHop: '10.9.0.1' });
	await bench.settle();
	const marks = ({ originatorId, clusterList }: PathAttributes = {}) => [originatorId, clusterList];
	t.true(bench.peers.outside.table.has(prefix));
	t.deepEqual(marks(bench.peers.outside.table.get(prefix)), [undefined, undefined]);
	t.deepEqual(marks(bench.peers.client.table.get('10.2.0.0/16')), [undefined, undefined]);
	t.deepEqual(marks(bench.peers.client.table.get('10.3.0.0/16')), [undefined, undefined]);
});

test('[C179] a withdrawal by the originator reaches every speaker', async (t) => {
	const bench = await WireBench.start(t, { peers: around });
	await bench.connect();
	bench.peers.client.announce([prefix]);
	await bench.settle();
	bench.peers.client.withdraw([prefix]);
	await bench.settle();
	for (const name of ['second', 'inside', 'other', 'outside'] as const) t.deepEqual(bench.peers[name].prefixes, []);
});

test('[C180] a neighbour that becomes a client is sent what clients are sent, without a reset', async (t) => {
	const bench = await WireBench.start(t, { peers: around });
	await bench.connect();
	bench.peers.inside.announce([prefix]);
	await bench.settle();
	t.false(bench.peers.other.table.has(prefix));
	t.is(bench.speaker.updatePeer({ ...bench.peers.other.options, reflectorClient: true }).effect, 'routes');
	await eventually('it has the route', () => bench.peers.other.table.has(prefix));
	bench.speaker.updatePeer(bench.peers.other.options);
	await eventually('it lost the route', () => !bench.peers.other.table.has(prefix));
	t.is(bench.speaker.peer('other')?.establishedCount, 1);
});

const paths = { addPath: { sends: true, receives: true } };
const many = {
	client: { ...client, ...paths, routerId: 0x0c000001 },
	second: { ...client, routerId: 0x0c000002 },
	third: { ...client, routerId: 0x0c000003 },
	plain: { ...client },
};

test('[C181] with add-path a neighbour is sent every path with its own originator', async (t) => {
	const bench = await WireBench.start(t, { peers: many });
	await bench.connect();
	bench.peers.second.announce([prefix]);
	bench.peers.third.announce([prefix]);
	await bench.settle();
	const held = [...bench.peers.client.table.entries()].filter(([key]) => key.startsWith(prefix));
	t.deepEqual(held.map(([, { originatorId }]) => originatorId).sort(), [0x0c000002, 0x0c000003]);
	t.is(new Set(held.map(([key]) => key)).size, 2);
	t.is([...bench.peers.plain.table.keys()].filter((key) => key.startsWith(prefix)).length, 1);
});

test('[C197] paths of one prefix are distinguished by their identifier', async (t) => {
	const bench = await WireBench.start(t, { peers: many });
	await bench.connect();
	const { client: sender, plain } = bench.peers;
	sender.announce([prefix], { localPref: 300, communities: [1] }, 1);
	sender.announce([prefix], { localPref: 200, communities: [2] }, 2);
	await bench.settle();
	t.deepEqual(plain.table.get(prefix)?.communities, [1]);
	t.is(bench.rib.routes({ received: 'client' }).length, 2);
	sender.announce([prefix], { localPref: 100, communities: [3] }, 1);
	await bench.settle();
	t.deepEqual(plain.table.get(prefix)?.communities, [2]);
	sender.withdraw([prefix], 2);
	await bench.settle();
	t.deepEqual(plain.table.get(prefix)?.communities, [3]);
	sender.withdraw([prefix], 1);
	await bench.settle();
	t.false(plain.table.has(prefix));
});

test('[C198][C199] identifiers stay while a path lives, and the loss of the best path takes no other one away', async (t) => {
	const bench = await WireBench.start(t, { peers: many });
	await bench.connect();
	const { client: receiver, second, third } = bench.peers;
	second.announce([prefix], { localPref: 300 });
	third.announce([prefix], { localPref: 200 });
	await bench.settle();
	const keyOf = (originator: number) =>
		[...receiver.table.entries()].find(
			([key, { originatorId }]) => key.startsWith(prefix) && originatorId === originator,
		)?.[0];
	const kept = keyOf(0x0c000003);
	second.withdraw([prefix]);
	await bench.settle();
	t.is(keyOf(0x0c000003), kept);
	t.is(keyOf(0x0c000002), undefined);
	t.false(receiver.history.includes(`-${kept}`));
});

/** Clients in two clusters of their own, one in the reflector's cluster, one non-client. */
const [red, blue] = [0x01010101, 0x02020202];
const clusters = {
	red: { options: { reflectorClient: true, clusterId: red }, routerId: 0x0c000001 },
	alsoRed: { options: { reflectorClient: true, clusterId: red }, routerId: 0x0c000002 },
	blue: { options: { reflectorClient: true, clusterId: blue }, routerId: 0x0c000003 },
	plain: { ...client, routerId: 0x0c000004 },
	inside: { routerId: 0x0c000005 },
};
type InCluster = keyof typeof clusters;

for (const { from, lists } of [
	{ from: 'red', lists: { red: undefined, alsoRed: [red], blue: [blue, red], plain: [own, red], inside: [red] } },
	{
		from: 'plain',
		lists: { red: [red, own], alsoRed: [red, own], blue: [blue, own], plain: undefined, inside: [own] },
	},
	{ from: 'inside', lists: { red: [red], alsoRed: [red], blue: [blue], plain: [own], inside: undefined } },
] satisfies { from: InCluster; lists: Record<InCluster, number[] | undefined> }[]) {
	test(`[C172][C174] a route from '${from}' has passed the clusters of both clients, once where they are in the same`, async (t) => {
		const bench = await WireBench.start(t, { peers: clusters });
		await bench.connect();
		bench.peers[from].announce([prefix], { originatorId: 5, clusterList: [9] });
		await bench.settle();
		// The record has exactly these names.
		const seen = Object.entries(bench.peers).map(([name, peer]) => [name, peer.table.get(prefix)?.clusterList]);
		t.deepEqual(
			Object.fromEntries(seen),
			Object.fromEntries(
				Object.entries(lists).map(([name, list]) => [name, list === undefined ? undefined : [...list, 9]]),
			),
		);
	});
}

test('[C173][C174] what passed the cluster of any client is not taken, from any peer, and is once no client is in it', async (t) => {
	const bench = await WireBench.start(t, { peers: clusters });
	await bench.connect();
	bench.peers.inside.announce([prefix], { originatorId: 5, clusterList: [7, blue] });
	await bench.settle();
	t.false(bench.peers.plain.holds(prefix));
	t.is(bench.rib.routes({ received: 'inside' })[0]?.ineligible, 'own cluster in CLUSTER_LIST');
	t.is(bench.speaker.updatePeer({ ...bench.peers.blue.options, clusterId: undefined }).effect, 'routes');
	await eventually('the route is taken', () => bench.peers.plain.holds(prefix));
	t.deepEqual(bench.peers.blue.table.get(prefix)?.clusterList, [own, 7, blue]);
});

test('[C174][C180] the cluster of a client changes on a live session: what is reflected of it, and to it, follows', async (t) => {
	const bench = await WireBench.start(t, { peers: clusters });
	await bench.connect();
	bench.peers.red.announce([prefix]);
	bench.peers.inside.announce(['10.2.0.0/16']);
	await bench.settle();
	bench.speaker.updatePeer({ ...bench.peers.red.options, clusterId: 3 });
	const list = (name: InCluster, route = prefix) => bench.peers[name].table.get(route)?.clusterList;
	await eventually('both follow', () => list('alsoRed')?.length === 2 && list('red', '10.2.0.0/16')?.[0] === 3);
	await eventually('the others do', () => list('inside')?.[0] === 3);
	t.deepEqual([list('alsoRed'), list('blue'), list('plain'), list('inside')], [[red, 3], [blue, 3], [own, 3], [3]]);
	t.is(bench.speaker.peer('red')?.establishedCount, 1);
});
