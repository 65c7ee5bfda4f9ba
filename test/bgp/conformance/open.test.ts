import test from 'ava';
import type { Capability, NotificationMessage } from 'bgp-packet';

import type { PeerOptions } from '../../../src/bgp/index.ts';
import { eventually } from '../../support/eventually.ts';
import { openMessage } from '../../support/raw-peer.ts';
import { rawSession } from '../../support/raw-session.ts';

const bytes = (hex: string): Uint8Array =>
	Uint8Array.from(Buffer.from(hex.replace(/#.*$/gm, '').replace(/\s/g, ''), 'hex'));
const summary = ({ code, subcode, data }: NotificationMessage) => ({
	code,
	subcode,
	data: Buffer.from(data).toString('hex'),
});

/** An OPEN from its body, after the header. */
function open(body: string): Uint8Array {
	const octets = bytes(body);
	return Buffer.concat([bytes('ff'.repeat(16)), Uint8Array.of(0, octets.length + 19, 1), octets]);
}

/** AS 65002, hold time 90, 10.0.0.2: the fields before the parameters. */
const head = '04 fdea 005a 0a000002';
const as65002 = '41 04 0000fdea';

const refused: readonly {
	title: string;
	wire: string;
	options?: Partial<PeerOptions>;
	subcode: number;
	data?: string;
	code?: number;
}[] = [
	{ title: '[C14] version 3', wire: '03 fdea 005a 0a000002 00', subcode: 1, data: '0004' },
	{ title: '[C14] version 5', wire: '05 fdea 005a 0a000002 00', subcode: 1, data: '0004' },
	{ title: '[C15] another AS in My AS', wire: '04 fdeb 005a 0a000002 00', subcode: 2 },
	{ title: '[C15] another AS in capability 65', wire: `${head} 08 02 06 41 04 0000fdeb`, subcode: 2 },
	{ title: '[C16] AS 0 in My AS', wire: '04 0000 005a 0a000002 00', subcode: 2 },
	{ title: '[C16] AS 0 in capability 65', wire: `${head} 08 02 06 41 04 00000000`, subcode: 2 },
	{
		title: '[C17] AS_TRANS without capability 65',
		wire: '04 5ba0 005a 0a000002 00',
		options: { asNumber: 23456 },
		subcode: 2,
	},
	{ title: '[C18] identifier 0', wire: '04 fdea 005a 00000000 00', subcode: 3 },
	{
		title: '[C19] our identifier inside the AS',
		wire: '04 fde9 005a 0a000001 00',
		options: { asNumber: 65001 },
		subcode: 3,
	},
	{ title: '[C20] hold time 1', wire: '04 fdea 0001 0a000002 00', subcode: 6 },
	{ title: '[C20] hold time 2', wire: '04 fdea 0002 0a000002 00', subcode: 6 },
	{ title: '[C22] an unknown parameter', wire: `${head} 03 01 01 00`, subcode: 4 },
	{ title: '[C22] a capability of the wrong length', wire: `${head} 05 02 03 41 01 00`, subcode: 0 },
	{ title: '[C23] parameters that run over the message', wire: `${head} 08 02 06 41 04 0000`, subcode: 0 },
	{ title: '[C23] octets behind the parameters', wire: `${head} 00 00 00`, subcode: 0 },
	{ title: '[C28] a capability that runs over its parameter', wire: `${head} 04 02 02 41 04`, subcode: 0 },
	{
		title: '[C44] our own role',
		wire: `${head} 0b 02 09 ${as65002} 09 01 00`,
		options: { role: 'provider' },
		subcode: 11,
	},
	{
		title: '[C45] two roles',
		wire: `${head} 0e 02 0c ${as65002} 09 01 03 09 01 04`,
		options: { role: 'provider' },
		subcode: 11,
	},
	{
		title: '[C46] no role, in strict mode',
		wire: `${head} 08 02 06 ${as65002}`,
		options: { role: 'provider', strictRole: true },
		subcode: 11,
	},
	{
		title: '[C26] no family in common',
		wire: `${head} 0e 02 0c ${as65002} 01 04 0019 00 41`,
		options: { families: ['ipv6'] },
		subcode: 7,
		data: '010400020001',
	},
];

for (const { title, wire, options = {}, subcode, data = '' } of refused) {
	test(`${title} is answered with 2/${subcode}`, async (t) => {
		const session = await rawSession(t, options);
		const raw = await session.connect();
		await raw.receive('open');
		raw.sendBytes(open(wire));
		t.deepEqual(summary(await raw.receiveNotification()), { code: 2, subcode, data });
		t.is(session.rib.sessions.length, 0);
	});
}

const accepted: readonly {
	title: string;
	wire: string;
	options?: Partial<PeerOptions>;
	negotiated?: readonly string[];
}[] = [
	{ title: '[C18] an identifier of class E', wire: `04 fdea 005a f0000001 08 02 06 ${as65002}` },
	{ title: '[C19] our identifier outside the AS', wire: `04 fdea 005a 0a000001 08 02 06 ${as65002}` },
	{ title: '[C20] hold time 3', wire: `04 fdea 0003 0a000002 08 02 06 ${as65002}` },
	{ title: '[C20] hold time 0', wire: `04 fdea 0000 0a000002 08 02 06 ${as65002}` },
	{ title: '[C33] an OPEN without parameters', wire: `${head} 00`, negotiated: ['ipv4'] },
	{
		title: '[C24] several capabilities in a parameter, several parameters, and repetitions',
		wire: `${head} 1e 02 0c ${as65002} 01 04 0001 00 01 02 0e 01 04 0001 00 01 ${as65002} 02 00`,
		negotiated: ['ipv4', 'four-octet-as', 'route-refresh'],
	},
	{ title: '[C25] unknown capabilities', wire: `${head} 0e 02 0c ${as65002} c8 02 abcd c9 00` },
	{
		title: '[C32] a reserved octet in the multiprotocol capability',
		wire: `${head} 0e 02 0c ${as65002} 01 04 0002 ff 01`,
		negotiated: ['ipv6', 'four-octet-as'],
	},
	{
		title: '[C29][C31] the extended form for a short list',
		wire: `${head} ff ff 0009 02 0006 ${as65002}`,
		negotiated: ['ipv4', 'four-octet-as'],
	},
	{
		title: '[C30] the extended form with any value of the old length',
		wire: `${head} 01 ff 0009 02 0006 ${as65002}`,
		negotiated: ['ipv4', 'four-octet-as'],
	},
	{
		title: '[C17] a number of four octets behind AS_TRANS',
		wire: '04 5ba0 005a 0a000002 08 02 06 41 04 fa56ea01',
		options: { asNumber: 4_200_000_001 },
	},
];

for (const { title, wire, options = {}, negotiated } of accepted) {
	test(`${title} is accepted`, async (t) => {
		const session = await rawSession(t, options);
		const raw = await session.connect();
		raw.sendBytes(open(wire));
		await raw.receive('keepalive');
		raw.send({ type: 'keepalive' });
		await eventually('the session is established', () => session.state() === 'established');
		const view = session.speaker.peer(session.peerName);
		if (negotiated !== undefined) t.deepEqual(view?.capabilities?.negotiated, negotiated);
		else t.pass();
	});
}

test('[C21] the hold time is the smaller one, and 0 stops both timers', async (t) => {
	const shorter = await rawSession(t);
	await shorter.establish({ holdTimeSeconds: 30 });
	await eventually('it is established', () => shorter.state() === 'established');
	t.is(shorter.speaker.peer(shorter.peerName)?.holdTimeSeconds, 30);
	const none = await rawSession(t);
	await none.establish({ holdTimeSeconds: 0 });
	await eventually('it is established', () => none.state() === 'established');
	t.is(none.speaker.peer(none.peerName)?.timers, undefined);
});

test('[C17] a speaker of four octets sends AS_TRANS in My AS', async (t) => {
	const session = await rawSession(t, { localAsNumber: 4_200_000_001 });
	const raw = await session.connect();
	const sent = await raw.receive('open');
	t.is(sent.asNumber, 23456);
	t.deepEqual(
		sent.capabilities.filter(({ type }) => type === 'four-octet-as'),
		[{ type: 'four-octet-as', asNumber: 4_200_000_001 }],
	);
});

test('[C32][C34][C35][C39][C41][C42][C43] every capability that is configured is in our OPEN', async (t) => {
	const session = await rawSession(t, {
		addPath: { receive: true, send: true },
		extendedNextHop: true,
		role: 'customer',
		longLivedStaleSeconds: 3600,
		gracefulRestart: { restartSeconds: 77, notification: true },
	});
	const raw = await session.connect();
	const families = [
		{ afi: 1, safi: 1 },
		{ afi: 2, safi: 1 },
	];
	const expected: Capability[] = [
		...families.map((family) => ({ type: 'multiprotocol' as const, ...family })),
		{ type: 'route-refresh' },
		{ type: 'extended-next-hop', families: [{ afi: 1, safi: 1, nextHopAfi: 2 }] },
		{ type: 'extended-message' },
		{ type: 'role', role: 'customer' },
		{
			type: 'graceful-restart',
			restarting: false,
			notification: true,
			restartSeconds: 77,
			families: families.map((family) => ({ ...family, forwarding: false })),
		},
		{ type: 'four-octet-as', asNumber: 65001 },
		{ type: 'add-path', families: families.map((family) => ({ ...family, mode: 'both' as const })) },
		{ type: 'enhanced-route-refresh' },
		{
			type: 'long-lived-graceful-restart',
			families: families.map((family) => ({ ...family, forwarding: false, staleSeconds: 3600 })),
		},
	];
	t.deepEqual((await raw.receive('open')).capabilities, expected);
});

test('[C27] after 2/4 the next OPEN goes without capabilities', async (t) => {
	const session = await rawSession(t);
	const first = await session.connect();
	t.true((await first.receive('open')).capabilities.length > 0);
	first.send({ type: 'notification', code: 2, subcode: 4, data: new Uint8Array(0) });
	await first.end();
	const second = await session.connect();
	t.deepEqual((await second.receive('open')).capabilities, []);
	second.send(openMessage({ asNumber: 65002, routerId: 2, capabilities: [] }));
	await second.receive('keepalive');
	second.send({ type: 'keepalive' });
	await eventually('it is established', () => session.state() === 'established');
	t.pass();
});
