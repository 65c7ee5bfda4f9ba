import test from 'ava';
import { decodeMessage, encodeMessage, PacketError, packetContext } from 'bgp-packet';

import { type PeerTemplate, peerDefaults } from '../../../src/bgp/index.ts';
import { eventually } from '../../support/eventually.ts';
import { loopbackAddress, testPort } from '../../support/loopback.ts';
import { openMessage, RawPeer } from '../../support/raw-peer.ts';
import { WireBench } from '../../support/wire-bench.ts';

// The codec's own generator, in its compiled folder.
const { hostileMessages } = (await import(
	new URL('../../../../packages/bgp-packet/dist/test/fuzz.js', import.meta.url).href
)) as {
	hostileMessages: (seed: number, count: number, addPath: boolean) => Uint8Array[];
};

const { port: _port, enabled: _enabled, passive: _passive, ...defaults } = peerDefaults;
const template: PeerTemplate = { ...defaults, asNumber: 65001 };

/** `npm run fuzz` requests several rounds with other seeds. */
const { BGPMESH_FUZZ_SEED: firstSeedText = '0', BGPMESH_FUZZ_SECONDS: secondsText = '0' } = process.env;
const firstSeed = Number(firstSeedText);
const seconds = Number(secondsText);

/** Numbers from a seed, 0 to `limit` - 1. */
function numbers(seed: number): (limit: number) => number {
	let state = seed;
	return (limit) => {
		state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
		return Math.floor((state / 2 ** 32) * limit);
	};
}

const context = packetContext();
const opening = encodeMessage(openMessage({ asNumber: 65001, routerId: 0x0c00_0001 }), context);
const keepalive = encodeMessage({ type: 'keepalive' }, context);

/** Does the session stay up? Others end, as they should. */
function isHarmless(wire: Uint8Array): boolean {
	try {
		return wire[18] === 2 && decodeMessage(wire, context).type === 'update';
	} catch (error) {
		if (error instanceof PacketError) return false;
		throw error;
	}
}

/** The messages of one session: in order or not, complete or truncated. */
function script(seed: number): Uint8Array {
	const below = numbers(seed);
	const hostile = hostileMessages(seed, 12, false);
	const updates = hostile.filter(isHarmless);
	const orders: readonly (readonly Uint8Array[])[] = [
		[opening, keepalive, ...updates, ...hostile],
		[opening, keepalive, ...updates, opening],
		[opening, keepalive, ...updates, keepalive],
		[keepalive, opening],
		[opening, ...hostile],
		[opening, opening],
		hostile,
		[...hostile, opening, keepalive],
	];
	const stream = Buffer.concat(orders[below(orders.length)] ?? []);
	return below(2) === 0 ? stream : stream.subarray(0, below(stream.length));
}

test('[C230] sessions with reordered, malformed and cut-off input neither disturb another one nor leave routes behind', async (t) => {
	t.timeout(300_000 + seconds * 1000);
	// The speaker's own timers let a process end; stopping it may wait only for one of them.
	const alive = setInterval(() => {}, 1000);
	t.teardown(() => clearInterval(alive));
	const bench = await WireBench.start(t, { peers: { steady: { options: { reflectorClient: true } } } });
	await bench.connect();
	const steady = bench.peers.steady;
	steady.announce(['10.50.0.0/16']);
	let seed = firstSeed;
	const until = performance.now() + seconds * 1000;
	do {
		const sources = Array.from({ length: 40 }, () => loopbackAddress());
		bench.speaker.setRanges(
			sources.map((address) => ({ name: address, prefix: `${address}/32`, limit: 1, peer: template })),
		);
		for (const source of sources) {
			const raw = await RawPeer.connect(bench.address, testPort, source);
			const bytes = script(++seed);
			const below = numbers(seed + 1000);
			for (let sent = 0; sent < bytes.length && !raw.closed; ) {
				const size = 1 + below(200);
				raw.sendBytes(bytes.subarray(sent, sent + size));
				sent += size;
				if (below(4) === 0) await new Promise((done) => setImmediate(done));
			}
			if (below(2) === 0) raw.close();
			else raw.socket.end();
			await eventually(
				`the session from ${source}, seed ${seed}, is gone`,
				() => bench.speaker.peer(source) === undefined,
			);
			raw.close();
		}
	} while (performance.now() < until);
	if (seconds > 0) t.log(`${seed - firstSeed} sessions from seed ${firstSeed + 1}`);
	// The progress of a session of the draw depends on when its reset overtakes its data. These two
	// wait for their responses.
	const [good = '', bad = ''] = [loopbackAddress(), loopbackAddress()];
	bench.speaker.setRanges(
		[good, bad].map((address) => ({ name: address, prefix: `${address}/32`, limit: 1, peer: template })),
	);
	const accepted = await RawPeer.connect(bench.address, testPort, good);
	accepted.sendBytes(Buffer.concat([opening, keepalive]));
	await accepted.receive('keepalive');
	const ended = await RawPeer.connect(bench.address, testPort, bad);
	ended.sendBytes(Buffer.concat([opening, keepalive, opening]));
	t.is((await ended.receiveNotification()).code, 5);
	accepted.close();
	await eventually('both are gone', () => bench.speaker.peers().length === 1);
	t.is(bench.speaker.peer('steady')?.state, 'established', `seeds ${firstSeed + 1} to ${seed}`);
	t.is(bench.speaker.peer('steady')?.establishedCount, 1);
	await bench.settle();
	t.deepEqual(
		[...new Set(bench.rib.routes({}).map(({ prefix }) => String(prefix)))].filter(
			(prefix) => !prefix.startsWith('198.18.'),
		),
		['10.50.0.0/16'],
	);
});
