import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';

import { Md5KeyError, type PeerOptions, readMd5Key } from '../../../src/bgp/index.ts';
import { ttlPlan } from '../../../src/bgp/session/dial.ts';
import { FakeClock } from '../../fakes/clock.ts';
import { eventually } from '../../support/eventually.ts';
import { loopbackAddress } from '../../support/loopback.ts';
import { md5Test } from '../../support/md5.ts';
import { rawSession } from '../../support/raw-session.ts';
import { loopbackPeer, type TestSpeaker, testSpeaker } from '../../support/speakers.ts';

interface Side extends TestSpeaker {
	readonly peer: PeerOptions;
	state(): string | undefined;
}

/** Two speakers; the second one is passive. */
async function pair(
	t: ExecutionContext,
	left: Partial<PeerOptions>,
	right: Partial<PeerOptions>,
): Promise<readonly [Side, Side]> {
	const [a, b] = [loopbackAddress(), loopbackAddress()];
	const side = (own: string, other: string, asNumber: number, options: Partial<PeerOptions>): Side => {
		const peer = loopbackPeer(own, {
			address: other,
			asNumber: 131_073 - asNumber,
			connectTimeoutSeconds: 0.3,
			connectRetrySeconds: 0.1,
			...options,
		});
		const speaker = testSpeaker(t, { address: own, asNumber, peers: [peer] });
		return { ...speaker, peer, state: () => speaker.speaker.peer(peer.name)?.state };
	};
	const sides = [side(a, b, 65536, left), side(b, a, 65537, { passive: true, ...right })] as const;
	await Promise.all(sides.map(({ speaker }) => speaker.start()));
	return sides;
}

const bothUp = (sides: readonly Side[]): Promise<void> =>
	eventually('both are established', () => sides.every((side) => side.state() === 'established'));

md5Test('[C229] two speakers with the same key establish a session', async (t) => {
	const sides = await pair(t, { md5Key: 'secret' }, { md5Key: 'secret' });
	await bothUp(sides);
	t.pass();
});

for (const [title, left, right] of [
	['different keys', { md5Key: 'secret' }, { md5Key: 'other' }],
	['a key on one side', { md5Key: 'secret' }, {}],
	['a key on the other side', {}, { md5Key: 'secret' }],
] as const) {
	md5Test(`[C229] with ${title} TCP is not established, until the keys are equal`, async (t) => {
		const sides = await pair(t, left, right);
		const [a, b] = sides;
		await eventually('an attempt had no answer', () =>
			/no answer|timed out/.test(a.speaker.peer(a.peer.name)?.lastError?.message ?? ''),
		);
		t.not(b.state(), 'established');
		for (const side of sides) side.speaker.updatePeer({ ...side.peer, md5Key: 'agreed' });
		await bothUp(sides);
	});
}

md5Test('[C229] a key is changed on both sides without a reset', async (t) => {
	const sides = await pair(t, { md5Key: 'before' }, { md5Key: 'before' });
	await bothUp(sides);
	const [a, b] = sides;
	for (const { speaker, peer } of sides) t.is(speaker.updatePeer({ ...peer, md5Key: 'after' }).effect, 'live');
	const received = () => b.rib.sessions[0]?.updates.length ?? 0;
	a.rib.sessions[0]?.sink.write(Buffer.from(`${'ff'.repeat(16)}00170200000000`, 'hex'));
	await eventually('an UPDATE arrived with the new key', () => received() === 1);
	t.deepEqual(
		sides.map(({ rib }) => rib.sessions.length),
		[1, 1],
	);
	// The listener has the new key as well.
	a.speaker.reset(a.peer.name, 'hard');
	await eventually('it came up again', () => sides.every(({ rib }) => rib.sessions.length === 2));
	await bothUp(sides);
});

test('a key file provides its first line', async (t) => {
	const folder = await mkdtemp(join(tmpdir(), 'bgpmesh-key-'));
	t.teardown(() => rm(folder, { recursive: true }));
	const file = async (name: string, content: string): Promise<string> => {
		await writeFile(join(folder, name), content);
		return join(folder, name);
	};
	t.is(await readMd5Key(await file('one', 'secret\n')), 'secret');
	t.is(await readMd5Key(await file('two', 'with space \r\nsecond line')), 'with space ');
	await t.throwsAsync(readMd5Key(await file('empty', '\n')), {
		instanceOf: Md5KeyError,
		message: /first line is empty/,
	});
	await t.throwsAsync(readMd5Key(await file('long', 'x'.repeat(81))), { instanceOf: Md5KeyError, message: /81 bytes/ });
	await t.throwsAsync(readMd5Key(join(folder, 'none')), { instanceOf: Md5KeyError, message: /ENOENT/ });
});

for (const { title, options, kind, ttl, minimum } of [
	{
		title: '[C227] a neighbour one hop away',
		options: { ttlSecurityHops: 1, multihopTtl: undefined },
		kind: 'external',
		ttl: 255,
		minimum: 255,
	},
	{
		title: '[C227] a neighbour three hops away',
		options: { ttlSecurityHops: 3, multihopTtl: undefined },
		kind: 'internal',
		ttl: 255,
		minimum: 253,
	},
	{
		title: '[C228] an external peer without multihop',
		options: { ttlSecurityHops: undefined, multihopTtl: undefined },
		kind: 'external',
		ttl: 1,
		minimum: undefined,
	},
	{
		title: '[C228] an external peer with multihop',
		options: { ttlSecurityHops: undefined, multihopTtl: 7 },
		kind: 'external',
		ttl: 7,
		minimum: undefined,
	},
	{
		title: '[C228] an internal peer',
		options: { ttlSecurityHops: undefined, multihopTtl: undefined },
		kind: 'internal',
		ttl: undefined,
		minimum: undefined,
	},
] as const) {
	test(`${title}: TTL ${ttl ?? 'of the kernel'}, at least ${minimum ?? 'any'}`, (t) =>
		t.deepEqual(ttlPlan(options, kind), { ttl, minimum }));
}

test('[C227] two speakers with GTSM establish a session', async (t) => {
	const sides = await pair(t, { ttlSecurityHops: 1 }, { ttlSecurityHops: 1 });
	await bothUp(sides);
	t.pass();
});

test('[C227] messages of a neighbour with a lower TTL are not received', async (t) => {
	const clock = new FakeClock();
	const session = await rawSession(t, { ttlSecurityHops: 1 }, { clock });
	// With a neighbour without GTSM on the same listener its SYN is accepted: later packets are
	// dropped.
	session.speaker.addPeer(
		loopbackPeer(session.address, { address: loopbackAddress(), asNumber: 65003, passive: true }),
	);
	// Its packets have the TTL of the kernel.
	const raw = await session.connect();
	await raw.receive('open');
	raw.send({ type: 'keepalive' });
	for (let step = 0; step < 250; step++) {
		clock.advance(1000);
		await new Promise((resolve) => setImmediate(resolve));
	}
	// Only the time until an OPEN ended. Acknowledgements are dropped too, so sent data need not
	// arrive.
	const sent = () => session.speaker.peer(session.peerName)?.lastNotificationSent;
	await eventually('the session gave up', () => sent() !== undefined);
	t.like(sent(), { code: 4, subcode: 0 });
});
