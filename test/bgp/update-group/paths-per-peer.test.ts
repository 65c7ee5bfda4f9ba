import test from 'ava';
import type { Policy } from '../../../src/bgp/index.ts';
import { acceptAll, RibBench, type TestPeer } from '../../support/rib-bench.ts';

const prefix = '10.1.0.0/24';
const policies = { importPolicies: [acceptAll], exportPolicies: [acceptAll] };
/** The AS numbers that identify a peer's announcement: the first one is its own. */
const announce = (peer: TestPeer, length: number) =>
	peer.announce([prefix], {
		asPath: [{ type: 'sequence', asNumbers: Array.from({ length }, () => peer.negotiated.peerAsNumber) }],
	});
const sourceOf = (peer: TestPeer) => peer.held.get(prefix)?.asPath?.[0]?.asNumbers[0];

for (const secondBestPath of [false, true]) {
	test(`a route server's client with the best path gets ${secondBestPath ? 'the best of the others' : 'nothing'}`, (t) => {
		const bench = new RibBench();
		const options = { ...policies, routeServerClient: true, secondBestPath };
		const [a, b, c] = ['a', 'b', 'c'].map((name) => bench.peer(name, { options, negotiated: { kind: 'external' } }));
		if (a === undefined || b === undefined || c === undefined) return t.fail();
		announce(a, 1);
		announce(b, 2);
		bench.run();
		t.deepEqual([sourceOf(a), sourceOf(b), sourceOf(c)], [secondBestPath ? 65002 : undefined, 65001, 65001]);
		// The best path is withdrawn: the other clients get the remaining one, and its former
		// source keeps its path.
		a.withdraw([prefix]);
		bench.run();
		return t.deepEqual([sourceOf(a), sourceOf(b), sourceOf(c)], [65002, undefined, 65002]);
	});
}

test("a route server's client gets the best path that export policy accepts", (t) => {
	const bench = new RibBench();
	const noFirst: Policy = {
		name: 'no-first',
		terms: [{ match: { asPathPrefix: [65001] }, action: 'reject', operations: [] }],
		otherwise: 'accept',
	};
	const [a, b] = ['a', 'b'].map((name) =>
		bench.peer(name, { options: { ...policies, routeServerClient: true }, negotiated: { kind: 'external' } }),
	);
	const picky = bench.peer('picky', {
		options: { ...policies, exportPolicies: [noFirst], routeServerClient: true, secondBestPath: true },
		negotiated: { kind: 'external' },
	});
	if (a === undefined || b === undefined) return t.fail();
	announce(a, 1);
	announce(b, 2);
	bench.run();
	t.is(sourceOf(picky), 65002);
	b.withdraw([prefix]);
	bench.run();
	return t.false(picky.held.has(prefix));
});

test('the limit of paths counts those that the peer may receive', (t) => {
	const bench = new RibBench();
	const families = [{ family: 'ipv4', addPathSend: true, addPathReceive: true } as const];
	const peers = ['a', 'b', 'c'].map((name) => bench.peer(name, { options: { addPathLimit: 2 }, families }));
	for (const [index, peer] of peers.entries())
		peer.announce([prefix], { localPref: 300 - index, nextHop: Uint8Array.of(10, 0, 9, index) }, 1);
	bench.run();
	// Each has a path of its own among the three.
	t.deepEqual(
		peers.map(({ held }) => held.size),
		[2, 2, 2],
	);
});
