import test from 'ava';
import { encodeMessage, type Message, packetContext } from 'bgp-packet';
import fc from 'fast-check';

import { MessageCursor } from '../../../src/bgp/session/message-cursor.ts';
import { openMessage } from '../../support/raw-peer.ts';

const context = packetContext({ extendedMessage: true });
const encode = (message: Message): Uint8Array => encodeMessage(message, context);
const notification = (octets: number): Uint8Array =>
	encode({ type: 'notification', code: 6, subcode: 0, data: new Uint8Array(octets).fill(octets & 0xff) });
const messages = [
	encode(openMessage({ asNumber: 1, routerId: 1 })),
	encode({ type: 'keepalive' }),
	notification(0),
	notification(5000),
	encode({ type: 'keepalive' }),
];
const stream = Buffer.concat(messages);

/** Every resulting message, as hex, for a stream in these pieces. */
function read(chunks: readonly Uint8Array[]): string[] {
	const cursor = new MessageCursor();
	cursor.maximumLength = 65535;
	const found: string[] = [];
	for (const chunk of chunks) {
		cursor.push(chunk);
		while (cursor.next()) found.push(Buffer.from(cursor.buffer.subarray(cursor.start, cursor.end)).toString('hex'));
	}
	return found;
}

const expected = messages.map((message) => Buffer.from(message).toString('hex'));

test('[C6] a stream split at any two positions yields the same messages', (t) => {
	t.deepEqual(read([stream]), expected);
	for (let first = 0; first <= 200; first++)
		t.deepEqual(read([stream.subarray(0, first), stream.subarray(first)]), expected);
	fc.assert(
		fc.property(fc.array(fc.nat(stream.length), { maxLength: 20 }), (cuts) => {
			const sorted = [0, ...cuts.sort((left, right) => left - right), stream.length];
			const chunks = sorted.slice(1).map((end, index) => stream.subarray(sorted[index], end));
			t.deepEqual(read(chunks), expected);
		}),
	);
});

test('[C6] a stream that arrives octet by octet yields the same messages', (t) => {
	t.deepEqual(read([...stream].map((octet) => Uint8Array.of(octet))), expected);
});

test('a message inside one chunk is not copied', (t) => {
	const cursor = new MessageCursor();
	cursor.push(stream);
	t.true(cursor.next());
	t.is(cursor.buffer, stream);
});

test('queued bytes are counted, and none are left when all were read', (t) => {
	const cursor = new MessageCursor();
	cursor.maximumLength = 65535;
	cursor.push(stream);
	t.is(cursor.queuedBytes, stream.length);
	t.false(cursor.drained);
	while (cursor.next());
	t.is(cursor.queuedBytes, 0);
	t.true(cursor.drained);
});

test('messages before an invalid header are still read', (t) => {
	const cursor = new MessageCursor();
	cursor.push(Buffer.concat([encode({ type: 'keepalive' }), new Uint8Array(19)]));
	t.true(cursor.next());
	t.throws(() => cursor.next(), { name: 'PacketError' });
});
