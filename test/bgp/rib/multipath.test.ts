import test from 'ava';
import type { BestRoute } from '../../../src/core/index.ts';
import { RibBench } from '../../support/rib-bench.ts';

/** The best routes as a listener receives them. */
function follow(bench: RibBench): ReadonlyMap<string, BestRoute> {
	const known = new Map<string, BestRoute>();
	bench.rib.onChanges((changes) => {
		for (const change of changes) {
			if (change.type === 'install') known.set(change.route.prefix, change.route);
			else known.delete(change.prefix);
		}
	});
	return known;
}

const waysOf = (route: BestRoute | undefined) => [route?.nextHop, ...(route?.alternatives ?? [])];

test('equal paths are published with the best one; an added or removed second path is published', (t) => {
	const bench = new RibBench({ maximumPaths: 4 });
	const known = follow(bench);
	const [a, b, c] = [bench.peer('a'), bench.peer('b'), bench.peer('c')];
	a.announce(['10.1.0.0/24']);
	bench.run();
	t.deepEqual(waysOf(known.get('10.1.0.0/24')), ['10.0.1.1']);
	b.announce(['10.1.0.0/24']);
	bench.run();
	t.deepEqual(waysOf(known.get('10.1.0.0/24')), ['10.0.1.1', '10.0.1.2']);
	c.announce(['10.1.0.0/24'], { localPref: 50 });
	bench.run();
	t.deepEqual(waysOf(known.get('10.1.0.0/24')), ['10.0.1.1', '10.0.1.2'], 'a worse path is none of them');
	b.withdraw(['10.1.0.0/24']);
	bench.run();
	t.deepEqual(waysOf(known.get('10.1.0.0/24')), ['10.0.1.1']);
	a.withdraw(['10.1.0.0/24']);
	bench.run();
	t.deepEqual(waysOf(known.get('10.1.0.0/24')), ['10.0.1.3']);
	c.withdraw(['10.1.0.0/24']);
	bench.run();
	t.is(known.size, 0);
});

test('no more next hops than the limit, and only the best without multipath', (t) => {
	for (const [maximumPaths, ways] of [
		[1, ['10.0.1.1']],
		[2, ['10.0.1.1', '10.0.1.2']],
		[8, ['10.0.1.1', '10.0.1.2', '10.0.1.3']],
	] as const) {
		const bench = new RibBench({ maximumPaths });
		const known = follow(bench);
		for (const name of ['a', 'b', 'c']) bench.peer(name).announce(['10.1.0.0/24']);
		bench.run();
		t.deepEqual(waysOf(known.get('10.1.0.0/24')), [...ways]);
	}
});

test('a reflector passes equal paths on by add-path, and its client publishes all of them as one route', (t) => {
	const family = { family: 'ipv4', gracefulRestart: undefined } as const;
	const reflector = new RibBench({ maximumPaths: 4, clusterId: 0x0a00_00ff });
	const known = follow(reflector);
	const [a, b] = ['a', 'b'].map((name) => reflector.peer(name, { options: { reflectorClient: true } }));
	const client = reflector.peer('client', {
		options: { reflectorClient: true },
		families: [{ ...family, addPathReceive: false, addPathSend: true }],
	});
	a?.announce(['10.1.0.0/24']);
	b?.announce(['10.1.0.0/24']);
	reflector.run();
	t.deepEqual(waysOf(known.get('10.1.0.0/24')), ['10.0.1.1', '10.0.1.2']);
	t.is(client.held.size, 2, 'the client holds both paths');

	const node = new RibBench({ maximumPaths: 4 });
	const atNode = follow(node);
	const toReflector = node.peer('reflector', { families: [{ ...family, addPathReceive: true, addPathSend: false }] });
	const path = (host: number) => ({ nextHop: Uint8Array.of(10, 0, 1, host), originatorId: host, clusterList: [255] });
	toReflector.announce(['10.1.0.0/24'], path(1), 1);
	toReflector.announce(['10.1.0.0/24'], path(2), 2);
	node.run();
	t.deepEqual(waysOf(atNode.get('10.1.0.0/24')), ['10.0.1.1', '10.0.1.2']);
	toReflector.withdraw(['10.1.0.0/24'], 1);
	node.run();
	t.deepEqual(waysOf(atNode.get('10.1.0.0/24')), ['10.0.1.2']);
});
