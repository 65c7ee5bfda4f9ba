import test from 'ava';
import { WellKnownCommunity } from 'bgp-packet';

import { eventually } from '../../support/eventually.ts';
import { acceptAll, open, WireBench } from '../../support/wire-bench.ts';

const theirs = '10.1.0.0/16';
const ours = '10.2.0.0/16';
const preferred = {
	...acceptAll,
	name: 'preferred',
	terms: [
		{ match: {}, action: 'continue' as const, operations: [{ type: 'add-community' as const, value: '65001:9' }] },
	],
};

for (const { title, options } of [
	{ title: 'an external peer', options: { asNumber: 65002, options: open } },
	{
		title: 'an external peer with policies',
		options: { asNumber: 65002, options: { importPolicies: [preferred], exportPolicies: [preferred] } },
	},
	{ title: 'a client', options: { options: { reflectorClient: true } } },
]) {
	test(`RFC 8326: while ${title} is about to go, routes of both directions are the last resort, and the session stays`, async (t) => {
		const bench = await WireBench.start(t, {
			peers: { leaving: options, inside: { options: { reflectorClient: true } } },
		});
		await bench.connect();
		const { leaving, inside } = bench.peers;
		leaving.announce([theirs]);
		inside.announce([ours]);
		await bench.settle();
		const marked = () =>
			[inside.table.get(theirs), leaving.table.get(ours)].map((attributes) =>
				attributes?.communities?.includes(WellKnownCommunity.gracefulShutdown),
			);
		t.false(marked().includes(true));
		t.is(inside.table.get(theirs)?.localPref, 100);

		const change = bench.speaker.updatePeer({ ...leaving.options, gracefulShutdown: true });
		t.is(change.effect, 'routes');
		await eventually('both are marked', () => marked().every((is) => is === true));
		t.is(inside.table.get(theirs)?.localPref, 0);

		bench.speaker.updatePeer(leaving.options);
		await eventually('none is marked', () => marked().every((is) => is !== true));
		t.is(inside.table.get(theirs)?.localPref, 100);
		t.is(bench.speaker.peer('leaving')?.establishedCount, 1);
	});
}

test('RFC 8326: GRACEFUL_SHUTDOWN opens no peer that policy keeps closed (RFC 8212)', async (t) => {
	const closed = { asNumber: 65002, options: { gracefulShutdown: true }, hears: false };
	const bench = await WireBench.start(t, { peers: { closed, inside: { options: { reflectorClient: true } } } });
	await bench.connect();
	bench.peers.closed.announce([theirs]);
	bench.peers.inside.announce([ours]);
	await bench.settle();
	t.deepEqual([bench.peers.inside.holds(theirs), bench.peers.closed.holds(ours)], [false, false]);
});

test('RFC 8326: a route with GRACEFUL_SHUTDOWN from an external peer has LOCAL_PREF 0 inside', async (t) => {
	const bench = await WireBench.start(t, {
		peers: { outside: { asNumber: 65002, options: open }, inside: { options: { reflectorClient: true } } },
	});
	await bench.connect();
	bench.peers.outside.announce([theirs], { communities: [WellKnownCommunity.gracefulShutdown] });
	await bench.settle();
	t.is(bench.peers.inside.table.get(theirs)?.localPref, 0);
});

test('RFC 8326: that holds with any LOCAL_PREF of import policy', async (t) => {
	const raising = {
		...acceptAll,
		terms: [{ match: {}, action: 'accept' as const, operations: [{ type: 'set-local-pref' as const, value: 200 }] }],
	};
	const outside = { asNumber: 65002, options: { ...open, importPolicies: [raising] } };
	const bench = await WireBench.start(t, { peers: { outside, inside: { options: { reflectorClient: true } } } });
	await bench.connect();
	bench.peers.outside.announce([theirs]);
	bench.peers.outside.announce([ours], { communities: [WellKnownCommunity.gracefulShutdown] });
	await bench.settle();
	t.deepEqual(
		[bench.peers.inside.table.get(theirs)?.localPref, bench.peers.inside.table.get(ours)?.localPref],
		[200, 0],
	);
});
