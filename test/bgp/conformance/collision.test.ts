import test, { type ExecutionContext } from 'ava';
import type { NotificationMessage } from 'bgp-packet';

import type { PeerOptions } from '../../../src/bgp/index.ts';
import { FakeClock } from '../../fakes/clock.ts';
import { eventually } from '../../support/eventually.ts';
import { loopbackAddress, testPort } from '../../support/loopback.ts';
import { openMessage, plainCapabilities, RawListener, RawPeer } from '../../support/raw-peer.ts';
import { rawSession } from '../../support/raw-session.ts';
import { loopbackPeer, testSpeaker } from '../../support/speakers.ts';

const summary = ({ code, subcode }: NotificationMessage) => `${code}/${subcode}`;

/**
 * Our identifier is 10.0.0.1, our AS 65001; both connections are open and only our OPEN was sent.
 */
async function collide(t: ExecutionContext, options: Partial<PeerOptions> = {}) {
	const [own, theirs] = [loopbackAddress(), loopbackAddress()];
	const listener = await RawListener.listen(theirs, testPort);
	t.teardown(() => listener.close());
	const peer = loopbackPeer(own, { address: theirs, asNumber: 65002, ...options });
	const speaker = testSpeaker(t, { address: own, routerId: 0x0a000001, peers: [peer], clock: new FakeClock() });
	await speaker.speaker.start();
	const outgoing = await listener.accept();
	await outgoing.receive('open');
	const incoming = await RawPeer.connect(own, testPort, theirs);
	t.teardown(() => incoming.close());
	await incoming.receive('open');
	return { ...speaker, outgoing, incoming, state: () => speaker.speaker.peer(peer.name)?.state };
}

const higher = openMessage({ asNumber: 65002, routerId: 0x0a000002 });
const lower = openMessage({ asNumber: 65002, routerId: 0x09000001 });

for (const { title, open, first, survivor } of [
	{ title: '[C67] the peer has the higher identifier', open: higher, first: 'outgoing', survivor: 'incoming' },
	{
		title: '[C67] the peer has the higher identifier, its OPEN comes first on its own connection',
		open: higher,
		first: 'incoming',
		survivor: 'incoming',
	},
	{ title: '[C67] we have the higher identifier', open: lower, first: 'incoming', survivor: 'outgoing' },
	{
		title: '[C67] we have the higher identifier, the OPEN comes first on our connection',
		open: lower,
		first: 'outgoing',
		survivor: 'outgoing',
	},
	{
		title: '[C69] equal identifiers, the peer has the larger AS',
		open: openMessage({ asNumber: 65002, routerId: 0x0a000001 }),
		first: 'outgoing',
		survivor: 'incoming',
	},
] as const) {
	test(`[C68][C71] ${title}: its connection survives, the other one gets 6/7`, async (t) => {
		const session = await collide(t);
		const loser = survivor === 'incoming' ? 'outgoing' : 'incoming';
		session[first].send(open);
		if (first === survivor) {
			t.is(summary(await session[loser].receiveNotification()), '6/7');
		} else {
			t.is(summary(await session[first].receiveNotification()), '6/7');
			session[survivor].send(open);
		}
		await session[survivor].receive('keepalive');
		session[survivor].send({ type: 'keepalive' });
		await eventually('the survivor is established', () => session.state() === 'established');
		t.is(session.rib.sessions.length, 1);
		t.is(session[survivor].of('notification').length, 0);
	});
}

test('[C67] both OPENs at the same moment leave one session', async (t) => {
	const session = await collide(t);
	session.outgoing.send(higher);
	session.incoming.send(higher);
	t.is(summary(await session.outgoing.receiveNotification()), '6/7');
	await session.incoming.receive('keepalive');
	session.incoming.send({ type: 'keepalive' });
	await eventually('it is established', () => session.state() === 'established');
	t.is(session.rib.sessions.length, 1);
});

test('[C70] a connection beside an established session is closed with 6/7', async (t) => {
	const session = await rawSession(t);
	await session.establish();
	await eventually('it is established', () => session.state() === 'established');
	const second = await session.connect();
	t.is(summary(await second.receiveNotification()), '6/7');
	t.is(session.state(), 'established');
	t.is(session.rib.sessions[0]?.ended, undefined);
});

const restartable = [
	...plainCapabilities(65002),
	{
		type: 'graceful-restart',
		restarting: false,
		notification: false,
		restartSeconds: 60,
		families: [{ afi: 1, safi: 1, forwarding: true }],
	} as const,
];

test('[C210] a peer that restarted takes the place of its old session, without a NOTIFICATION there', async (t) => {
	const session = await rawSession(t);
	const first = await session.establish({ capabilities: restartable });
	await eventually('it is established', () => session.state() === 'established');
	const second = await session.connect();
	await second.receive('open');
	t.is(session.rib.sessions[0]?.ended, undefined);
	second.send(openMessage({ asNumber: 65002, routerId: 0x0a000002, capabilities: restartable }));
	await first.end();
	t.is(first.of('notification').length, 0);
	t.deepEqual(session.rib.sessions[0]?.ended, { type: 'retain' });
	await second.receive('keepalive');
	second.send({ type: 'keepalive' });
	await eventually(
		'the second is established',
		() => session.rib.sessions.length === 2 && session.state() === 'established',
	);
});

test('[C210] a connection that sends nothing does not end the established session', async (t) => {
	const session = await rawSession(t);
	await session.establish({ capabilities: restartable });
	await eventually('it is established', () => session.state() === 'established');
	const second = await session.connect();
	await second.receive('open');
	second.close();
	const third = await session.connect();
	await third.receive('open');
	third.send(openMessage({ asNumber: 65003, routerId: 0x0a000002 }));
	t.is(summary(await third.receiveNotification()), '2/2');
	t.is(session.state(), 'established');
	t.is(session.rib.sessions.length, 1);
	t.is(session.rib.sessions[0]?.ended, undefined);
});

test('[C73] of two connections by the peer the newer one counts', async (t) => {
	const session = await rawSession(t);
	const first = await session.connect();
	await first.receive('open');
	const second = await session.connect();
	t.is(summary(await first.receiveNotification()), '6/7');
	await second.establish({ asNumber: 65002, routerId: 2 });
	await eventually('it is established', () => session.state() === 'established');
	t.is(session.rib.sessions.length, 1);
});
