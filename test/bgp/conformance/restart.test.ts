import test from 'ava';
import type { Capability } from 'bgp-packet';

import { FakeClock } from '../../fakes/clock.ts';
import { eventually } from '../../support/eventually.ts';
import { open, WireBench, type WirePeerOptions } from '../../support/wire-bench.ts';

const prefix = '10.1.0.0/16';
const six = '2001:db8:1::/48';

const restart = (forwarding: boolean, afis: readonly number[] = [1, 2], restartSeconds = 60): Capability => ({
	type: 'graceful-restart',
	restarting: false,
	notification: false,
	restartSeconds,
	families: afis.map((afi) => ({ afi, safi: 1, forwarding })),
});
const longLived = (staleSeconds: number): Capability => ({
	type: 'long-lived-graceful-restart',
	families: [1, 2].map((afi) => ({ afi, safi: 1, forwarding: true, staleSeconds })),
});

const client = { reflectorClient: true, longLivedStaleSeconds: 0 };
const helped = (...capabilities: Capability[]): WirePeerOptions => ({ options: client, capabilities });

/** The peer's routes at the watcher. */
async function crash(bench: WireBench<'peer' | 'watcher'>): Promise<void> {
	bench.peers.peer.raw?.close();
	await eventually('the session is over', () => bench.speaker.peer('peer')?.state !== 'established');
}

test('[C203] End-of-RIB comes for each family, also without any route', async (t) => {
	const bench = await WireBench.start(t, { peers: { peer: helped(restart(true)), watcher: { options: client } } });
	await bench.connect();
	await bench.settle();
	t.deepEqual([...bench.peers.peer.endOfRibs].sort(), ['ipv4', 'ipv6']);
});

test('[C204][C209] after the loss of TCP routes stay, marked as stale here and not withdrawn elsewhere', async (t) => {
	const bench = await WireBench.start(t, { peers: { peer: helped(restart(true)), watcher: { options: client } } });
	await bench.connect();
	bench.peers.peer.announce([prefix, '10.2.0.0/16']);
	await bench.settle();
	await crash(bench);
	await bench.settle();
	t.deepEqual(bench.peers.watcher.prefixes, [prefix, '10.2.0.0/16']);
	t.deepEqual(
		bench.rib.routes({ received: 'peer' }).map(({ stale, best }) => [stale, best]),
		[
			[true, true],
			[true, true],
		],
	);
	t.false(bench.peers.watcher.history.includes(`-${prefix}`));
});

test('[C205] after the restart time they go', async (t) => {
	const clock = new FakeClock();
	const bench = await WireBench.start(t, {
		clock,
		peers: { peer: helped(restart(true)), watcher: { options: client } },
	});
	await bench.connect();
	bench.peers.peer.announce([prefix]);
	await bench.settle();
	await crash(bench);
	clock.advance(59_000);
	await bench.settle();
	t.deepEqual(bench.peers.watcher.prefixes, [prefix]);
	clock.advance(2000);
	await eventually('they are gone', () => bench.peers.watcher.prefixes.length === 0);
	t.pass();
});

test('[C207] what is announced again is fresh, the rest goes at End-of-RIB', async (t) => {
	const bench = await WireBench.start(t, { peers: { peer: helped(restart(true)), watcher: { options: client } } });
	await bench.connect();
	const { peer, watcher } = bench.peers;
	peer.announce([prefix, '10.2.0.0/16']);
	await bench.settle();
	await crash(bench);
	await bench.connect('peer');
	peer.announce([prefix]);
	await bench.settle();
	t.deepEqual(watcher.prefixes, [prefix, '10.2.0.0/16']);
	peer.endOfRib(1, 2);
	await bench.settle();
	t.deepEqual(watcher.prefixes, [prefix]);
	t.deepEqual(
		bench.rib.routes({ received: 'peer' }).map(({ stale }) => stale),
		[false],
	);
});

for (const { title, again } of [
	{ title: 'the F bit is 0', again: [restart(false)] },
	{ title: 'the family is missing', again: [restart(true, [2])] },
	{ title: 'the capability is missing', again: [] },
]) {
	test(`[C206] the session comes back and ${title}: stale routes of the family go at once`, async (t) => {
		const bench = await WireBench.start(t, { peers: { peer: helped(restart(true)), watcher: { options: client } } });
		await bench.connect();
		const { peer, watcher } = bench.peers;
		peer.announce([prefix]);
		peer.announce([six]);
		await bench.settle();
		await crash(bench);
		peer.capabilities = again;
		await bench.connect('peer');
		await eventually('the IPv4 route is gone', () => !watcher.holds(prefix));
		t.pass();
	});
}

test('[C208] a second crash before the routes came again takes away what was stale', async (t) => {
	const bench = await WireBench.start(t, { peers: { peer: helped(restart(true)), watcher: { options: client } } });
	await bench.connect();
	const { peer, watcher } = bench.peers;
	peer.announce([prefix, '10.2.0.0/16']);
	await bench.settle();
	await crash(bench);
	await bench.connect('peer');
	peer.announce([prefix]);
	await bench.settle();
	await crash(bench);
	await bench.settle();
	t.deepEqual(watcher.prefixes, [prefix]);
});

test('[C211] a NOTIFICATION without the N bit ends it: routes go', async (t) => {
	const bench = await WireBench.start(t, { peers: { peer: helped(restart(true)), watcher: { options: client } } });
	await bench.connect();
	bench.peers.peer.announce([prefix]);
	await bench.settle();
	bench.peers.peer.raw?.send({ type: 'notification', code: 6, subcode: 4, data: new Uint8Array(0) });
	await eventually('they are gone', () => bench.peers.watcher.prefixes.length === 0);
	t.pass();
});

test('routes that are held go when the peer is disabled', async (t) => {
	const bench = await WireBench.start(t, { peers: { peer: helped(restart(true)), watcher: { options: client } } });
	await bench.connect();
	bench.peers.peer.announce([prefix]);
	await bench.settle();
	await crash(bench);
	bench.speaker.disable('peer');
	await eventually('they are gone', () => bench.peers.watcher.prefixes.length === 0);
	t.pass();
});

const forLong = { options: { ...client, longLivedStaleSeconds: 1000 }, capabilities: [restart(true), longLived(600)] };
const stale = 0xffff0006;
const noLongLived = 0xffff0007;
const longWatcher = {
	options: { ...client, longLivedStaleSeconds: 1000 },
	capabilities: [restart(true), longLived(600)],
};

test('[C215][C218] after the restart time routes live on as long-lived stale ones, with those that know of it', async (t) => {
	const clock = new FakeClock();
	const bench = await WireBench.start(t, {
		clock,
		peers: { peer: forLong, watcher: longWatcher, plain: { options: client } },
	});
	await bench.connect();
	const { peer, watcher, plain } = bench.peers;
	peer.announce([prefix], { communities: [7] });
	await bench.settle();
	t.true(plain.holds(prefix));
	peer.raw?.close();
	await eventually('the session is over', () => bench.speaker.peer('peer')?.state !== 'established');
	clock.advance(61_000);
	await eventually('it is marked', () => watcher.table.get(prefix)?.communities?.includes(stale) === true);
	await eventually('who does not know of it lost the route', () => !plain.holds(prefix));
	clock.advance(601_000);
	await eventually('it is over', () => !watcher.holds(prefix));
	t.pass();
});

test('[C215] what import put in front of a path is no loop in a long-lived stale route either (RFC 7705)', async (t) => {
	const clock = new FakeClock();
	const peer = {
		...forLong,
		asNumber: 65002,
		options: { ...forLong.options, ...open, reflectorClient: false, localAsNumber: 64999 },
	};
	const bench = await WireBench.start(t, { clock, peers: { peer, watcher: longWatcher } });
	await bench.connect();
	bench.peers.peer.announce([prefix]);
	await bench.settle();
	await crash(bench);
	clock.advance(61_000);
	await eventually('it is marked', () => bench.peers.watcher.table.get(prefix)?.communities?.includes(stale) === true);
	t.deepEqual(bench.peers.watcher.table.get(prefix)?.asPath, [{ type: 'sequence', asNumbers: [64999, 65002] }]);
});

test('[C216] routes that must not live long go at the restart time', async (t) => {
	const clock = new FakeClock();
	const bench = await WireBench.start(t, { clock, peers: { peer: forLong, watcher: longWatcher } });
	await bench.connect();
	bench.peers.peer.announce([prefix], { communities: [noLongLived] });
	bench.peers.peer.announce(['10.2.0.0/16']);
	await bench.settle();
	await crash(bench);
	clock.advance(61_000);
	await eventually('it is gone', () => !bench.peers.watcher.holds(prefix));
	t.true(bench.peers.watcher.holds('10.2.0.0/16'));
});

test('[C217] a route that was marked loses against one that was not', async (t) => {
	const bench = await WireBench.start(t, {
		peers: { peer: forLong, watcher: longWatcher, third: { options: client } },
	});
	await bench.connect();
	bench.peers.peer.announce([prefix], { localPref: 500, communities: [stale] });
	bench.peers.third.announce([prefix], { localPref: 50, communities: [3] });
	await bench.settle();
	t.deepEqual(bench.peers.watcher.table.get(prefix)?.communities, [3]);
});

test('[C219] the mark is passed on, and a fresh announcement takes it away', async (t) => {
	const clock = new FakeClock();
	const bench = await WireBench.start(t, { clock, peers: { peer: forLong, watcher: longWatcher } });
	await bench.connect();
	const { peer, watcher } = bench.peers;
	peer.announce([prefix]);
	peer.announce(['10.2.0.0/16'], { communities: [stale] });
	await bench.settle();
	t.deepEqual(watcher.table.get('10.2.0.0/16')?.communities, [stale]);
	await crash(bench);
	clock.advance(61_000);
	await eventually('it is marked', () => watcher.table.get(prefix)?.communities?.includes(stale) === true);
	await bench.connect('peer');
	peer.announce([prefix]);
	await bench.settle();
	t.false(watcher.table.get(prefix)?.communities?.includes(stale) ?? false);
});

test('[C220] with restart time 0 the long-lived phase starts at once', async (t) => {
	const bench = await WireBench.start(t, {
		peers: {
			peer: {
				options: { ...client, longLivedStaleSeconds: 1000 },
				capabilities: [restart(true, [1, 2], 0), longLived(600)],
			},
			watcher: longWatcher,
		},
	});
	await bench.connect();
	bench.peers.peer.announce([prefix]);
	await bench.settle();
	await crash(bench);
	await eventually('it is marked', () => bench.peers.watcher.table.get(prefix)?.communities?.includes(stale) === true);
	t.pass();
});

test('external routes are held as well', async (t) => {
	const bench = await WireBench.start(t, {
		peers: { peer: { asNumber: 65002, options: open, capabilities: [restart(true)] }, watcher: { options: client } },
	});
	await bench.connect();
	bench.peers.peer.announce([prefix]);
	await bench.settle();
	await crash(bench);
	await bench.settle();
	t.deepEqual(bench.peers.watcher.prefixes, [prefix]);
});
