import test from 'ava';
import type { AsPath, Capability } from 'bgp-packet';
import type { Policy } from '../../../src/bgp/index.ts';
import { rawSession } from '../../support/raw-session.ts';
import { open, WireBench, type WirePeerOptions } from '../../support/wire-bench.ts';

const prefix = '10.1.0.0/16';
const sequence = (...asNumbers: number[]): AsPath => [{ type: 'sequence', asNumbers }];
const inside: WirePeerOptions = { options: { reflectorClient: true } };
const outside = (asNumber: number, options: WirePeerOptions['options'] = {}): WirePeerOptions => ({
	asNumber,
	options: { ...open, ...options },
});
/** A speaker of 2-octet AS numbers. */
const twoOctets: Capability[] = [{ type: 'multiprotocol', afi: 1, safi: 1 }];
const numbers = (path: AsPath = []) => path.map(({ asNumbers }) => asNumbers);

for (const { title, allowOwnAs, path, used } of [
	{ title: 'once, which is allowed', allowOwnAs: 1, path: sequence(65002, 65001, 65010), used: true },
	{ title: 'twice, where once is allowed', allowOwnAs: 1, path: sequence(65002, 65001, 65001), used: false },
	{ title: 'twice, which is allowed', allowOwnAs: 2, path: sequence(65002, 65001, 65001), used: true },
]) {
	test(`[C138] a path with our own number ${title}, is ${used ? 'used' : 'not used'}`, async (t) => {
		const bench = await WireBench.start(t, { peers: { tor: outside(65002, { allowOwnAs }), inside } });
		await bench.connect();
		bench.peers.tor.announce([prefix], { asPath: path });
		await bench.settle();
		t.is(bench.peers.inside.holds(prefix), used);
	});
}

test('private numbers are removed towards an external peer that asks for it, and nowhere else (RFC 6996)', async (t) => {
	const bench = await WireBench.start(t, {
		peers: { tor: outside(65002), public: outside(3333, { removePrivateAs: true }), plain: outside(4444), inside },
	});
	await bench.connect();
	bench.peers.tor.announce([prefix], { asPath: sequence(65002, 2914, 4_200_000_001, 64511) });
	bench.peers.inside.announce(['10.2.0.0/16'], { asPath: [] });
	await bench.settle();
	const seen = (peer: keyof typeof bench.peers, which = prefix) =>
		numbers(bench.peers[peer].table.get(which)?.asPath).flat();
	t.deepEqual(seen('public'), [65001, 2914, 64511]);
	t.deepEqual(seen('public', '10.2.0.0/16'), [65001]);
	t.deepEqual(seen('plain'), [65001, 65002, 2914, 4_200_000_001, 64511]);
	t.deepEqual(seen('inside'), [65002, 2914, 4_200_000_001, 64511]);
});

for (const { title, options, sent, received } of [
	{ title: 'stands in front on both ways', options: {}, sent: [64999, 65001, 65010], received: [64999, 65002, 65020] },
	{
		title: 'stands in front of our own alone',
		options: { noPrependInbound: true },
		sent: [64999, 65001, 65010],
		received: [65002, 65020],
	},
	{
		title: 'stands in its place',
		options: { replaceOwnAs: true, noPrependInbound: true },
		sent: [64999, 65010],
		received: [65002, 65020],
	},
	{
		title: 'is not put into what a client of a route server sends',
		options: { routeServerClient: true },
		sent: [65010],
		received: [65002, 65020],
	},
]) {
	test(`the number that a neighbour has for us ${title}, and counts as ours in what it sends (RFC 7705)`, async (t) => {
		const tor = outside(65002, { localAsNumber: 64999, ...options });
		const bench = await WireBench.start(t, { peers: { tor, beyond: outside(65010), inside } });
		await bench.connect();
		const [own, looped, other] = ['10.2.0.0/16', '10.3.0.0/16', '10.4.0.0/16'];
		bench.peers.beyond.announce([prefix]);
		bench.peers.tor.announce([own], { asPath: sequence(65002, 65020) });
		bench.peers.tor.announce([looped], { asPath: sequence(65002, 64999) });
		bench.peers.tor.announce([other], { asPath: sequence(65020) });
		await bench.settle();
		t.deepEqual(numbers(bench.peers.tor.table.get(prefix)?.asPath).flat(), sent);
		t.deepEqual(numbers(bench.peers.inside.table.get(own)?.asPath).flat(), received);
		t.deepEqual(numbers(bench.peers.beyond.table.get(own)?.asPath).flat(), [65001, ...received]);
		t.false(bench.peers.inside.holds(looped));
		// The first-AS check uses the path as received.
		t.false(bench.peers.inside.holds(other));
	});
}

test('a path with the number that is put in front is not used where the number is in it once more, unless that is allowed', async (t) => {
	const tor = outside(65002, { localAsNumber: 64999, allowOwnAs: 1 });
	const bench = await WireBench.start(t, {
		peers: { tor, old: { ...outside(65030, { localAsNumber: 4_200_000_000 }), only: twoOctets }, inside },
	});
	await bench.connect();
	bench.peers.tor.announce([prefix], { asPath: sequence(65002, 64999) });
	bench.peers.tor.announce(['10.2.0.0/16'], { asPath: sequence(65002, 64999, 65001) });
	bench.peers.old.announce(['10.3.0.0/16']);
	await bench.settle();
	t.deepEqual(bench.peers.inside.prefixes, [prefix, '10.3.0.0/16']);
	t.deepEqual(numbers(bench.peers.inside.table.get('10.3.0.0/16')?.asPath).flat(), [4_200_000_000, 65030]);
});

test('what an import policy puts in front is no loop, and the first number is asked for behind it', async (t) => {
	const prepending: Policy = {
		name: 'prepending',
		terms: [{ match: {}, action: 'accept', operations: [{ type: 'prepend-as-path', asNumbers: [65001, 65001] }] }],
		otherwise: 'reject',
	};
	const bench = await WireBench.start(t, { peers: { tor: outside(65002, { importPolicies: [prepending] }), inside } });
	await bench.connect();
	bench.peers.tor.announce([prefix], { asPath: sequence(65002, 65020) });
	bench.peers.tor.announce(['10.2.0.0/16'], { asPath: sequence(65020) });
	bench.peers.tor.announce(['10.3.0.0/16'], { asPath: sequence(65002, 65001) });
	await bench.settle();
	t.deepEqual(bench.peers.inside.prefixes, [prefix]);
	t.deepEqual(numbers(bench.peers.inside.table.get(prefix)?.asPath).flat(), [65001, 65001, 65002, 65020]);
});

test('whether the number is put in front changes on a live session, with our own number and with the option', async (t) => {
	const bench = await WireBench.start(t, {
		peers: {
			tor: outside(65002, { localAsNumber: 64999 }),
			inside: { options: { ...inside.options, localAsNumber: 65001 } },
		},
	});
	await bench.connect();
	bench.peers.tor.announce([prefix]);
	await bench.settle();
	const seen = () => numbers(bench.peers.inside.table.get(prefix)?.asPath).flat();
	t.deepEqual(seen(), [64999, 65002]);
	bench.speaker.setIdentity({ ...bench.speaker.identity, asNumber: 64999 });
	await bench.settle();
	t.deepEqual(seen(), [65002]);
	bench.speaker.setIdentity({ ...bench.speaker.identity, asNumber: 65001 });
	await bench.settle();
	t.deepEqual(seen(), [64999, 65002]);
	bench.speaker.updatePeer({ ...bench.peers.tor.options, noPrependInbound: true });
	await bench.settle();
	t.deepEqual(seen(), [65002]);
	t.is(bench.speaker.peer('tor')?.establishedCount, 1);
});

test('a neighbour that refuses the number it is to know us by is tried with our own, and the other way round', async (t) => {
	const session = await rawSession(t, { localAsNumber: 64999, dualAs: true, idleHoldSeconds: 1 });
	const refuse = async () => {
		const raw = await session.connect();
		const { asNumber } = await raw.receive('open');
		raw.send({ type: 'notification', code: 2, subcode: 2, data: new Uint8Array(0) });
		await raw.end();
		session.speaker.reset(session.peerName, 'hard');
		return asNumber;
	};
	t.deepEqual([await refuse(), await refuse(), await refuse()], [64999, 65001, 64999]);
	const raw = await session.establish();
	t.is(raw.of('open')[0]?.asNumber, 65001);
	t.is(session.speaker.peer(session.peerName)?.localAsNumber, 65001);
	// When it is chosen anew, it is tried first again.
	const options = session.speaker.peerOptions(session.peerName);
	if (options === undefined) return t.fail();
	session.speaker.updatePeer({ ...options, localAsNumber: 64998 });
	const next = await session.connect();
	return t.is((await next.receive('open')).asNumber, 64998);
});

test('without dualAs the neighbour is sent the same number again', async (t) => {
	const session = await rawSession(t, { localAsNumber: 64999 });
	for (let count = 0; count < 2; count++) {
		const raw = await session.connect();
		t.is((await raw.receive('open')).asNumber, 64999);
		raw.send({ type: 'notification', code: 2, subcode: 2, data: new Uint8Array(0) });
		await raw.end();
		session.speaker.reset(session.peerName, 'hard');
	}
});
