import { connect, createServer } from 'node:net';
import test from 'ava';

import { eventually } from '../../support/eventually.ts';
import { loopbackAddress, testPort } from '../../support/loopback.ts';
import { loopbackPeer, testSpeaker } from '../../support/speakers.ts';

const state = ({ speaker }: { speaker: { peers(): { state: string }[] } }): string =>
	speaker.peers()[0]?.state ?? 'none';

const pairs = [
	{ title: 'one side active, the other passive', left: {}, right: { passive: true } },
	{ title: 'both sides active at the same moment', left: {}, right: {} },
] as const;

for (const { title, left, right } of pairs) {
	for (const asNumber of [65001, 65002]) {
		test(`[C73] ${title}: one session, AS ${asNumber} towards 65001`, async (t) => {
			const [leftAddress, rightAddress] = [loopbackAddress(), loopbackAddress()];
			const a = testSpeaker(t, {
				address: leftAddress,
				peers: [loopbackPeer(leftAddress, { address: rightAddress, asNumber, ...left })],
			});
			const b = testSpeaker(t, {
				asNumber,
				address: rightAddress,
				peers: [loopbackPeer(rightAddress, { address: leftAddress, asNumber: 65001, ...right })],
			});
			await Promise.all([a.speaker.start(), b.speaker.start()]);
			await eventually('both are established', () => state(a) === 'established' && state(b) === 'established');
			await eventually('each side has one session that lives', () =>
				[a, b].every(({ rib }) => rib.sessions.filter(({ ended }) => ended === undefined).length === 1),
			);
			t.true(a.rib.sessions.length <= 2);
		});
	}
}

const becoming = [
	{
		title: 'a changed cluster ID resets no session',
		becomes: { clusterId: 0x0a00_0063 },
		sessions: 1,
		retained: undefined,
	},
	{
		title: 'a new router ID is sent in a new session, which bridges the old one on both sides',
		becomes: { routerId: 0x0a63_0001 },
		sessions: 2,
		retained: 'retain',
	},
] as const;
for (const { title, becomes, sessions, retained } of becoming) {
	test(title, async (t) => {
		const [left, right] = [loopbackAddress(), loopbackAddress()];
		const a = testSpeaker(t, {
			address: left,
			peers: [loopbackPeer(left, { name: 'b', address: right, asNumber: 65001, connectRetrySeconds: 1 })],
		});
		const b = testSpeaker(t, {
			address: right,
			peers: [loopbackPeer(right, { name: 'a', address: left, asNumber: 65001, passive: true, idleHoldSeconds: 1 })],
		});
		await Promise.all([a.speaker.start(), b.speaker.start()]);
		await eventually('both are established', () => state(a) === 'established' && state(b) === 'established');
		const before = [a, b].map(({ rib }) => rib.sessions.length);
		t.deepEqual(a.speaker.setIdentity({ ...a.speaker.identity, ...becomes }), sessions === 1 ? [] : ['b']);
		await eventually('both are established again', () =>
			[a, b].every(({ rib }, side) => rib.sessions.length === (before[side] ?? 0) + sessions - 1),
		);
		await eventually('and stay it', () => state(a) === 'established' && state(b) === 'established');
		for (const [side, { rib }] of [a, b].entries()) t.is(rib.sessions[(before[side] ?? 0) - 1]?.ended?.type, retained);
		t.is(b.rib.sessions.at(-1)?.negotiated.peerRouterId, a.speaker.identity.routerId);
		t.is(b.rib.sessions.at(-1)?.negotiated.families[0]?.gracefulRestart?.forwarding ?? false, sessions === 2);
	});
}

for (const { title, change, forwarding } of [
	{
		title: 'a change of the connection alone (TTL) restarts gracefully: the new session preserves the routes',
		change: { multihopTtl: 200 },
		forwarding: true,
	},
	{
		title: 'a change of OPEN (hold time) resets the session: the new session preserves nothing',
		change: { holdTimeSeconds: 30 },
		forwarding: false,
	},
] as const)
	test(title, async (t) => {
		const [left, right] = [loopbackAddress(), loopbackAddress()];
		const options = loopbackPeer(left, { name: 'b', address: right, asNumber: 65001, connectRetrySeconds: 1 });
		const a = testSpeaker(t, { address: left, peers: [options] });
		const b = testSpeaker(t, {
			address: right,
			peers: [loopbackPeer(right, { name: 'a', address: left, asNumber: 65001, passive: true, idleHoldSeconds: 1 })],
		});
		await Promise.all([a.speaker.start(), b.speaker.start()]);
		await eventually('both are established', () => state(a) === 'established' && state(b) === 'established');
		const before = [a, b].map(({ rib }) => rib.sessions.length);
		t.is(a.speaker.updatePeer({ ...options, ...change }).effect, 'reset');
		await eventually('both are established again', () =>
			[a, b].every(({ rib }, side) => rib.sessions.length > (before[side] ?? 0)),
		);
		for (const [side, { rib }] of [a, b].entries()) t.is(rib.sessions[(before[side] ?? 0) - 1]?.ended?.type, 'retain');
		t.is(b.rib.sessions.at(-1)?.negotiated.families[0]?.gracefulRestart?.forwarding ?? false, forwarding);
	});

test('a speaker on IPv4 changes to both families, and stays on its address if that fails', async (t) => {
	const { speaker } = testSpeaker(t, { address: '0.0.0.0', port: 0, peers: [] });
	await speaker.start();
	const [port = 0] = speaker.ports;
	const other = createServer();
	t.teardown(() => other.close());
	await new Promise<void>((resolve) => other.listen({ host: '::1', port }, resolve));
	await t.throwsAsync(speaker.setListen([{ address: '::', port }]), { name: 'ListenError' });
	t.deepEqual(
		speaker.listening.map(({ address }) => address),
		['0.0.0.0'],
	);
	const connects = (host: string) =>
		new Promise<boolean>((resolve) => {
			const socket = connect({ host, port }, () => resolve(socket.destroy() !== undefined)).on('error', () =>
				resolve(false),
			);
		});
	t.true(await connects('127.0.0.1'));
	await new Promise((resolve) => other.close(resolve));
	await speaker.setListen([{ address: '::', port }]);
	t.deepEqual([await connects('127.0.0.1'), await connects('::1')], [true, true]);
});

test('a speaker changes its port, and its sessions stay', async (t) => {
	const [left, right] = [loopbackAddress(), loopbackAddress()];
	const a = testSpeaker(t, {
		address: left,
		port: 0,
		peers: [loopbackPeer(left, { name: 'b', address: right, asNumber: 65001 })],
	});
	const b = testSpeaker(t, {
		address: right,
		peers: [loopbackPeer(right, { name: 'a', address: left, asNumber: 65001, passive: true })],
	});
	await Promise.all([a.speaker.start(), b.speaker.start()]);
	await eventually('it is established', () => state(a) === 'established');
	await a.speaker.setListen([{ address: left, port: testPort }]);
	t.deepEqual(a.speaker.ports, [testPort]);
	t.is(state(a), 'established');
	// In use already: the speaker keeps its current port.
	await t.throwsAsync(a.speaker.setListen([{ address: right, port: testPort }]), { name: 'ListenError' });
	t.deepEqual(a.speaker.ports, [testPort]);
});

test('two peers at one address with different ports have a session each', async (t) => {
	const [left, right] = [loopbackAddress(), loopbackAddress()];
	const ports = [testPort, testPort + 1] as const;
	const far = ports.map((port, index) =>
		testSpeaker(t, {
			asNumber: 65002 + index,
			address: right,
			port,
			peers: [loopbackPeer(right, { name: 'near', address: left, asNumber: 65001, passive: true })],
		}),
	);
	const near = testSpeaker(t, {
		address: left,
		peers: ports.map((port, index) =>
			loopbackPeer(left, { name: `far-${index}`, address: right, port, asNumber: 65002 + index }),
		),
	});
	await Promise.all([near, ...far].map(({ speaker }) => speaker.start()));
	await eventually('both are established', () => near.speaker.peers().every(({ state: is }) => is === 'established'));
	t.deepEqual(
		near.speaker.peers().map(({ name, asNumber }) => [name, asNumber]),
		[
			['far-0', 65002],
			['far-1', 65003],
		],
	);
	t.throws(
		() => near.speaker.addPeer(loopbackPeer(left, { name: 'again', address: right, port: ports[0], asNumber: 65002 })),
		{
			name: 'PeerExistsError',
		},
	);
	near.speaker.removePeer('far-0');
	t.is(near.speaker.peer('far-1')?.state, 'established');
});

test('a peer that leaves keeps its session; once that ends none is made or accepted until the peer is enabled again', async (t) => {
	const [left, right] = [loopbackAddress(), loopbackAddress()];
	const a = testSpeaker(t, {
		address: left,
		peers: [
			loopbackPeer(left, { name: 'b', address: right, asNumber: 65001, connectRetrySeconds: 1, idleHoldSeconds: 1 }),
		],
	});
	const b = testSpeaker(t, {
		address: right,
		peers: [
			loopbackPeer(right, { name: 'a', address: left, asNumber: 65001, connectRetrySeconds: 1, idleHoldSeconds: 1 }),
		],
	});
	await Promise.all([a.speaker.start(), b.speaker.start()]);
	await eventually('both are established', () => state(a) === 'established' && state(b) === 'established');
	a.speaker.leave('b');
	t.is(state(a), 'established');
	b.speaker.reset('a', 'hard');
	await eventually('the session ended', () => state(a) === 'idle');
	const refused = () => b.speaker.peers()[0]?.lastError?.message ?? '';
	await eventually('a connection of the other side is refused', () => /connection rejected/i.test(refused()));
	t.is(state(a), 'idle');
	a.speaker.enable('b');
	await eventually('both are established again', () => state(a) === 'established' && state(b) === 'established');
});
