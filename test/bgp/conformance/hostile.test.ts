import test from 'ava';
import { encodeMessage, packetContext } from 'bgp-packet';
import fc from 'fast-check';

import { eventually } from '../../support/eventually.ts';
import { loopbackAddress, testPort } from '../../support/loopback.ts';
import { openMessage, RawPeer } from '../../support/raw-peer.ts';
import { announcement } from '../../support/rib-bench.ts';
import { WireBench } from '../../support/wire-bench.ts';

const context = packetContext({ extendedMessage: true });
const client = { options: { reflectorClient: true, idleHoldSeconds: 0 } };
const address = Uint8Array.of(10, 0, 0, 9);

/** Messages as a real neighbour sends them. */
const genuine: readonly Uint8Array[] = [
	encodeMessage(openMessage({ asNumber: 65001, routerId: 0x0c0c0c0c }), context),
	encodeMessage({ type: 'keepalive' }, context),
	encodeMessage(
		announcement(['10.1.0.0/16', '10.2.0.0/15'], { communities: [1, 2] }, undefined, undefined, address),
		context,
	),
	encodeMessage(announcement(['2001:db8:1::/48'], { med: 1 }, undefined, undefined, address), context),
	encodeMessage({ type: 'route-refresh', afi: 1, safi: 1, subtype: 'request', filters: new Uint8Array(0) }, context),
	encodeMessage({ type: 'notification', code: 6, subcode: 2, data: Uint8Array.of(3, 97, 98, 99) }, context),
];

const message = fc.constantFrom(...genuine);
/**
 * One message: unchanged, with octets changed after the header, truncated, or noise after a valid
 * header.
 */
const piece = fc.oneof(
	{ arbitrary: message, weight: 6 },
	{
		arbitrary: fc
			.tuple(message, fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { minLength: 1, maxLength: 3 }))
			.map(([bytes, changes]) => {
				const changed = bytes.slice();
				for (const [at, octet] of changes) if (bytes.length > 19) changed[19 + (at % (bytes.length - 19))] = octet;
				return changed;
			}),
		weight: 6,
	},
	{ arbitrary: fc.tuple(message, fc.nat(100)).map(([bytes, length]) => bytes.slice(0, length)), weight: 1 },
	{
		arbitrary: fc.tuple(fc.constantFrom(1, 2, 3, 4, 5), fc.uint8Array({ maxLength: 120 })).map(([type, body]) => {
			const length = body.length + 19;
			return Uint8Array.of(...new Array(16).fill(0xff), length >> 8, length & 0xff, type, ...body);
		}),
		weight: 3,
	},
	{ arbitrary: fc.uint8Array({ minLength: 1, maxLength: 60 }), weight: 1 },
);
/** Most sessions progress before the invalid message. */
const conversation = fc.tuple(fc.boolean(), fc.array(piece, { minLength: 1, maxLength: 12 }));

test('[C230] with any input of a neighbour the speaker lives and other sessions stay', async (t) => {
	const bench = await WireBench.start(t, { peers: { good: client, bad: { ...client, hears: false } } });
	await bench.connect('good');
	const { good, bad } = bench.peers;
	await fc.assert(
		fc.asyncProperty(conversation, fc.integer({ min: 1, max: 2000 }), async ([polite, pieces], chunk) => {
			bench.speaker.enable('bad');
			const raw = await RawPeer.connect(bench.address, testPort, bad.address);
			const stream = Buffer.concat([...(polite ? genuine.slice(0, 2) : []), ...pieces]);
			for (let start = 0; start < stream.length; start += chunk) raw.sendBytes(stream.subarray(start, start + chunk));
			raw.socket.end();
			await raw.end();
			// A NOTIFICATION, if there was one, was the last message.
			const last = raw.messages.findIndex(({ type }) => type === 'notification');
			t.true(last === -1 || last === raw.messages.length - 1);
			await eventually('the session is over', () => bench.speaker.peer('bad')?.state !== 'established');
		}),
		{ numRuns: 200 },
	);
	good.announce(['10.66.0.0/16']);
	await bench.settle();
	t.deepEqual(
		bench.rib.routes({}).map(({ prefix, peer }) => `${prefix} ${peer}`),
		['10.66.0.0/16 good'],
	);
	t.is(bench.speaker.peer('good')?.establishedCount, 1);
	t.is(bench.speaker.peer('good')?.state, 'established');
});

test('[C230] two hundred connections from strangers leave nothing behind', async (t) => {
	const bench = await WireBench.start(t, { peers: { good: client } });
	await bench.connect();
	const strangers = await Promise.all(
		Array.from({ length: 200 }, () => RawPeer.connect(bench.address, testPort, loopbackAddress())),
	);
	for (const stranger of strangers) stranger.sendBytes(genuine[0] ?? new Uint8Array(0));
	for (const stranger of strangers) t.is((await stranger.receiveNotification()).subcode, 5);
	await eventually('their sockets are gone', () => bench.speaker.dependencies.open.size === 1);
	t.is(bench.speaker.peers().length, 1);
});
