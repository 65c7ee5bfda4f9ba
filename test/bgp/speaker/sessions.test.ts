import { connect, createServer } from 'node:net';
import test from 'ava';

import { eventually } from '../../support/eventually.ts';
import { loopbackAddress, testPort } from '../../support/loopback.ts';
import { loopbackPeer, testSpeaker } from '../../support/speakers.ts';

const state = ({ speaker }: { speaker: { peers(): { state: string }[] } }): string => speaker.peers()[0]?.state ?? 'none';

const pairs = [
	{ title: 'one side active, the other passive', left: {}, right: { passive: true } },
	{ title: 'both sides active at the same moment', left: {}, right: {} },
] as const;

for (const { title, left, right } of pairs) {
	for (const asNumber of [65001, 65002]) {
		test(`[C73] ${title}: one session, AS ${asNumber} towards 65001`, async (t) => {
			const [leftAddress, rightAddress] = [loopbackAddress(), loopbackAddress()];
			const a = testSpeaker(t, { address: leftAddress, peers: [loopbackPeer(leftAddress, { address: rightAddress, asNumber, ...left })] });
			const b = testSpeaker(t, { asNumber, address: rightAddress, peers: [loopbackPeer(rightAddress, { address: leftAddress, asNumber: 65001, ...right })] });
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
	{ title: 'a cluster ID touches no session', becomes: { clusterId: 0x0a00_0063 }, sessions: 1, retained: undefined },
	{
		title: 'a new router ID is told in a new session, which bridges the old one on both sides',
		becomes: { routerId: 0x0a63_0001 },
		sessions: 2,
		retained: 'retain',
	},
] as const;
for (const { title, becomes, sessions, retained } of becoming) {
	test(title, async (t) => {
		const [left, right] = [loopbackAddress(), loopbackAddress()];
		const a = testSpeaker(t, { address: left, peers: [loopbackPeer(left, { name: 'b', address: right, asNumber: 65001, connectRetrySeconds: 1 })] });
		const b = testSpeaker(t, {
			address: right,
			peers: [loopbackPeer(right, { name: 'a', address: left, asNumber: 65001, passive: true, idleHoldSeconds: 1 })],
		});
		await Promise.all([a.speaker.start(), b.speaker.start()]);
		await eventually('both are established', () => state(a) === 'established' && state(b) === 'established');
		const before = [a, b].map(({ rib }) => rib.sessions.length);
		t.deepEqual(a.speaker.setIdentity({ ...a.speaker.identity, ...becomes }), sessions === 1 ? [] : ['b']);
		await eventually('both are established again', () => [a, b].every(({ rib }, side) => rib.sessions.length === (before[side] ?? 0) + sessions - 1));
		await eventually('and stay it', () => state(a) === 'established' && state(b) === 'established');
		for (const [side, { rib }] of [a, b].entries()) t.is(rib.sessions[(before[side] ?? 0) - 1]?.ended?.type, retained);
		t.is(b.rib.sessions.at(-1)?.negotiated.peerRouterId, a.speaker.identity.routerId);
		t.is(b.rib.sessions.at(-1)?.negotiated.families[0]?.gracefulRestart?.forwarding ?? false, sessions === 2);
	});
}

test('a speaker that listens over IPv4 listens over both families from now on, and where it can not it listens where it did', async (t) => {
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
			const socket = connect({ host, port }, () => resolve(socket.destroy() !== undefined)).on('error', () => resolve(false));
		});
	t.true(await connects('127.0.0.1'));
	await new Promise((resolve) => other.close(resolve));
	await speaker.setListen([{ address: '::', port }]);
	t.deepEqual([await connects('127.0.0.1'), await connects('::1')], [true, true]);
});

test('a speaker listens at another port from now on, and its sessions stay', async (t) => {
	const [left, right] = [loopbackAddress(), loopbackAddress()];
	const a = testSpeaker(t, { address: left, port: 0, peers: [loopbackPeer(left, { name: 'b', address: right, asNumber: 65001 })] });
	const b = testSpeaker(t, { address: right, peers: [loopbackPeer(right, { name: 'a', address: left, asNumber: 65001, passive: true })] });
	await Promise.all([a.speaker.start(), b.speaker.start()]);
	await eventually('it is established', () => state(a) === 'established');
	await a.speaker.setListen([{ address: left, port: testPort }]);
	t.deepEqual(a.speaker.ports, [testPort]);
	t.is(state(a), 'established');
	// Taken already: where it listens now is kept.
	await t.throwsAsync(a.speaker.setListen([{ address: right, port: testPort }]), { name: 'ListenError' });
	t.deepEqual(a.speaker.ports, [testPort]);
});
