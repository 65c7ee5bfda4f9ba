import test from 'ava';
import fc from 'fast-check';

import { decodeMessage, encodeMessage, Framer, PacketError, packetContext } from '../src/index.ts';
import { bytes, frame, hex, update, verdict } from './support.ts';

const marker = 'ff'.repeat(16);
const keepalive = `${marker} 0013 04`;

const badHeaders: readonly { title: string; wire: string; error: string; data: string }[] = [
	{ title: '[C1] a marker that is not all ones', wire: `${'ff'.repeat(15)}fe 0013 04`, error: '1/1', data: '' },
	{ title: '[C1] a marker of zeros', wire: `${'00'.repeat(16)} 0013 04`, error: '1/1', data: '' },
	{ title: '[C2] length 18', wire: `${marker} 0012 04`, error: '1/2', data: '0012' },
	{ title: '[C2] length 4097', wire: `${marker} 1001 02`, error: '1/2', data: '1001' },
	{ title: '[C2] length 65535', wire: `${marker} ffff 02`, error: '1/2', data: 'ffff' },
	{ title: '[C3] OPEN of 28', wire: `${marker} 001c 01`, error: '1/2', data: '001c' },
	{ title: '[C3] UPDATE of 22', wire: `${marker} 0016 02`, error: '1/2', data: '0016' },
	{ title: '[C3] KEEPALIVE of 20', wire: `${marker} 0014 04`, error: '1/2', data: '0014' },
	{ title: '[C3] NOTIFICATION of 20', wire: `${marker} 0014 03`, error: '1/2', data: '0014' },
	{ title: '[C5] type 0', wire: `${marker} 0013 00`, error: '1/3', data: '00' },
	{ title: '[C5] type 6', wire: `${marker} 0017 06`, error: '1/3', data: '06' },
	{ title: '[C5] type 255', wire: `${marker} 0017 ff`, error: '1/3', data: 'ff' },
];
for (const { title, wire, error, data } of badHeaders) {
	test(`${title} is ${error}, from the framer`, (t) => {
		const thrown = t.throws(() => new Framer().push(bytes(wire)), { instanceOf: PacketError });
		t.deepEqual([`${thrown?.code}/${thrown?.subcode}`, hex(thrown?.data ?? new Uint8Array(1))], [error, data]);
	});
	test(`${title} is ${error}, also byte by byte`, (t) => {
		const framer = new Framer();
		const feed = () => {
			for (const byte of bytes(wire)) framer.push(Uint8Array.of(byte));
		};
		const thrown = t.throws(feed, { instanceOf: PacketError });
		t.is(`${thrown?.code}/${thrown?.subcode}`, error);
	});
}

test('[C1] what is sent starts with 16 octets of ones', (t) => {
	t.is(hex(encodeMessage({ type: 'keepalive' }, packetContext())), hex(bytes(keepalive)));
});

test('[C4] a short ROUTE-REFRESH is 1/2, a bad mark with RFC 7313 is 7/1 with the whole message', (t) => {
	const enhanced = packetContext({ enhancedRefresh: true });
	t.deepEqual(verdict(frame(5, '0001')), { error: '1/2', data: '0015' });
	t.deepEqual(verdict(frame(5, '0001 01 01 00')), {
		type: 'route-refresh',
		afi: 1,
		safi: 1,
		subtype: 'begin',
		filters: bytes('00'),
	});
	for (const body of ['0001 01 01 00', '0001 02', '0001 02 01 0000']) {
		const wire = frame(5, body);
		const mark = bytes(body)[2] ?? 0;
		t.deepEqual(verdict(wire, enhanced), { error: '7/1', data: hex(wire) }, `subtype ${mark}`);
	}
});

test('[C9] unknown codes and subcodes of a NOTIFICATION are surfaced, its data is what follows them', (t) => {
	t.deepEqual(verdict(frame(3, '2a ff 0102')), { type: 'notification', code: 42, subcode: 255, data: bytes('0102') });
	t.deepEqual(verdict(frame(3, '06 02')), { type: 'notification', code: 6, subcode: 2, data: bytes('') });
});

test('[C10] [C12] messages of up to 65535 octets are taken where it was advertised, and 1/2 where not', (t) => {
	const long = update({ attributes: `d0 63 ff00 ${'00'.repeat(65280)}` });
	t.is(long.length, 19 + 4 + 4 + 65280);
	const framer = new Framer();
	t.throws(() => framer.push(long), { instanceOf: PacketError });
	const extended = new Framer();
	extended.maximumLength = 65535;
	t.deepEqual(extended.push(long).map(hex), [hex(long)]);
	t.deepEqual(verdict(long), { error: '1/2', data: 'ff1b' });
	t.false('error' in verdict(long, packetContext({ extendedMessage: true })));
});

test('[C11] an OPEN or KEEPALIVE longer than 4096 is 1/2 with any capabilities, and none is made', (t) => {
	const extended = new Framer();
	extended.maximumLength = 65535;
	t.throws(() => extended.push(bytes(`${marker} 1001 01`)), { instanceOf: PacketError });
	t.throws(() => extended.push(bytes(`${marker} 1001 04`)), { instanceOf: PacketError });
	const capabilities = Array.from({ length: 40 }, () => ({
		type: 'unknown' as const,
		code: 200,
		value: new Uint8Array(120),
	}));
	const open = { type: 'open' as const, version: 4, asNumber: 1, holdTimeSeconds: 0, routerId: 1, capabilities };
	t.throws(() => encodeMessage(open, packetContext({ extendedMessage: true })), { name: 'MessageTooLongError' });
});

test('a longer maximum counts from the next header on', (t) => {
	const framer = new Framer();
	const long = update({ attributes: `d0 63 1100 ${'00'.repeat(0x1100)}` });
	const seen: number[] = [];
	framer.scan(Buffer.concat([bytes(keepalive), long]), (_buffer, start, end) => {
		seen.push(end - start);
		framer.maximumLength = 65535;
	});
	t.deepEqual(seen, [19, long.length]);
});

test('messages before a bad header are handed over', (t) => {
	const seen: number[] = [];
	const framer = new Framer();
	t.throws(
		() => framer.scan(bytes(`${keepalive} ${keepalive} ${marker} 0012 04`), (_buffer, start) => seen.push(start)),
		{ instanceOf: PacketError },
	);
	t.deepEqual(seen, [0, 19]);
});

const stream = Buffer.concat([
	bytes(keepalive),
	update({ withdrawn: '08 0b' }),
	bytes(keepalive),
	frame(3, '06 02 00'),
	update({ attributes: '40 01 01 00 40 02 00 40 03 04 0a000001', nlri: '18 0a0102 00' }),
	frame(5, '0001 00 01'),
]);
const whole = new Framer().push(stream).map(hex);

test('[C6] a stream split in two at any position gives the same messages', (t) => {
	t.is(whole.length, 6);
	for (let split = 0; split <= stream.length; split++) {
		const framer = new Framer();
		const frames = [
			...framer.push(stream.subarray(0, split)).map(hex),
			...framer.push(stream.subarray(split)).map(hex),
		];
		t.deepEqual(frames, whole, `split at ${split}`);
		t.is(framer.pendingBytes, 0);
	}
});

test('[C6] a stream in chunks of any sizes, also of one byte, gives the same messages', (t) => {
	fc.assert(
		fc.property(fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 60 }), (sizes) => {
			const framer = new Framer();
			const frames: string[] = [];
			let offset = 0;
			for (const size of [...sizes, stream.length]) {
				// The chunk is overwritten afterwards, as a socket's buffer is.
				const chunk = new Uint8Array(stream.subarray(offset, offset + size));
				offset += chunk.length;
				framer.scan(chunk, (buffer, start, end) => frames.push(hex(buffer.subarray(start, end))));
				chunk.fill(0);
			}
			t.deepEqual(frames, whole);
		}),
		{ numRuns: 300 },
	);
	t.deepEqual(
		[...stream].reduce(
			({ framer, frames }, byte) => ({ framer, frames: [...frames, ...framer.push(Uint8Array.of(byte)).map(hex)] }),
			{
				framer: new Framer(),
				frames: [] as string[],
			},
		).frames,
		whole,
	);
});

test('[C201] a message whose paths cannot be read leaves the next one readable', (t) => {
	const framer = new Framer();
	const addPath = packetContext({ addPath: () => true });
	const wrong = update({ attributes: '40 01 01 00', nlri: '18 0a0102' });
	const frames = framer.push(Buffer.concat([wrong, bytes(keepalive)]));
	t.throws(() => decodeMessage(frames[0] ?? new Uint8Array(0), addPath), { instanceOf: PacketError });
	t.deepEqual(decodeMessage(frames[1] ?? new Uint8Array(0), addPath), { type: 'keepalive' });
});
