import { once } from 'node:events';
import { connect } from 'node:net';
import test from 'ava';
import { encodeMessage, type NotificationMessage, packetContext } from 'bgp-packet';
import { FakeClock } from '../../fakes/clock.ts';
import { eventually } from '../../support/eventually.ts';
import { loopbackAddress, testPort } from '../../support/loopback.ts';
import { openMessage, RawListener, RawPeer } from '../../support/raw-peer.ts';
import { rawSession } from '../../support/raw-session.ts';
import { loopbackPeer, testSpeaker } from '../../support/speakers.ts';

const context = packetContext();
const endOfRib = encodeMessage({ type: 'keepalive' }, context).slice();
endOfRib.set([0, 0x17, 2], 16);
const updateBytes = Buffer.concat([endOfRib, new Uint8Array(4)]);
const keepalive = encodeMessage({ type: 'keepalive' }, context);
const nothing = new Uint8Array(0);
const summary = ({ code, subcode, data }: NotificationMessage) => ({
	code,
	subcode,
	data: Buffer.from(data).toString('hex'),
});
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Advances the time in steps, with turns of the event loop in between. */
async function pass(clock: FakeClock, seconds: number): Promise<void> {
	for (let step = 0; step < seconds * 4; step++) {
		clock.advance(250);
		await turn();
	}
}

test('[C47] a speaker that does not run accepts no connection', async (t) => {
	const address = loopbackAddress();
	testSpeaker(t, { address, peers: [loopbackPeer(address, { address: loopbackAddress(), asNumber: 65002 })] });
	await t.throwsAsync(RawPeer.connect(address, testPort, loopbackAddress()), { code: 'ECONNREFUSED' });
});

test('[C48] a passive peer never connects, another one does', async (t) => {
	const clock = new FakeClock();
	const [own, passive, active] = [loopbackAddress(), loopbackAddress(), loopbackAddress()];
	const listeners = await Promise.all([RawListener.listen(passive, testPort), RawListener.listen(active, testPort)]);
	for (const listener of listeners) t.teardown(() => listener.close());
	const peers = [
		loopbackPeer(own, { address: passive, asNumber: 65002, passive: true }),
		loopbackPeer(own, { address: active, asNumber: 65003 }),
	];
	const { speaker } = testSpeaker(t, { address: own, peers, clock });
	await speaker.start();
	await listeners[1]?.accept();
	await pass(clock, 300);
	t.is(listeners[0]?.peers.length, 0);
	t.is(speaker.peer(passive)?.state, 'active');
});

test('[C51] attempts are repeated until the peer is there', async (t) => {
	const clock = new FakeClock();
	const [own, theirs] = [loopbackAddress(), loopbackAddress()];
	const { speaker } = testSpeaker(t, {
		address: own,
		peers: [loopbackPeer(own, { address: theirs, asNumber: 65002 })],
		clock,
	});
	await speaker.start();
	await eventually('the first attempt failed', () => speaker.peer(theirs)?.state === 'active');
	t.regex(speaker.peer(theirs)?.lastError?.message ?? '', /ECONNREFUSED/);
	const listener = await RawListener.listen(theirs, testPort);
	t.teardown(() => listener.close());
	await pass(clock, 2);
	t.is((await (await listener.accept()).receive('open')).routerId, speaker.routerId);
});

test('[C54] an outgoing connection that is closed before OPEN leaves the peer in Active', async (t) => {
	const [own, theirs] = [loopbackAddress(), loopbackAddress()];
	const listener = await RawListener.listen(theirs, testPort);
	t.teardown(() => listener.close());
	const { speaker } = testSpeaker(t, {
		address: own,
		peers: [loopbackPeer(own, { address: theirs, asNumber: 65002 })],
		clock: new FakeClock(),
	});
	await speaker.start();
	(await listener.accept()).close();
	await eventually('the peer is in Active', () => speaker.peer(theirs)?.state === 'active');
	t.regex(speaker.peer(theirs)?.lastError?.message ?? '', /closed|ECONNRESET/);
});

test('[C49][C55] a peer that sends nothing is given four minutes, then 4/0', async (t) => {
	const clock = new FakeClock();
	const session = await rawSession(t, {}, { clock });
	const raw = await session.connect();
	await raw.receive('open');
	await pass(clock, 239);
	t.is(raw.of('notification').length, 0);
	await pass(clock, 2);
	t.deepEqual(summary(await raw.receiveNotification()), { code: 4, subcode: 0, data: '' });
});

test('[C52] with DelayOpen our OPEN follows the one of the peer, with a KEEPALIVE', async (t) => {
	const session = await rawSession(t, { delayOpenSeconds: 30 }, { clock: new FakeClock() });
	const raw = await session.connect();
	await turn();
	t.is(raw.messages.length, 0);
	raw.send(openMessage({ asNumber: 65002, routerId: 2 }));
	await raw.receive('keepalive');
	t.deepEqual(
		raw.messages.map(({ type }) => type),
		['open', 'keepalive'],
	);
	raw.send({ type: 'keepalive' });
	await eventually('it is established', () => session.state() === 'established');
});

test('[C52] when DelayOpen is over OPEN is sent', async (t) => {
	const clock = new FakeClock();
	const session = await rawSession(t, { delayOpenSeconds: 30 }, { clock });
	const raw = await session.connect();
	await eventually(
		'the connection was accepted',
		() => session.speaker.peer(session.peerName)?.timers?.['delayOpen'] !== undefined,
	);
	await pass(clock, 31);
	t.is((await raw.receive('open')).version, 4);
});

test('[C53][C56] OPEN is answered with KEEPALIVE, KEEPALIVE establishes', async (t) => {
	const session = await rawSession(t);
	const raw = await session.connect();
	raw.send(openMessage({ asNumber: 65002, routerId: 2 }));
	await raw.receive('keepalive');
	t.is(session.state(), 'open-confirm');
	t.is(session.rib.sessions.length, 0);
	raw.send({ type: 'keepalive' });
	await eventually('it is established', () => session.state() === 'established');
	t.is(session.rib.sessions.length, 1);
});

test('[C57][C65][C66] KEEPALIVEs come at a third of the hold time, jittered', async (t) => {
	const clock = new FakeClock();
	const session = await rawSession(t, { holdTimeSeconds: 90 }, { clock });
	const raw = await session.establish({ holdTimeSeconds: 180 });
	await eventually('it is established', () => session.state() === 'established');
	const before = raw.of('keepalive').length;
	for (let second = 0; second < 300; second += 10) {
		raw.send({ type: 'keepalive' });
		await eventually(
			'it arrived',
			() => (session.speaker.peer(session.peerName)?.messages.received.keepalive ?? 0) >= second / 10 + 2,
		);
		await pass(clock, 10);
	}
	await raw.receive('keepalive', before + 10);
	const sent = raw.of('keepalive').length - before;
	// 300 s in steps of 22.5 to 30 s.
	t.true(sent >= 10 && sent <= 13, `${sent} KEEPALIVEs`);
});

test('[C58][C59] KEEPALIVE and UPDATE keep the session up, silence ends it with 4/0', async (t) => {
	const clock = new FakeClock();
	const session = await rawSession(t, {}, { clock });
	const raw = await session.establish({ holdTimeSeconds: 9 });
	await eventually('it is established', () => session.state() === 'established');
	const received = () => session.speaker.peer(session.peerName)?.messages.received;
	for (let round = 1; round <= 4; round++) {
		raw.sendBytes(round % 2 === 0 ? keepalive : updateBytes);
		await eventually('it arrived', () => (received()?.keepalive ?? 0) + (received()?.update ?? 0) === round + 1);
		await pass(clock, 8);
	}
	t.is(session.state(), 'established');
	await pass(clock, 2);
	t.deepEqual(summary(await raw.receiveNotification()), { code: 4, subcode: 0, data: '' });
	t.deepEqual(session.rib.sessions[0]?.ended, { type: 'forget' });
	t.is(session.speaker.peer(session.peerName)?.lastError?.message, 'hold timer expired');
});

test('[C58] what waits in our own queue is read before the peer is judged', async (t) => {
	const clock = new FakeClock();
	const session = await rawSession(t, {}, { clock });
	const raw = await session.establish({ holdTimeSeconds: 9 });
	await eventually('it is established', () => session.state() === 'established');
	// The loop was blocked for a minute while the KEEPALIVE lay in the kernel.
	raw.send({ type: 'keepalive' });
	clock.advance(60_000);
	await eventually(
		'the KEEPALIVE was read',
		() => session.speaker.peer(session.peerName)?.messages.received.keepalive === 2,
	);
	for (let count = 0; count < 10; count++) await turn();
	t.is(session.state(), 'established');
});

for (const { title, send, subcode, data } of [
	{ title: 'a KEEPALIVE in OpenSent', send: [keepalive], subcode: 1, data: '04' },
	{ title: 'an UPDATE in OpenSent', send: [updateBytes], subcode: 1, data: '02' },
	{ title: 'an UPDATE in OpenConfirm', send: ['open', updateBytes], subcode: 2, data: '02' },
	{ title: 'a second OPEN in OpenConfirm', send: ['open', 'open'], subcode: 2, data: '01' },
	{ title: 'a second OPEN in Established', send: ['open', keepalive, 'open'], subcode: 3, data: '01' },
] as const) {
	test(`[C61] ${title} is answered with 5/${subcode}`, async (t) => {
		const session = await rawSession(t);
		const raw = await session.connect();
		for (const item of send)
			raw.sendBytes(item === 'open' ? encodeMessage(openMessage({ asNumber: 65002, routerId: 2 }), context) : item);
		t.deepEqual(summary(await raw.receiveNotification()), { code: 5, subcode, data });
	});
}

test('[C60] disabling sends Cease and nothing restarts until it is enabled', async (t) => {
	const clock = new FakeClock();
	const session = await rawSession(t, {}, { clock });
	const raw = await session.establish();
	await eventually('it is established', () => session.state() === 'established');
	session.speaker.disable(session.peerName, 'maintenance');
	t.deepEqual(summary(await raw.receiveNotification()), {
		code: 6,
		subcode: 2,
		data: `0b${Buffer.from('maintenance').toString('hex')}`,
	});
	await pass(clock, 300);
	t.is(session.state(), 'idle');
	const refused = await session.connect();
	t.deepEqual(summary(await refused.receiveNotification()), { code: 6, subcode: 5, data: '' });
	session.speaker.enable(session.peerName);
	await session.establish();
	await eventually('it is established again', () => session.state() === 'established');
});

test('[C64] failures in a row make the pauses longer, and no connection is accepted in a long one', async (t) => {
	const clock = new FakeClock();
	const session = await rawSession(t, {}, { clock });
	for (let failure = 0; failure < 8; failure++) {
		const raw = await session.connect();
		await raw.receive('open');
		raw.send({ type: 'keepalive' });
		await raw.receiveNotification();
		await pass(clock, failure < 7 ? 40 : 0);
	}
	const refused = await session.connect();
	t.deepEqual(summary(await refused.receiveNotification()), { code: 6, subcode: 5, data: '' });
});

test('[C63] a version error does not lengthen the pause', async (t) => {
	const session = await rawSession(t, {}, { clock: new FakeClock() });
	for (let round = 0; round < 10; round++) {
		const raw = await session.connect();
		await raw.receive('open');
		raw.send({ type: 'notification', code: 2, subcode: 1, data: Uint8Array.of(0, 4) });
		await raw.end();
	}
	await session.establish();
	await eventually('it is established', () => session.state() === 'established');
	t.pass();
});

test('[C72] an address that is not configured is refused with 6/5 and disturbs no session', async (t) => {
	const session = await rawSession(t);
	await session.establish();
	const stranger = await RawPeer.connect(session.address, testPort, loopbackAddress());
	t.teardown(() => stranger.close());
	t.deepEqual(summary(await stranger.receiveNotification()), { code: 6, subcode: 5, data: '' });
	t.is(session.state(), 'established');
});

test('[C74][C75][C76] a peer that reads nothing is given up when the send hold timer expires', async (t) => {
	const clock = new FakeClock();
	const session = await rawSession(t, { sendHoldSeconds: 60, holdTimeSeconds: 30 }, { clock });
	const socket = connect({ host: session.address, port: testPort, localAddress: session.peerName });
	t.teardown(() => socket.destroy());
	socket.on('error', () => {});
	await once(socket, 'connect');
	// This socket is never read.
	socket.write(
		Buffer.concat([
			encodeMessage(openMessage({ asNumber: 65002, routerId: 2, holdTimeSeconds: 30 }), context),
			keepalive,
		]),
	);
	await eventually('it is established', () => session.state() === 'established');
	const [established] = session.rib.sessions;
	let more = true;
	const large = Buffer.concat(Array.from({ length: 3000 }, () => updateBytes));
	for (let count = 0; count < 2000 && more; count++) more = established?.sink.write(large) ?? false;
	t.false(more);
	t.true((established?.sink.bufferedBytes ?? 0) > 0);
	const received = () => session.speaker.peer(session.peerName)?.messages.received.keepalive ?? 0;
	for (let second = 0; second < 55; second += 5) {
		const before = received();
		socket.write(keepalive);
		await eventually('the KEEPALIVE arrived', () => received() > before);
		await pass(clock, 5);
	}
	t.is(session.state(), 'established');
	socket.write(keepalive);
	await pass(clock, 10);
	t.not(session.state(), 'established');
	const view = session.speaker.peer(session.peerName);
	t.is(view?.lastError?.message, 'send hold timer expired');
	t.deepEqual([view?.lastNotificationSent?.code, view?.lastNotificationSent?.subcode], [8, 0]);
	t.deepEqual(established?.ended, { type: 'forget' });
});

test('[C76] the hold timer fires although the peer reads nothing', async (t) => {
	const clock = new FakeClock();
	const session = await rawSession(t, { holdTimeSeconds: 9 }, { clock });
	const socket = connect({ host: session.address, port: testPort, localAddress: session.peerName });
	t.teardown(() => socket.destroy());
	socket.on('error', () => {});
	await once(socket, 'connect');
	socket.write(
		Buffer.concat([
			encodeMessage(openMessage({ asNumber: 65002, routerId: 2, holdTimeSeconds: 9 }), context),
			keepalive,
		]),
	);
	await eventually('it is established', () => session.state() === 'established');
	const large = Buffer.concat(Array.from({ length: 3000 }, () => updateBytes));
	for (let count = 0; count < 2000; count++) if (session.rib.sessions[0]?.sink.write(large) === false) break;
	await pass(clock, 10);
	t.is(session.speaker.peer(session.peerName)?.lastError?.message, 'hold timer expired');
});

test('[C73] a peer that answers every OPEN with an error is met ever less often', async (t) => {
	const clock = new FakeClock();
	const [own, theirs] = [loopbackAddress(), loopbackAddress()];
	const listener = await RawListener.listen(theirs, testPort);
	t.teardown(() => listener.close());
	const { speaker } = testSpeaker(t, {
		address: own,
		peers: [loopbackPeer(own, { address: theirs, asNumber: 65002 })],
		clock,
	});
	await speaker.start();
	let answered = 0;
	for (let second = 0; second < 600; second++) {
		for (; answered < listener.peers.length; answered++) {
			const raw = listener.peers[answered];
			await raw?.receive('open');
			raw?.send({ type: 'notification', code: 2, subcode: 2, data: nothing });
			await raw?.end();
		}
		await pass(clock, 1);
	}
	// 0.25, 0.5, 1, 2, ... 60, 60 s.
	t.true(answered >= 12 && answered <= 26, `${answered} attempts in ten minutes`);
});

test('[C58] no peer is judged while its messages wait behind others', async (t) => {
	const clock = new FakeClock();
	const own = loopbackAddress();
	const addresses = Array.from({ length: 9 }, () => loopbackAddress());
	const peers = addresses.map((address) =>
		loopbackPeer(own, { address, asNumber: 65002, passive: true, holdTimeSeconds: 9 }),
	);
	const { speaker, rib } = testSpeaker(t, { address: own, peers, clock });
	await speaker.start();
	const raws = await Promise.all(addresses.map((address) => RawPeer.connect(own, testPort, address)));
	for (const [index, raw] of raws.entries()) {
		t.teardown(() => raw.close());
		await raw.establish({ asNumber: 65002, routerId: index + 2, holdTimeSeconds: 9 });
	}
	await eventually('all are established', () => speaker.peers().every(({ state }) => state === 'established'));
	// One message of a flood fills a turn.
	rib.onUpdate = () => {
		const until = performance.now() + 6;
		while (performance.now() < until);
	};
	for (const raw of raws.slice(0, -1)) raw.sendBytes(Buffer.concat(Array.from({ length: 20 }, () => updateBytes)));
	raws.at(-1)?.send({ type: 'keepalive' });
	clock.advance(10_000);
	await eventually('everything was read', () =>
		rib.sessions.every(({ updates }, index) => index === raws.length - 1 || updates.length === 20),
	);
	await turn();
	t.deepEqual(
		speaker.peers().filter(({ state }) => state !== 'established'),
		[],
	);
});
