import test from 'ava';
import { encodeMessage, type NotificationMessage, packetContext } from 'bgp-packet';

import { eventually } from '../../support/eventually.ts';
import { openMessage, plainCapabilities } from '../../support/raw-peer.ts';
import { rawSession } from '../../support/raw-session.ts';

const bytes = (hex: string): Uint8Array =>
	Uint8Array.from(Buffer.from(hex.replace(/#.*$/gm, '').replace(/\s/g, ''), 'hex'));
const marker = 'ff'.repeat(16);
const context = packetContext();
const keepalive = encodeMessage({ type: 'keepalive' }, context);
const endOfRib = bytes(`${marker} 0017 02 0000 0000`);

const summary = ({ code, subcode, data }: NotificationMessage) => ({
	code,
	subcode,
	data: Buffer.from(data).toString('hex'),
});

/** Sent instead of the first message; the response as code, subcode, data. */
const headers: readonly { title: string; wire: string; code: number; subcode: number; data: string }[] = [
	{ title: '[C1] a marker that is not all ones', wire: `${'ff'.repeat(15)}fe 0013 04`, code: 1, subcode: 1, data: '' },
	{ title: '[C2] a length of 18', wire: `${marker} 0012 04`, code: 1, subcode: 2, data: '0012' },
	{ title: '[C2] a length of 0', wire: `${marker} 0000 04`, code: 1, subcode: 2, data: '0000' },
	{ title: '[C3] an OPEN of 28', wire: `${marker} 001c 01 04 fdea 005a 0a000002`, code: 1, subcode: 2, data: '001c' },
	{ title: '[C3] a NOTIFICATION of 20', wire: `${marker} 0014 03 06`, code: 1, subcode: 2, data: '0014' },
	{ title: '[C3] an UPDATE of 22', wire: `${marker} 0016 02 000000`, code: 1, subcode: 2, data: '0016' },
	{ title: '[C3] a KEEPALIVE of 20', wire: `${marker} 0014 04 00`, code: 1, subcode: 2, data: '0014' },
	{ title: '[C5] type 0', wire: `${marker} 0013 00`, code: 1, subcode: 3, data: '00' },
	{ title: '[C5] type 6', wire: `${marker} 0013 06`, code: 1, subcode: 3, data: '06' },
	{ title: '[C5] type 255', wire: `${marker} 0013 ff`, code: 1, subcode: 3, data: 'ff' },
	{ title: '[C11] an OPEN of 4097, even with RFC 8654', wire: `${marker} 1001 01`, code: 1, subcode: 2, data: '1001' },
];

for (const { title, wire, ...expected } of headers) {
	test(`${title} is answered with ${expected.code}/${expected.subcode}`, async (t) => {
		const session = await rawSession(t);
		const raw = await session.connect();
		await raw.receive('open');
		raw.sendBytes(bytes(wire));
		t.deepEqual(summary(await raw.receiveNotification()), expected);
	});

	if (title.includes('OPEN')) continue;
	test(`${title} ends an established session with ${expected.code}/${expected.subcode}`, async (t) => {
		const session = await rawSession(t);
		const raw = await session.establish();
		raw.sendBytes(Buffer.concat([keepalive, bytes(wire)]));
		t.deepEqual(summary(await raw.receiveNotification()), expected);
		await eventually('the RIB has the end', () => session.rib.sessions[0]?.ended !== undefined);
		t.deepEqual(session.rib.sessions[0]?.ended, { type: 'forget' });
	});
}

test('[C2] without RFC 8654 a length of 4097 is refused', async (t) => {
	const session = await rawSession(t, { extendedMessage: false });
	const raw = await session.establish();
	raw.sendBytes(bytes(`${marker} 1001 02`));
	t.deepEqual(summary(await raw.receiveNotification()), { code: 1, subcode: 2, data: '1001' });
});

test('[C12] who advertised RFC 8654 takes 65535 octets, also from a peer that did not', async (t) => {
	const session = await rawSession(t);
	const raw = await session.establish();
	const update = new Uint8Array(65535);
	update.set(bytes(`${marker} ffff 02`));
	raw.sendBytes(update);
	await eventually('the UPDATE arrived', () => session.rib.sessions[0]?.updates.length === 1);
	t.deepEqual(session.rib.sessions[0]?.updates[0], update);
	t.is(raw.of('notification').length, 0);
});

test('[C10] the extended message capability is code 6 without a value', async (t) => {
	const session = await rawSession(t);
	const raw = await session.connect();
	await raw.receive('open');
	t.true(
		Buffer.from(raw.frames[0] ?? [])
			.toString('hex')
			.includes('0600'),
	);
});

const refreshes: readonly {
	title: string;
	wire: string;
	enhanced: boolean;
	code: number;
	subcode: number;
	data: string;
}[] = [
	{
		title: '[C4] a mark of 24 octets with RFC 7313',
		wire: `${marker} 0018 05 0001 01 01 00`,
		enhanced: true,
		code: 7,
		subcode: 1,
		data: `${marker}0018050001010100`,
	},
	{
		title: '[C4] a mark of 22 octets with RFC 7313',
		wire: `${marker} 0016 05 0001 02`,
		enhanced: true,
		code: 7,
		subcode: 1,
		data: `${marker}001605000102`,
	},
	{
		title: '[C4] a request of 22 octets without',
		wire: `${marker} 0016 05 0001 00`,
		enhanced: false,
		code: 1,
		subcode: 2,
		data: '0016',
	},
];

for (const { title, wire, enhanced, ...expected } of refreshes) {
	test(`${title} is answered with ${expected.code}/${expected.subcode}`, async (t) => {
		const session = await rawSession(t);
		const capabilities = [
			...plainCapabilities(65002),
			...(enhanced ? [{ type: 'enhanced-route-refresh' } as const] : []),
		];
		const raw = await session.establish({ capabilities });
		raw.sendBytes(bytes(wire));
		t.deepEqual(summary(await raw.receiveNotification()), expected);
	});
}

test('[C6] a session that comes octet by octet is a session', async (t) => {
	const session = await rawSession(t);
	const raw = await session.connect();
	const stream = Buffer.concat([
		encodeMessage(openMessage({ asNumber: 65002, routerId: 2 }), context),
		keepalive,
		endOfRib,
		endOfRib,
	]);
	for (const octet of stream) {
		raw.sendBytes(Uint8Array.of(octet));
		await new Promise((resolve) => setImmediate(resolve));
	}
	await eventually('both UPDATEs arrived', () => session.rib.sessions[0]?.updates.length === 2);
	t.deepEqual(session.rib.sessions[0]?.updates, [endOfRib, endOfRib]);
});

test('[C6] a session in one segment is a session', async (t) => {
	const session = await rawSession(t);
	const raw = await session.connect();
	const updates = Array.from({ length: 500 }, () => endOfRib);
	raw.sendBytes(
		Buffer.concat([encodeMessage(openMessage({ asNumber: 65002, routerId: 2 }), context), keepalive, ...updates]),
	);
	await eventually('all UPDATEs arrived', () => session.rib.sessions[0]?.updates.length === 500);
	t.is(session.state(), 'established');
});

test('[C7] nothing that comes behind a fatal error is processed', async (t) => {
	const session = await rawSession(t);
	const raw = await session.establish();
	raw.sendBytes(Buffer.concat([endOfRib, bytes(`${marker} 0013 06`), endOfRib, endOfRib]));
	await raw.receiveNotification();
	t.is(session.rib.sessions[0]?.updates.length, 1);
	t.deepEqual(session.rib.sessions[0]?.ended, { type: 'forget' });
});

for (const [title, code, subcode, data] of [
	['[C8] a NOTIFICATION', 6, 4, ''],
	['[C9] a NOTIFICATION of unknown code and subcode with data', 200, 201, '0102030405'],
	['[C81] a NOTIFICATION with a text that does not fit', 6, 2, 'ff4142'],
] as const) {
	test(`${title} ends the session without an answer, and is shown`, async (t) => {
		const session = await rawSession(t);
		const raw = await session.establish();
		raw.send({ type: 'notification', code, subcode, data: bytes(data) });
		await raw.end();
		t.is(raw.of('notification').length, 0);
		const shown = session.speaker.peer(session.peerName)?.lastNotificationReceived;
		t.deepEqual([shown?.code, shown?.subcode, shown?.dataHex], [code, subcode, data]);
	});
}

test('[C7] the NOTIFICATION arrives although the peer goes on sending, and the close is no reset', async (t) => {
	const session = await rawSession(t);
	const raw = await session.establish();
	// More than the receiving side reads before it closes.
	raw.sendBytes(Buffer.concat([bytes(`${marker} 0013 06`), new Uint8Array(8 * 1024 * 1024)]));
	t.deepEqual(summary(await raw.receiveNotification()), { code: 1, subcode: 3, data: '06' });
	t.is(raw.error, undefined);
});
