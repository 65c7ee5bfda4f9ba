import test from 'ava';

import { PeerExistsError, type SessionEvent, UnknownPeerError } from '../../../src/bgp/index.ts';
import { eventually } from '../../support/eventually.ts';
import { loopbackAddress } from '../../support/loopback.ts';
import { plainCapabilities } from '../../support/raw-peer.ts';
import { rawSession } from '../../support/raw-session.ts';
import { loopbackPeer, testSpeaker } from '../../support/speakers.ts';

const update = Buffer.from(`${'ff'.repeat(16)}00170200000000`, 'hex');
const established = async (session: { state(): string }): Promise<void> =>
	eventually('it is established', () => session.state() === 'established');
const refreshBytes = (subtype: number, afi = 1): Buffer =>
	Buffer.from(`${'ff'.repeat(16)}0017050${0}0${afi}0${subtype}01`, 'hex');

test('[C188] a ROUTE-REFRESH for a negotiated family reaches the RIB, others are ignored', async (t) => {
	const session = await rawSession(t, { families: ['ipv4'] });
	const raw = await session.establish();
	await established(session);
	for (const [subtype, afi] of [
		[0, 1],
		[0, 2],
		[1, 1],
		[2, 1],
		[9, 1],
	] as const)
		raw.sendBytes(refreshBytes(subtype, afi));
	raw.sendBytes(update);
	await eventually('the UPDATE behind them arrived', () => session.rib.sessions[0]?.updates.length === 1);
	t.deepEqual(session.rib.sessions[0]?.refreshes, ['ipv4 request']);
	t.is(session.state(), 'established');
});

test('[C190][C191][C194] with RFC 7313 the marks reach the RIB, unknown subtypes are ignored', async (t) => {
	const session = await rawSession(t);
	const raw = await session.establish({
		capabilities: [...plainCapabilities(65002), { type: 'enhanced-route-refresh' }],
	});
	await established(session);
	for (const subtype of [1, 0, 2, 3, 255])
		raw.sendBytes(refreshBytes(0).map((octet, index) => (index === 21 ? subtype : octet)));
	raw.sendBytes(update);
	await eventually('the UPDATE behind them arrived', () => session.rib.sessions[0]?.updates.length === 1);
	t.deepEqual(session.rib.sessions[0]?.refreshes, ['ipv4 begin', 'ipv4 request', 'ipv4 end']);
});

test('[C189][C195] a refresh requests every family, and only from a peer that supports it', async (t) => {
	const able = await rawSession(t);
	const raw = await able.establish();
	await established(able);
	t.true(able.speaker.refresh(able.peerName));
	await raw.receive('route-refresh', 2);
	t.deepEqual(
		raw.of('route-refresh').map(({ afi, safi, subtype }) => [afi, safi, subtype]),
		[
			[1, 1, 'request'],
			[2, 1, 'request'],
		],
	);
	const unable = await rawSession(t);
	const other = await unable.establish({ capabilities: [{ type: 'four-octet-as', asNumber: 65002 }] });
	await established(unable);
	t.false(unable.speaker.refresh(unable.peerName));
	unable.speaker.reset(unable.peerName, 'soft');
	t.is(other.of('route-refresh').length, 0);
	t.deepEqual(unable.rib.resent, [unable.peerName]);
	t.is(unable.state(), 'established');
});

test('a peer that does not read blocks its sink, and the RIB is notified when it reads again', async (t) => {
	const session = await rawSession(t);
	const raw = await session.establish();
	await established(session);
	const [recorded] = session.rib.sessions;
	raw.socket.pause();
	const large = Buffer.concat(Array.from({ length: 2500 }, () => update));
	let more = true;
	let written = 0;
	for (let count = 0; count < 2000 && more; count++) {
		more = recorded?.sink.write(large) ?? false;
		written += 2500;
	}
	t.false(more);
	t.true((recorded?.sink.bufferedBytes ?? 0) > 0);
	t.is(recorded?.drained, 0);
	raw.socket.resume();
	await eventually('the RIB has the event', () => (recorded?.drained ?? 0) > 0);
	await raw.receive('update', written);
	t.is(recorded?.sink.bufferedBytes, 0);
	t.is(session.speaker.peer(session.peerName)?.messages.sent.update, written);
});

test('a flood from one peer does not delay another one', async (t) => {
	const flooded = await rawSession(t);
	const raw = await flooded.establish();
	await established(flooded);
	let others = 0;
	let longest = 0;
	let before = performance.now();
	const watch = setInterval(() => {
		others++;
		longest = Math.max(longest, performance.now() - before);
		before = performance.now();
	}, 1);
	t.teardown(() => clearInterval(watch));
	// Processing time of one message.
	flooded.rib.onUpdate = () => {
		const until = performance.now() + 0.5;
		while (performance.now() < until);
	};
	raw.sendBytes(Buffer.concat(Array.from({ length: 1000 }, () => update)));
	await eventually('all arrived', () => flooded.rib.sessions[0]?.updates.length === 1000);
	// Half a second of work in slices of five milliseconds.
	t.true(others > 20, `${others} turns, the longest of ${Math.round(longest)} ms`);
});

test('a change without a reset keeps the session', async (t) => {
	const session = await rawSession(t);
	await session.establish();
	await established(session);
	const options = session.speaker.peerOptions(session.peerName);
	if (options === undefined) return t.fail();
	t.is(session.speaker.updatePeer({ ...options, description: 'new' }).effect, 'live');
	t.is(session.speaker.updatePeer({ ...options, description: 'new', importPolicies: [] }).effect, 'routes');
	t.deepEqual(session.rib.reconfigured, [session.peerName]);
	return t.is(session.rib.sessions[0]?.ended, undefined);
});

test('peers are added and removed while the speaker runs', async (t) => {
	const own = loopbackAddress();
	const { speaker } = testSpeaker(t, { address: own });
	await speaker.start();
	const options = loopbackPeer(own, { name: 'tor', address: loopbackAddress(), asNumber: 65002, passive: true });
	speaker.addPeer(options);
	t.is(speaker.peer('tor')?.state, 'active');
	t.throws(() => speaker.addPeer(options), { instanceOf: PeerExistsError });
	t.throws(() => speaker.addPeer({ ...options, name: 'other' }), { instanceOf: PeerExistsError });
	speaker.removePeer('tor');
	t.is(speaker.peer('tor'), undefined);
	t.throws(() => speaker.reset('tor', 'hard'), { instanceOf: UnknownPeerError });
});

test('a peer that is configured as disabled waits for enable', async (t) => {
	const session = await rawSession(t, { enabled: false });
	t.is(session.state(), 'idle');
	t.false(session.speaker.peer(session.peerName)?.enabled);
	t.is((await (await session.connect()).receiveNotification()).subcode, 5);
	session.speaker.enable(session.peerName);
	await session.establish();
	await established(session);
	t.true(session.speaker.peer(session.peerName)?.enabled);
});

test('a watcher receives states, notifications and reasons', async (t) => {
	const session = await rawSession(t);
	const events: SessionEvent[] = [];
	const end = session.speaker.onEvent((event) => events.push(event));
	const raw = await session.establish();
	await established(session);
	session.speaker.reset(session.peerName, 'hard', 'because');
	await raw.end();
	end();
	session.speaker.disable(session.peerName);
	t.deepEqual(
		events.map(({ type, state, reason }) => [type, state, reason].filter((part) => part !== undefined).join(' ')),
		[
			'state open-sent',
			'state open-confirm',
			'state established',
			'established established',
			'state idle',
			'notification-sent idle Cease/Administrative Reset',
			'ended idle because',
			'state active',
		],
	);
});

test('a view contains the operational state', async (t) => {
	const session = await rawSession(t, { name: 'tor' });
	await session.establish({ holdTimeSeconds: 30 });
	await established(session);
	const view = session.speaker.peer('tor');
	t.like(view, {
		name: 'tor',
		asNumber: 65002,
		localAsNumber: 65001,
		kind: 'external',
		state: 'established',
		routerId: '10.0.0.2',
		localAddress: session.address,
		holdTimeSeconds: 30,
		keepaliveSeconds: 10,
		establishedCount: 1,
	});
	t.deepEqual(view?.capabilities?.received, [
		'multiprotocol ipv4',
		'multiprotocol ipv6',
		'route-refresh',
		'four-octet-as 65002',
	]);
	t.deepEqual(view?.capabilities?.negotiated, ['ipv4', 'ipv6', 'four-octet-as', 'route-refresh']);
	t.deepEqual(Object.keys(view?.timers ?? {}), ['hold', 'keepalive']);
	t.deepEqual(view?.messages.sent, {
		open: 1,
		update: 0,
		notification: 0,
		keepalive: 1,
		refresh: 0,
		bytes: view?.messages.sent.bytes,
	});
	t.is(session.speaker.peer('tor')?.since, view?.since);
});
