import test from 'ava';
import { ListenError, type PeerRangeOptions, peerDefaults, peerOptions } from '../../../src/bgp/index.ts';
import { FakeClock } from '../../fakes/clock.ts';
import { recordingLogger } from '../../fakes/log.ts';
import { eventually } from '../../support/eventually.ts';
import { loopbackAddress, testPort } from '../../support/loopback.ts';
import { RawPeer } from '../../support/raw-peer.ts';
import { rawSession } from '../../support/raw-session.ts';
import { loopbackPeer, testSpeaker } from '../../support/speakers.ts';

for (const { title, maxPrefix, returns } of [
	{ title: 'raised', maxPrefix: { limit: 20, warnPercent: 75, action: 'shutdown' as const }, returns: true },
	{ title: 'removed', maxPrefix: undefined, returns: true },
	{ title: 'changed to a warning', maxPrefix: { limit: 10, warnPercent: 75, action: 'warn' as const }, returns: true },
	{ title: 'lowered', maxPrefix: { limit: 5, warnPercent: 75, action: 'shutdown' as const }, returns: false },
]) {
	test(`a prefix limit that is ${title} ${returns ? 'brings the session back' : 'leaves the session down'}`, async (t) => {
		const before = { limit: 10, warnPercent: 75, action: 'shutdown' as const };
		const session = await rawSession(t, { maxPrefix: before });
		const raw = await session.establish();
		await eventually('it is established', () => session.state() === 'established');
		session.rib.sessions[0]?.sink.fail(6, 1, new Uint8Array(0), 'more than 10 prefixes');
		await raw.receiveNotification();
		t.is(session.state(), 'idle');
		const options = session.speaker.peerOptions(session.peerName);
		if (options === undefined) return t.fail();
		session.speaker.updatePeer({ ...options, maxPrefix });
		t.is(session.state(), returns ? 'active' : 'idle');
		if (returns) await session.establish();
		return t.pass();
	});
}

test("connections from the peer's address without any message do not count as failures of its sessions", async (t) => {
	const clock = new FakeClock();
	const session = await rawSession(t, {}, { clock });
	for (let round = 0; round < 12; round++) {
		const raw = await session.connect();
		await raw.receive('open');
		raw.close();
		await eventually('the connection is gone', () => session.state() === 'active');
	}
	// No idle hold period in which the peer would be refused.
	await session.establish();
	await eventually('it is established', () => session.state() === 'established');
	t.pass();
});

const rangeOf = (address: string, given: Partial<PeerRangeOptions['peer']> = {}): PeerRangeOptions => ({
	name: 'range',
	prefix: `${address}/32`,
	limit: 10,
	peer: { ...peerDefaults, asNumber: 65001, ...given },
});

test('a neighbor of a range whose sessions fail repeatedly waits longer each time', async (t) => {
	const clock = new FakeClock();
	const log = recordingLogger();
	const [own, theirs] = [loopbackAddress(), loopbackAddress()];
	const { speaker } = testSpeaker(t, { address: own, ranges: [rangeOf(theirs)], clock, log });
	await speaker.start();
	/** The type of the first message: an OPEN, or a refusal. */
	const attempt = async () => {
		const raw = await RawPeer.connect(own, testPort, theirs);
		t.teardown(() => raw.close());
		await eventually('a message came', () => raw.messages.length > 0);
		const type = raw.messages[0]?.type;
		if (type === 'open') {
			raw.send({ type: 'keepalive' });
			await raw.receiveNotification();
		}
		await eventually('the peer is gone', () => speaker.peers().length === 0);
		return type;
	};
	t.deepEqual([await attempt(), await attempt(), await attempt()], ['open', 'open', 'open']);
	t.is(await attempt(), 'notification');
	clock.advance(250);
	t.is(await attempt(), 'open');
	clock.advance(250);
	t.is(await attempt(), 'notification');
	t.deepEqual(speaker.refusedConnections(), { 'not-configured': 0, 'range-full': 0, 'held-down': 2 });
	const refusals = log.lines.filter(({ message }) => message.startsWith('connection refused'));
	t.deepEqual(
		refusals.map(({ level, fields }) => [level, fields['count'], fields['range']]),
		[['warn', 1, 'range']],
	);
});

test('connections of unknown addresses are counted, and logged once a minute with the number of suppressed ones', async (t) => {
	const clock = new FakeClock();
	const log = recordingLogger();
	const own = loopbackAddress();
	const { speaker } = testSpeaker(t, { address: own, clock, log });
	await speaker.start();
	const knock = async () => {
		const raw = await RawPeer.connect(own, testPort, loopbackAddress());
		t.teardown(() => raw.close());
		await raw.receiveNotification();
	};
	for (let index = 0; index < 5; index++) await knock();
	clock.advance(60_000);
	await knock();
	t.is(speaker.refusedConnections()['not-configured'], 6);
	t.deepEqual(
		log.lines.filter(({ level }) => level === 'warn').map(({ fields }) => [fields['count'], fields['suppressed']]),
		[
			[1, 0],
			[6, 4],
		],
	);
});

test("a NOTIFICATION's data is logged up to 64 octets", async (t) => {
	const log = recordingLogger();
	const session = await rawSession(t, {}, { log });
	const raw = await session.establish();
	await eventually('it is established', () => session.state() === 'established');
	raw.send({ type: 'notification', code: 3, subcode: 9, data: new Uint8Array(4000).fill(0xab) });
	await eventually('it is over', () => session.state() !== 'established');
	const line = log.lines.find(({ message }) => message === 'notification received');
	t.like(line?.fields, { code: 3, subcode: 9, dataHex: 'ab'.repeat(64), dataBytes: 4000 });
});

test('a peer without a key in a range with one causes one warning', async (t) => {
	const log = recordingLogger();
	const [own, theirs] = [loopbackAddress(), loopbackAddress()];
	const { speaker } = testSpeaker(t, {
		address: own,
		log,
		ranges: [rangeOf(theirs, { md5Key: 'secret' })],
		peers: [loopbackPeer(own, { name: 'bare', address: theirs, asNumber: 65001, passive: true })],
	});
	await speaker.start();
	speaker.addPeer(peerOptions({ address: '192.0.2.9', asNumber: 65001, passive: true }));
	const warnings = () => log.lines.filter(({ message }) => message.startsWith('a peer without md5Key'));
	t.deepEqual(
		warnings().map(({ fields }) => [fields['peer'], fields['range']]),
		[['bare', 'range']],
	);
});

test('a port in use is an error with the port and its likely holder', async (t) => {
	const own = loopbackAddress();
	const first = testSpeaker(t, { address: own });
	await first.speaker.listen();
	const second = testSpeaker(t, { address: own });
	const error = await t.throwsAsync(second.speaker.listen(), { instanceOf: ListenError });
	t.is(error?.code, 'EADDRINUSE');
	t.regex(error?.message ?? '', new RegExp(`port ${testPort}: .*another BGP speaker .* ss -ltnp`));
});

test('a connection that arrives between listening and start is accepted at the start', async (t) => {
	const [own, theirs] = [loopbackAddress(), loopbackAddress()];
	const { speaker } = testSpeaker(t, {
		address: own,
		peers: [loopbackPeer(own, { address: theirs, asNumber: 65001, passive: true })],
	});
	await speaker.listen();
	const raw = await RawPeer.connect(own, testPort, theirs);
	t.teardown(() => raw.close());
	await new Promise((resolve) => setTimeout(resolve, 20));
	t.deepEqual(raw.messages, []);
	await speaker.start();
	await raw.establish({ asNumber: 65001, routerId: 7 });
	await eventually('it is established', () => speaker.peer(theirs)?.state === 'established');
});
