import test from 'ava';
import type { AsPath, PathAttributes } from 'bgp-packet';

import { eventually } from '../../support/eventually.ts';
import { open, WireBench } from '../../support/wire-bench.ts';

const bytes = (text: string): Uint8Array => Uint8Array.from(text.split('.').map(Number));
const sequence = (...asNumbers: number[]): AsPath => [{ type: 'sequence', asNumbers }];
const prefix = '10.1.0.0/16';
const other = '10.2.0.0/16';

/** An internal neighbour that is not a client, and two external ones. */
const around = {
	inside: {},
	outside: { asNumber: 65002, options: open },
	beyond: { asNumber: 65003, options: open },
} as const;

test('[C134][C135] to another AS our number is in front and the next hop is ours', async (t) => {
	const bench = await WireBench.start(t, { peers: around });
	await bench.connect();
	bench.peers.outside.announce([prefix], { asPath: sequence(65002, 65010), nextHop: bytes('10.1.0.1') });
	await bench.settle();
	const { beyond, inside } = bench.peers;
	t.deepEqual(beyond.table.get(prefix)?.asPath, sequence(65001, 65002, 65010));
	t.deepEqual(beyond.table.get(prefix)?.nextHop, bytes(bench.address));
	t.deepEqual(inside.table.get(prefix)?.asPath, sequence(65002, 65010));
	t.deepEqual(inside.table.get(prefix)?.nextHop, bytes('10.1.0.1'));
});

test('[C134] a path that begins with a set gets a sequence in front', async (t) => {
	const bench = await WireBench.start(t, {
		peers: { ...around, outside: { asNumber: 65002, options: { ...open, enforceFirstAs: false } } },
	});
	await bench.connect();
	const set = { type: 'set', asNumbers: [65010, 65011] } as const;
	bench.peers.outside.announce([prefix], { asPath: [set] });
	await bench.settle();
	t.deepEqual(bench.peers.beyond.table.get(prefix)?.asPath, [{ type: 'sequence', asNumbers: [65001] }, set]);
});

test('[C134] a sequence of 255 is not made longer, another one is put in front', async (t) => {
	const bench = await WireBench.start(t, { peers: around });
	await bench.connect();
	const long = Array.from({ length: 255 }, (_, index) => (index === 0 ? 65002 : 64000));
	bench.peers.outside.announce([prefix], { asPath: sequence(...long) });
	await bench.settle();
	t.deepEqual(
		bench.peers.beyond.table.get(prefix)?.asPath?.map(({ asNumbers }) => asNumbers.length),
		[1, 255],
	);
});

test('[C134] what is originated here has an empty path inside and our number outside', async (t) => {
	const bench = await WireBench.start(t, { peers: around });
	await bench.connect();
	// A canonical key.
	bench.rib.originate(prefix as never, { nextHop: '10.9.0.1' });
	await bench.settle();
	t.deepEqual(bench.peers.inside.table.get(prefix)?.asPath, []);
	t.deepEqual(bench.peers.outside.table.get(prefix)?.asPath, sequence(65001));
});

test('[C136] MED is passed on inside the AS and not to another one', async (t) => {
	const bench = await WireBench.start(t, { peers: around });
	await bench.connect();
	bench.peers.outside.announce([prefix], { med: 77 });
	await bench.settle();
	t.is(bench.peers.inside.table.get(prefix)?.med, 77);
	t.is(bench.peers.beyond.table.get(prefix)?.med, undefined);
});

test('[C120][C121] LOCAL_PREF is in every UPDATE inside, in none outside, and one from outside counts nothing', async (t) => {
	const bench = await WireBench.start(t, { peers: around });
	await bench.connect();
	bench.peers.outside.announce([prefix], { localPref: 7 });
	bench.peers.inside.announce([other], { localPref: 50 });
	await bench.settle();
	t.is(bench.peers.inside.table.get(prefix)?.localPref, 100);
	t.is(bench.peers.beyond.table.get(prefix)?.localPref, undefined);
	t.is(bench.peers.beyond.table.get(other)?.localPref, undefined);
	t.true(bench.peers.beyond.table.has(other));
});

test('[C137][C140] aggregation marks and communities are passed on as they are', async (t) => {
	const bench = await WireBench.start(t, { peers: around });
	await bench.connect();
	const kept: PathAttributes = {
		atomicAggregate: true,
		aggregator: { asNumber: 65010, routerId: 0x0c000001 },
		communities: [(65002 << 16) >>> 0, 123],
		largeCommunities: [[65002, 1, 2]],
	};
	bench.peers.outside.announce([prefix], kept);
	await bench.settle();
	t.like(bench.peers.inside.table.get(prefix), kept);
	t.like(bench.peers.beyond.table.get(prefix), kept);
});

test('[C138] a path with our own number is never used', async (t) => {
	const bench = await WireBench.start(t, { peers: around });
	await bench.connect();
	bench.peers.outside.announce([prefix], { asPath: sequence(65002, 65001, 65010) });
	await bench.settle();
	t.deepEqual(bench.peers.inside.prefixes, []);
	t.deepEqual(bench.peers.beyond.prefixes, []);
});

for (const { title, community, inside, beyond } of [
	{ title: 'NO_EXPORT', community: 0xffffff01, inside: true, beyond: false },
	{ title: 'NO_ADVERTISE', community: 0xffffff02, inside: false, beyond: false },
	{ title: 'NO_EXPORT_SUBCONFED', community: 0xffffff03, inside: true, beyond: false },
	{ title: 'any other community', community: 0xfde90001, inside: true, beyond: true },
]) {
	test(`[C139] ${title} goes inside: ${inside}, outside: ${beyond}`, async (t) => {
		const bench = await WireBench.start(t, { peers: around });
		await bench.connect();
		bench.peers.outside.announce([prefix], { communities: [community] });
		await bench.settle();
		t.deepEqual([bench.peers.inside.table.has(prefix), bench.peers.beyond.table.has(prefix)], [inside, beyond]);
	});
}

test('[C161] a route from inside is not sent to another one inside without reflection', async (t) => {
	const bench = await WireBench.start(t, { rib: { clusterId: undefined }, peers: { ...around, second: {} } });
	await bench.connect();
	bench.peers.inside.announce([prefix]);
	await bench.settle();
	t.deepEqual(bench.peers.second.prefixes, []);
	t.deepEqual(bench.peers.outside.prefixes, [prefix]);
});

test('[C161] of two routes only the better one is sent', async (t) => {
	const bench = await WireBench.start(t, { peers: around });
	await bench.connect();
	bench.peers.outside.announce([prefix], { asPath: sequence(65002, 65010, 65011), communities: [1] });
	bench.peers.beyond.announce([prefix], { asPath: sequence(65003, 65011), communities: [2] });
	await bench.settle();
	t.deepEqual(bench.peers.inside.table.get(prefix)?.communities, [2]);
	t.deepEqual(bench.peers.outside.table.get(prefix)?.communities, [2]);
	t.false(bench.peers.beyond.table.has(prefix));
});

test('[C162] a change that changes nothing for a peer is not sent', async (t) => {
	const bench = await WireBench.start(t, { peers: around });
	await bench.connect();
	bench.peers.outside.announce([prefix], { med: 1 });
	await bench.settle();
	// MED is not sent to another AS.
	bench.peers.outside.announce([prefix], { med: 2 });
	await bench.settle();
	const seen = (history: readonly string[]) => history.filter((entry) => entry.endsWith(prefix));
	t.is(bench.peers.inside.table.get(prefix)?.med, 2);
	t.deepEqual(seen(bench.peers.inside.history), [`+${prefix}`, `+${prefix}`]);
	t.deepEqual(seen(bench.peers.beyond.history), [`+${prefix}`]);
});

test('[C163] a route is not sent back, and is withdrawn where the best one comes from', async (t) => {
	const bench = await WireBench.start(t, { peers: around });
	await bench.connect();
	const { outside, beyond } = bench.peers;
	outside.announce([prefix], { asPath: sequence(65002, 65010) });
	await bench.settle();
	t.false(outside.table.has(prefix));
	t.true(beyond.table.has(prefix));
	beyond.announce([prefix], { asPath: sequence(65003) });
	await bench.settle();
	t.true(outside.table.has(prefix));
	t.false(beyond.table.has(prefix));
});

test('[C166] the loss of a session takes its routes away everywhere, its return brings everything', async (t) => {
	const bench = await WireBench.start(t, { peers: around });
	await bench.connect();
	const { outside, inside, beyond } = bench.peers;
	outside.announce([prefix, other]);
	beyond.announce(['10.3.0.0/16']);
	await bench.settle();
	t.deepEqual(inside.prefixes, [prefix, other, '10.3.0.0/16']);
	outside.raw?.close();
	await eventually('its routes are gone', () => inside.prefixes.length === 1);
	await bench.connect('outside');
	await bench.settle();
	t.deepEqual(outside.prefixes, ['10.3.0.0/16']);
});

test('[C167] a second announcement replaces the first, a withdrawal of nothing is no error', async (t) => {
	const bench = await WireBench.start(t, { peers: around });
	await bench.connect();
	const { outside, inside } = bench.peers;
	outside.announce([prefix], { communities: [1] });
	outside.announce([prefix], { communities: [2] });
	outside.withdraw([other]);
	await bench.settle();
	t.deepEqual(inside.table.get(prefix)?.communities, [2]);
	outside.withdraw([prefix]);
	await bench.settle();
	t.deepEqual(inside.prefixes, []);
	t.is(bench.speaker.peer('outside')?.state, 'established');
});

test('[C187] both families, and IPv4 in either place, fill the same tables', async (t) => {
	const bench = await WireBench.start(t, { peers: around });
	await bench.connect();
	const { outside, inside } = bench.peers;
	outside.announce(['2001:db8:1::/48']);
	outside.announce([prefix]);
	await bench.settle();
	t.deepEqual(inside.prefixes, [prefix, '2001:db8:1::/48']);
	outside.withdraw(['2001:db8:1::/48']);
	await bench.settle();
	t.deepEqual(inside.prefixes, [prefix]);
});

test('[C221] without policies nothing goes to another AS or comes from it; inside everything does', async (t) => {
	const bench = await WireBench.start(t, {
		peers: { inside: {}, client: { options: { reflectorClient: true } }, outside: { asNumber: 65002, hears: false } },
	});
	await bench.connect();
	bench.peers.outside.announce([prefix]);
	bench.peers.inside.announce([other]);
	await bench.settle();
	t.deepEqual(bench.peers.client.prefixes, [other]);
	t.deepEqual(bench.peers.outside.prefixes, []);
	t.is(bench.rib.routes({ received: 'outside' }).length, 1);
});

test('[C13] a route that does not fit 4096 octets is withdrawn from a peer without RFC 8654, and reaches one with it', async (t) => {
	const long = { asNumber: 65003, options: open, capabilities: [{ type: 'extended-message' } as const] };
	const bench = await WireBench.start(t, {
		peers: { outside: { asNumber: 65002, options: open, capabilities: long.capabilities }, short: {}, long },
	});
	await bench.connect();
	const { outside, short, long: able } = bench.peers;
	outside.announce([prefix], { communities: [1] });
	await bench.settle();
	t.true(short.holds(prefix));
	const communities = Array.from({ length: 1200 }, (_, index) => index + 1);
	outside.announce([prefix], { communities });
	await bench.settle();
	t.false(short.holds(prefix));
	t.deepEqual(able.table.get(prefix)?.communities, communities);
	t.is(bench.speaker.peer('short')?.state, 'established');
});

test('[C186] of two IPv6 next hops the link-local one goes no further', async (t) => {
	const bench = await WireBench.start(t, {
		peers: { inside: { options: { reflectorClient: true } }, second: { options: { reflectorClient: true } } },
	});
	await bench.connect();
	const global = Uint8Array.from([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
	const linkLocal = Uint8Array.from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
	bench.peers.inside.announce(['2001:db8:1::/48'], { nextHop: Uint8Array.from([...global, ...linkLocal]) });
	await bench.settle();
	t.deepEqual(bench.peers.second.table.get('2001:db8:1::/48')?.nextHop, global);
});
