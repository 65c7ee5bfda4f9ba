import test from 'ava';
import { type Capability, type NotificationMessage, PacketError } from 'bgp-packet';
import { FakeClock } from '../../fakes/clock.ts';
import { eventually } from '../../support/eventually.ts';
import { plainCapabilities } from '../../support/raw-peer.ts';
import { rawSession } from '../../support/raw-session.ts';

const summary = ({ code, subcode, data }: NotificationMessage) => ({
	code,
	subcode,
	data: Buffer.from(data).toString('hex'),
});
const hexText = (text: string): string =>
	Buffer.concat([Uint8Array.of(Buffer.byteLength(text)), Buffer.from(text)]).toString('hex');
const established = async (session: { state(): string }): Promise<void> =>
	eventually('it is established', () => session.state() === 'established');

/** With the N bit, so that Hard Reset is supported. */
const bridging = (notification: boolean): Capability[] => [
	...plainCapabilities(65002),
	{
		type: 'graceful-restart',
		restarting: false,
		notification,
		restartSeconds: 60,
		families: [{ afi: 1, safi: 1, forwarding: true }],
	},
];

const ends: readonly {
	title: string;
	act: (session: Awaited<ReturnType<typeof rawSession>>) => void;
	subcode: number;
	data?: string;
	hard?: boolean;
	kept?: boolean;
}[] = [
	{
		title: '[C77][C80] disable, with a text',
		act: ({ speaker, peerName }) => speaker.disable(peerName, 'no more'),
		subcode: 2,
		data: hexText('no more'),
		hard: true,
	},
	{
		title: '[C77] disable, without a text',
		act: ({ speaker, peerName }) => speaker.disable(peerName),
		subcode: 2,
		hard: true,
	},
	{ title: '[C77] removal', act: ({ speaker, peerName }) => speaker.removePeer(peerName), subcode: 3, hard: true },
	{
		title: '[C77][C80] reset, with a text',
		act: ({ speaker, peerName }) => speaker.reset(peerName, 'hard', 'again'),
		subcode: 4,
		data: hexText('again'),
		kept: true,
	},
	{
		title: '[C77] another configuration',
		act: ({ speaker, peerName }) => {
			const options = speaker.peerOptions(peerName);
			if (options !== undefined) speaker.updatePeer({ ...options, holdTimeSeconds: 33 });
		},
		subcode: 6,
		kept: true,
	},
	{
		title: '[C77][C78][C83] too many prefixes',
		act: ({ rib }) => rib.sessions[0]?.sink.fail(6, 1, Uint8Array.of(0, 1, 1, 0, 0, 3, 232), 'more than 1000 prefixes'),
		subcode: 1,
		data: '000101000003e8',
		hard: true,
	},
	{
		title: '[C77] out of resources',
		act: ({ rib }) => rib.sessions[0]?.sink.fail(6, 8, new Uint8Array(0), 'no memory'),
		subcode: 8,
		hard: true,
	},
	{
		title: 'the end of the speaker',
		act: ({ speaker }) => void speaker.stop({ graceful: false, reason: 'bye' }),
		subcode: 2,
		data: hexText('bye'),
		hard: true,
	},
];

for (const { title, act, subcode, data = '', hard = false, kept = false } of ends) {
	test(`${title} is Cease ${subcode}`, async (t) => {
		const session = await rawSession(t);
		const raw = await session.establish();
		await established(session);
		act(session);
		t.deepEqual(summary(await raw.receiveNotification()), { code: 6, subcode, data });
		t.deepEqual(session.rib.sessions[0]?.ended, { type: 'forget' });
	});

	test(`[C213] ${title} towards a peer with the N bit: ${hard ? 'as Hard Reset' : 'as it is'}`, async (t) => {
		const session = await rawSession(t);
		const raw = await session.establish({ capabilities: bridging(true) });
		await established(session);
		act(session);
		const expected = hard
			? { code: 6, subcode: 9, data: `06${subcode.toString(16).padStart(2, '0')}${data}` }
			: { code: 6, subcode, data };
		t.deepEqual(summary(await raw.receiveNotification()), expected);
		t.deepEqual(session.rib.sessions[0]?.ended, { type: kept ? 'retain' : 'forget' });
	});
}

test('[C214] without the N bit of the peer Hard Reset is not sent', async (t) => {
	const session = await rawSession(t);
	const raw = await session.establish({ capabilities: bridging(false) });
	await established(session);
	session.speaker.disable(session.peerName);
	t.is((await raw.receiveNotification()).subcode, 2);
});

test('[C202] a graceful stop closes without a NOTIFICATION', async (t) => {
	const session = await rawSession(t);
	const raw = await session.establish({ capabilities: bridging(true) });
	await established(session);
	await session.speaker.stop({ graceful: true, reason: 'upgrade' });
	await raw.end();
	t.is(raw.of('notification').length, 0);
});

test('[C202] after a restart the R bit is set until the tables are complete', async (t) => {
	const session = await rawSession(t, {}, { restart: { restarting: true, forwardingPreserved: true } });
	const flags = async () => {
		const raw = await session.connect();
		const capability = (await raw.receive('open')).capabilities.find(({ type }) => type === 'graceful-restart');
		raw.close();
		return capability?.type === 'graceful-restart'
			? [capability.restarting, capability.families.every(({ forwarding }) => forwarding)]
			: undefined;
	};
	t.deepEqual(await flags(), [true, true]);
	session.rib.reachSync();
	await eventually('the first connection is gone', () => session.state() === 'active');
	// A speaker that runs forwards between two sessions: F without R.
	t.deepEqual(await flags(), [false, true]);
});

for (const { title, end, kept } of [
	{ title: '[C204] the loss of TCP', end: 'tcp', kept: true },
	{ title: '[C212] a Cease with the N bit', end: { code: 6, subcode: 4 }, kept: true },
	{ title: '[C213] a Hard Reset', end: { code: 6, subcode: 9 }, kept: false },
] as const) {
	test(`routes after ${title} are ${kept ? 'kept' : 'dropped'}`, async (t) => {
		const session = await rawSession(t);
		const raw = await session.establish({ capabilities: bridging(true) });
		await established(session);
		if (end === 'tcp') raw.close();
		else raw.send({ type: 'notification', ...end, data: new Uint8Array(0) });
		await eventually('the RIB has the end', () => session.rib.sessions[0]?.ended !== undefined);
		t.deepEqual(session.rib.sessions[0]?.ended, { type: kept ? 'retain' : 'forget' });
	});
}

test('routes that are kept go when the peer is removed', async (t) => {
	const session = await rawSession(t);
	const raw = await session.establish({ capabilities: bridging(true) });
	await established(session);
	raw.close();
	await eventually('the RIB has the end', () => session.rib.sessions[0]?.ended !== undefined);
	session.speaker.removePeer(session.peerName);
	t.deepEqual(session.rib.forgotten, [session.peerName]);
});

test('[C80][C81][C231] a text is shown with its control characters escaped', async (t) => {
	const session = await rawSession(t);
	const raw = await session.establish();
	const text = Buffer.from('down \u001b[31mnow\n');
	raw.send({ type: 'notification', code: 6, subcode: 2, data: Uint8Array.of(text.length, ...text) });
	await raw.end();
	t.is(session.speaker.peer(session.peerName)?.lastNotificationReceived?.text, 'down \\u{1b}[31mnow\\u{a}');
});

test('[C82] a text of 300 octets is cut at 255', async (t) => {
	const session = await rawSession(t);
	const raw = await session.establish();
	await established(session);
	session.speaker.disable(session.peerName, 'x'.repeat(300));
	t.is((await raw.receiveNotification()).data.length, 256);
});

test('[C83] after too many prefixes the peer stays down, and comes back when it is enabled', async (t) => {
	const clock = new FakeClock();
	const session = await rawSession(t, {}, { clock });
	const raw = await session.establish();
	await established(session);
	session.rib.sessions[0]?.sink.fail(6, 1, new Uint8Array(0), 'too many');
	await raw.receiveNotification();
	clock.advance(3_600_000);
	t.is((await (await session.connect()).receiveNotification()).subcode, 5);
	session.speaker.enable(session.peerName);
	await session.establish();
	await established(session);
	t.pass();
});

test('[C83] or after the restart time', async (t) => {
	const clock = new FakeClock();
	const session = await rawSession(t, { maxPrefixRestartSeconds: 100 }, { clock });
	const raw = await session.establish();
	await established(session);
	session.rib.sessions[0]?.sink.fail(6, 1, new Uint8Array(0), 'too many');
	await raw.receiveNotification();
	clock.advance(99_000);
	t.is(session.state(), 'idle');
	clock.advance(2000);
	await session.establish();
	await established(session);
	t.pass();
});

test('[C85] what the RIB throws at an UPDATE is sent, and nothing more is asked of it', async (t) => {
	const session = await rawSession(t);
	session.rib.onUpdate = () => {
		throw new PacketError('updateMessage', 1, 'withdrawn routes run over', { data: Uint8Array.of(1, 2) });
	};
	const raw = await session.establish();
	await established(session);
	const update = Buffer.from(`${'ff'.repeat(16)}00170200000000`, 'hex');
	raw.sendBytes(Buffer.concat([update, update]));
	t.deepEqual(summary(await raw.receiveNotification()), { code: 3, subcode: 1, data: '0102' });
	t.is(session.rib.sessions[0]?.updates.length, 1);
});

test('a failure that the RIB finds inside an UPDATE waits until it returned', async (t) => {
	const session = await rawSession(t);
	const order: string[] = [];
	session.rib.onUpdate = ({ sink, ended }) => {
		sink.fail(6, 1, new Uint8Array(0), 'too many');
		order.push(ended === undefined ? 'update returns' : 'ended too early');
	};
	const raw = await session.establish();
	await established(session);
	raw.sendBytes(Buffer.from(`${'ff'.repeat(16)}00170200000000`.repeat(3), 'hex'));
	t.is((await raw.receiveNotification()).subcode, 1);
	t.deepEqual(order, ['update returns']);
	t.deepEqual(session.rib.sessions[0]?.ended, { type: 'forget' });
});

test('a failure that the RIB finds when a session comes up ends it', async (t) => {
	const session = await rawSession(t);
	session.rib.onEstablished = ({ sink }) => sink.fail(6, 8, new Uint8Array(0), 'no memory');
	const raw = await session.establish();
	t.is((await raw.receiveNotification()).subcode, 8);
	t.deepEqual(session.rib.sessions[0]?.ended, { type: 'forget' });
});

test('[C83] how long the pause lasts is shown, and that there is none where no attempt follows', async (t) => {
	for (const maxPrefixRestartSeconds of [100, undefined]) {
		const clock = new FakeClock();
		const options = maxPrefixRestartSeconds === undefined ? {} : { maxPrefixRestartSeconds };
		const session = await rawSession(t, options, { clock });
		const raw = await session.establish();
		await established(session);
		session.rib.sessions[0]?.sink.fail(6, 1, new Uint8Array(0), 'too many');
		await raw.receiveNotification();
		clock.advance(40_000);
		t.deepEqual(
			session.speaker.peer(session.peerName)?.timers,
			maxPrefixRestartSeconds === undefined ? undefined : { idleHold: 60 },
		);
	}
});
