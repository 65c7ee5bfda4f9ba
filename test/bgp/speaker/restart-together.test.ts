import test from 'ava';
import { createRib, peerOptions, type Rib, Speaker } from '../../../src/bgp/index.ts';
import { prefixKey, silentLogger, systemClock } from '../../../src/core/index.ts';
import { eventually } from '../../support/eventually.ts';
import { loopbackAddress, testPort } from '../../support/loopback.ts';

/** Far longer than the test may take: this timer causes none of its results. */
const inSyncTimeoutSeconds = 600;

interface Node {
	readonly index: number;
	readonly rib: Rib;
	readonly speaker: Speaker;
}

const prefixOf = (index: number) => prefixKey(`10.${index}.0.0/16`);

/** A node with a session to each of the others; it originates one prefix. */
async function startNode(addresses: readonly string[], index: number, restarting: boolean): Promise<Node> {
	const own = addresses[index] ?? '';
	const identity = { asNumber: 64512, routerId: 0x0a00_0001 + index, clusterId: undefined };
	const rib = createRib(
		{
			localAsNumber: 64512,
			routerId: identity.routerId,
			clusterId: undefined,
			clientToClientReflection: true,
			localAddresses: [],
		},
		{ clock: systemClock, log: silentLogger },
	);
	const peers = addresses
		.filter((address) => address !== own)
		.map((address) => peerOptions({ address, asNumber: 64512, localAddress: own, port: testPort }));
	const speaker = new Speaker(
		{
			...identity,
			listen: [{ address: own, port: testPort }],
			peers,
			ranges: [],
			gracefulRestart: { restarting, forwardingPreserved: true },
		},
		{ rib, log: silentLogger, clock: systemClock, random: Math.random },
	);
	rib.originate(prefixOf(index));
	rib.expectPeers(
		peers.map(({ name }) => name),
		inSyncTimeoutSeconds,
		restarting,
	);
	await speaker.start();
	return { index, rib, speaker };
}

/** Prefixes that were announced in the present sessions: a stale route does not survive another restart. */
const prefixesOf = ({ rib }: Node): string[] =>
	rib.routes({}).flatMap(({ prefix, best, stale }) => (best && !stale ? [prefix] : []));

test('nodes that are killed and started together converge, also a second time a moment later', async (t) => {
	const addresses = Array.from({ length: 4 }, () => loopbackAddress());
	const start = (restarting: boolean) =>
		Promise.all(addresses.map((_, index) => startNode(addresses, index, restarting)));
	const converged = (nodes: readonly Node[]) =>
		nodes.every((node) => node.rib.inSync && prefixesOf(node).length === addresses.length);
	const stop = (nodes: readonly Node[]) =>
		Promise.all(nodes.map(({ speaker }) => speaker.stop({ graceful: true, reason: 'killed' })));

	let nodes = await start(false);
	await eventually('all nodes have all prefixes', () => converged(nodes));
	for (const round of ['first', 'second']) {
		await stop(nodes);
		nodes = await start(true);
		await eventually(`all nodes have all prefixes after the ${round} restart`, () => converged(nodes));
	}
	// A node that kept running loses no prefix while the others restart together.
	const [steady, ...others] = nodes;
	if (steady === undefined) throw new TypeError('no node');
	const lost: string[] = [];
	const unsubscribe = steady.rib.onChanges((changes) => {
		for (const change of changes) if (change.type === 'remove') lost.push(change.prefix);
	});
	let restarted = others;
	for (const _ of ['first', 'second']) {
		await stop(restarted);
		restarted = await Promise.all(others.map(({ index }) => startNode(addresses, index, true)));
		await eventually('the others are back', () => converged([steady, ...restarted]));
	}
	unsubscribe();
	t.deepEqual(lost, []);
	await stop([steady, ...restarted]);
});
