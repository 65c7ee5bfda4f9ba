import test from 'ava';

import {
	decodeMessage,
	encodeMessage,
	type Message,
	MessageTooLongError,
	packetContext,
	routeRefreshMessage,
	updateMessage,
} from '../src/index.ts';
import { bytes, frame } from './support.ts';

const internal = packetContext();

const messages: readonly { title: string; wire: Uint8Array; message: Message }[] = [
	{ title: 'KEEPALIVE', wire: frame(4, ''), message: { type: 'keepalive' } },
	{ title: 'ROUTE-REFRESH', wire: frame(5, '0001 00 01'), message: routeRefreshMessage(1, 1) },
	{
		title: 'NOTIFICATION',
		wire: frame(3, '06 02 00'),
		message: { type: 'notification', code: 6, subcode: 2, data: bytes('00') },
	},
	{ title: 'End-of-RIB of IPv4 unicast', wire: frame(2, '0000 0000'), message: updateMessage({}) },
	{
		title: 'UPDATE',
		wire: frame(
			2,
			`0002 08 0b                   # withdrawn 11.0.0.0/8
			 0014 40 01 01 00             # ORIGIN IGP
			      40 02 06 02 01 0000fde8 # AS_PATH 65000
			      40 03 04 0a000001       # NEXT_HOP 10.0.0.1
			 18 0a0102                    # 10.1.2.0/24`,
		),
		message: updateMessage({
			withdrawn: [{ family: 'ipv4', bytes: bytes('0b000000'), length: 8 }],
			attributes: { origin: 'igp', asPath: [{ type: 'sequence', asNumbers: [65000] }], nextHop: bytes('0a000001') },
			nlri: [{ family: 'ipv4', bytes: bytes('0a010200'), length: 24 }],
		}),
	},
	{
		title: 'OPEN',
		wire: frame(
			1,
			`04 fde8 005a 0a000001   # version, AS 65000, 90 s, 10.0.0.1
			 10 02 0e                # one parameter
			    01 04 0001 00 01     # multiprotocol IPv4 unicast
			    02 00                # route refresh
			    41 04 0000fde8       # AS 65000`,
		),
		message: {
			type: 'open',
			version: 4,
			asNumber: 65000,
			holdTimeSeconds: 90,
			routerId: 0x0a000001,
			capabilities: [
				{ type: 'multiprotocol', afi: 1, safi: 1 },
				{ type: 'route-refresh' },
				{ type: 'four-octet-as', asNumber: 65000 },
			],
		},
	},
];
for (const { title, wire, message } of messages) {
	test(`decodes ${title}`, (t) => t.deepEqual(decodeMessage(wire, internal), message));
	test(`encodes ${title}`, (t) => t.deepEqual(encodeMessage(message, internal), wire));
}

test('a message longer than the peer accepts is refused, never cut', (t) => {
	const nlri = Array.from({ length: 1100 }, (_, index) => ({
		family: 'ipv4' as const,
		bytes: Uint8Array.of(10, index >> 8, index, 0),
		length: 24,
	}));
	t.throws(() => encodeMessage(updateMessage({ nlri }), internal), { instanceOf: MessageTooLongError });
	t.is(encodeMessage(updateMessage({ nlri }), packetContext({ extendedMessage: true })).length, 23 + 4 * 1100);
});
