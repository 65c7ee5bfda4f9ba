import test from 'ava';
import type { AsPath } from 'bgp-packet';
import { open, WireBench, type WirePeerOptions } from '../../support/wire-bench.ts';

const prefix = '10.1.0.0/16';
const sequence = (...asNumbers: number[]): AsPath => [{ type: 'sequence', asNumbers }];
const inside: WirePeerOptions = { options: { reflectorClient: true } };
const outside = (asNumber: number, options: WirePeerOptions['options'] = {}): WirePeerOptions => ({ asNumber, options: { ...open, ...options } });
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
	const bench = await WireBench.start(t, { peers: { tor: outside(65002), public: outside(3333, { removePrivateAs: true }), plain: outside(4444), inside } });
	await bench.connect();
	bench.peers.tor.announce([prefix], { asPath: sequence(65002, 2914, 4_200_000_001, 64511) });
	bench.peers.inside.announce(['10.2.0.0/16'], { asPath: [] });
	await bench.settle();
	const seen = (peer: keyof typeof bench.peers, which = prefix) => numbers(bench.peers[peer].table.get(which)?.asPath).flat();
	t.deepEqual(seen('public'), [65001, 2914, 64511]);
	t.deepEqual(seen('public', '10.2.0.0/16'), [65001]);
	t.deepEqual(seen('plain'), [65001, 65002, 2914, 4_200_000_001, 64511]);
	t.deepEqual(seen('inside'), [65002, 2914, 4_200_000_001, 64511]);
});

for (const { title, replaceOwnAs, sent } of [
	{ title: 'stands in front of our own', replaceOwnAs: false, sent: [64999, 65001, 65010] },
	{ title: 'stands in its place', replaceOwnAs: true, sent: [64999, 65010] },
]) {
	test(`the number that a neighbour knows us by ${title}, and counts as ours in what it sends (RFC 7705)`, async (t) => {
		const bench = await WireBench.start(t, { peers: { tor: outside(65002, { localAsNumber: 64999, replaceOwnAs }), beyond: outside(65010), inside } });
		await bench.connect();
		const [own, looped] = ['10.2.0.0/16', '10.3.0.0/16'];
		bench.peers.beyond.announce([prefix]);
		bench.peers.tor.announce([own], { asPath: sequence(65002) });
		bench.peers.tor.announce([looped], { asPath: sequence(65002, 64999) });
		await bench.settle();
		t.deepEqual(numbers(bench.peers.tor.table.get(prefix)?.asPath).flat(), sent);
		// Nothing is added to what comes from there.
		t.deepEqual(numbers(bench.peers.inside.table.get(own)?.asPath).flat(), [65002]);
		t.false(bench.peers.inside.holds(looped));
	});
}
