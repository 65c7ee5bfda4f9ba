import test from 'ava';
import fc from 'fast-check';

import {
	type Capability,
	decodeMessage,
	encodeMessage,
	encodeShutdownText,
	escapeText,
	type Message,
	type Nlri,
	notificationMessage,
	type PacketContext,
	PacketError,
	type PathAttributes,
	packetContext,
	shutdownText,
	updateMessage,
} from '../src/index.ts';

const u8 = fc.nat(255);
const u16 = fc.nat(0xffff);
const u32 = fc.nat(0xffffffff);
const octets = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

/** Small numbers, those around 2 octets, and large ones; never 0. */
const asNumber = fc.oneof(
	fc.integer({ min: 1, max: 5 }),
	fc.constantFrom(23455, 65535, 65536),
	fc.integer({ min: 1, max: 0xffffffff }),
);

const prefix = (family: 'ipv4' | 'ipv6', addPath: boolean): fc.Arbitrary<Nlri> =>
	fc
		.tuple(octets(family === 'ipv4' ? 4 : 16), fc.nat(family === 'ipv4' ? 32 : 128), u32)
		.map(([address, length, pathId]) => {
			const bytes = address.map(
				(byte, index) => byte & (0xff00 >> Math.max(0, Math.min(8, length - index * 8))) & 0xff,
			);
			return addPath ? { family, bytes, length, pathId } : { family, bytes, length };
		});

const address4 = octets(4).map((bytes) => Uint8Array.of(1 + ((bytes[0] ?? 0) % 223), ...bytes.subarray(1)));
const address6 = octets(16).map((bytes) => Uint8Array.of(0x20, ...bytes.subarray(1)));

/** A path as decoding gives it: one segment does not follow another that it could be part of. */
const asPath = fc.oneof(
	fc.constant([]),
	fc.array(asNumber, { minLength: 1, maxLength: 6 }).map((asNumbers) => [{ type: 'sequence' as const, asNumbers }]),
	fc
		.tuple(fc.array(asNumber, { minLength: 1, maxLength: 6 }), fc.array(asNumber, { minLength: 1, maxLength: 3 }))
		.map(([first, second]) => [
			{ type: 'sequence' as const, asNumbers: first },
			{ type: 'set' as const, asNumbers: second },
		]),
);

const largeCommunity = fc.tuple(u32, u32, u32).map(([first, second, third]) => [first, second, third] as const);
const listOf = <T>(item: fc.Arbitrary<T>) => fc.array(item, { minLength: 1, maxLength: 5 });

const attributes = (addPath: boolean): fc.Arbitrary<PathAttributes> =>
	fc.record(
		{
			origin: fc.constantFrom('igp' as const, 'egp' as const, 'incomplete' as const),
			asPath,
			nextHop: address4,
			med: u32,
			localPref: u32,
			atomicAggregate: fc.constant(true as const),
			aggregator: fc.record({ asNumber, routerId: u32 }),
			communities: listOf(u32),
			originatorId: u32,
			clusterList: listOf(u32),
			extendedCommunities: listOf(octets(8)),
			ipv6ExtendedCommunities: listOf(octets(20)),
			largeCommunities: fc.uniqueArray(largeCommunity, {
				minLength: 1,
				maxLength: 4,
				selector: (value) => value.join(),
			}),
			onlyToCustomer: u32,
			mpReach: fc.record({
				afi: fc.constant(2),
				safi: fc.constant(1),
				nextHop: address6,
				routes: fc.record({ type: fc.constant('prefixes' as const), nlri: listOf(prefix('ipv6', addPath)) }),
			}),
			mpUnreach: fc.oneof(
				fc.record({
					afi: fc.constant(1),
					safi: fc.constant(1),
					routes: fc.record({ type: fc.constant('prefixes' as const), nlri: listOf(prefix('ipv4', addPath)) }),
				}),
				fc.record({
					afi: fc.constant(25),
					safi: u8,
					routes: fc.record({ type: fc.constant('opaque' as const), bytes: fc.uint8Array({ maxLength: 9 }) }),
				}),
			),
			unknown: fc
				.uniqueArray(
					fc.record({
						code: fc.integer({ min: 100, max: 255 }),
						flags: fc.constantFrom(0x80, 0xc0, 0xe0),
						value: fc.uint8Array({ maxLength: 300 }),
					}),
					{
						minLength: 1,
						maxLength: 3,
						selector: ({ code }) => code,
					},
				)
				.map((list) => list.sort((left, right) => left.code - right.code)),
		},
		{ requiredKeys: [] },
	);

const families = (extra: Record<string, fc.Arbitrary<unknown>>) =>
	fc.array(fc.record({ afi: u16, safi: u8, ...extra }), { maxLength: 4 });
// Each record has the shape of its capability; fast-check loses the union.
const capability = fc.oneof(
	fc.record({ type: fc.constant('multiprotocol'), afi: u16, safi: u8 }),
	fc.record({ type: fc.constantFrom('route-refresh', 'enhanced-route-refresh', 'extended-message') }),
	fc.record({ type: fc.constant('four-octet-as'), asNumber }),
	fc.record({
		type: fc.constant('graceful-restart'),
		restarting: fc.boolean(),
		notification: fc.boolean(),
		restartSeconds: fc.nat(4095),
		families: families({ forwarding: fc.boolean() }),
	}),
	fc.record({
		type: fc.constant('long-lived-graceful-restart'),
		families: families({ forwarding: fc.boolean(), staleSeconds: fc.nat(0xffffff) }),
	}),
	fc.record({
		type: fc.constant('add-path'),
		families: families({ mode: fc.constantFrom('receive', 'send', 'both') }),
	}),
	fc.record({ type: fc.constant('extended-next-hop'), families: families({ safi: u16, nextHopAfi: u16 }) }),
	fc.record({
		type: fc.constant('role'),
		role: fc.oneof(
			fc.constantFrom('provider', 'customer', 'peer', 'route-server', 'route-server-client'),
			fc.integer({ min: 5, max: 255 }),
		),
	}),
	fc.record({
		type: fc.constant('unknown'),
		code: fc.integer({ min: 128, max: 255 }),
		value: fc.uint8Array({ maxLength: 255 }),
	}),
) as fc.Arbitrary<Capability>;

const message = (addPath: boolean): fc.Arbitrary<Message> =>
	fc.oneof(
		fc.record({
			type: fc.constant('open' as const),
			version: fc.constant(4),
			asNumber: fc.integer({ min: 1, max: 23455 }),
			holdTimeSeconds: fc.oneof(fc.constant(0), fc.integer({ min: 3, max: 0xffff })),
			routerId: fc.integer({ min: 1, max: 0xffffffff }),
			capabilities: fc.array(capability, { maxLength: 8 }),
		}),
		fc
			.record({
				withdrawn: fc.array(prefix('ipv4', addPath), { maxLength: 4 }),
				nlri: fc.array(prefix('ipv4', addPath), { maxLength: 4 }),
				attributes: attributes(addPath),
			})
			.map(updateMessage),
		fc.record({
			type: fc.constant('notification' as const),
			code: u8,
			subcode: u8,
			data: fc.uint8Array({ maxLength: 60 }),
		}),
		fc.constant({ type: 'keepalive' as const }),
		fc.record({
			type: fc.constant('route-refresh' as const),
			afi: u16,
			safi: u8,
			subtype: fc.oneof(
				fc.constantFrom('request' as const, 'begin' as const, 'end' as const),
				fc.integer({ min: 3, max: 255 }),
			),
			filters: fc.uint8Array({ maxLength: 8 }),
		}),
	);

const withoutProblems = (value: Message) => (value.type === 'update' ? { ...value, problems: [] } : value);

for (const fourOctetAs of [true, false]) {
	for (const addPath of [false, true]) {
		const context: PacketContext = packetContext({ fourOctetAs, addPath: () => addPath, extendedMessage: true });
		test(`[C141] [C148] every message survives ${fourOctetAs ? 4 : 2}-octet AS numbers ${addPath ? 'with' : 'without'} path identifiers`, (t) => {
			fc.assert(
				fc.property(message(addPath), (value) => {
					t.deepEqual(withoutProblems(decodeMessage(encodeMessage(value, context), context)), withoutProblems(value));
				}),
				{ numRuns: 400 },
			);
		});
	}
}

test('[C230] any bytes behind a proper header decode or raise PacketError', (t) => {
	fc.assert(
		fc.property(fc.integer({ min: 0, max: 6 }), fc.uint8Array({ maxLength: 80 }), (type, body) => {
			const length = body.length + 19;
			const wire = Uint8Array.of(...Array.from({ length: 16 }, () => 0xff), length >> 8, length, type, ...body);
			try {
				decodeMessage(wire, packetContext());
			} catch (error) {
				if (!(error instanceof PacketError)) throw error;
			}
		}),
		{ numRuns: 3000 },
	);
	t.pass();
});

test('[C230] any bytes at all decode or raise PacketError', (t) => {
	fc.assert(
		fc.property(fc.uint8Array({ maxLength: 40 }), (wire) => {
			t.throws(() => decodeMessage(wire, packetContext()), { instanceOf: PacketError });
		}),
		{ numRuns: 300 },
	);
});

test('[C80] every text of up to 255 octets survives, and escaping leaves nothing that moves a cursor', (t) => {
	fc.assert(
		fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), (text) => {
			const data = encodeShutdownText(text);
			const read = shutdownText(notificationMessage({ code: 6, subcode: 2, data }));
			t.true(read?.type === 'text' && text.startsWith(read.text));
			t.notRegex(escapeText(text), /[\p{Cc}\p{Zl}\p{Zp}]/u);
		}),
		{ numRuns: 300 },
	);
});
