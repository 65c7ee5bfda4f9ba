import { endianness } from 'node:os';
import test from 'ava';
import fc from 'fast-check';
import { clearHostBits, formatPrefix } from '../../../src/core/index.ts';
import { encodePlainRoute, NetlinkFormatError, type NextHop, type RouteMessage } from '../../../src/linux/index.ts';
import {
	decodeAddress,
	decodeLink,
	encodeAddressChange,
	encodeAddressDump,
	encodeLinkAdd,
	encodeLinkChange,
	encodeLinkDump,
	encodeLinkRemove,
	type Link,
	type LinkAddress,
} from '../../../src/linux/netlink/link.ts';
import {
	type Acknowledgement,
	decodeAcknowledgement,
	eachMessage,
	type Message,
} from '../../../src/linux/netlink/reader.ts';
import { decodeRoute, encodeRouteChange, encodeRouteDump, type RouteVerb } from '../../../src/linux/netlink/route.ts';
import { MessageWriter } from '../../../src/linux/netlink/writer.ts';
import { bytes } from '../../support/hex.ts';

// netlink uses the machine's byte order, and the bytes here are of a little-endian one.
const goldenTest = endianness() === 'LE' ? test : test.skip;

function written(write: (writer: MessageWriter) => void): Uint8Array {
	const writer = new MessageWriter(8);
	write(writer);
	return writer.bytes.slice();
}

function only<T>(wire: Uint8Array, decode: (message: Message) => T): T {
	const found: T[] = [];
	eachMessage(wire, (message) => found.push(decode(message)));
	if (found.length !== 1) throw new Error(`${found.length} messages`);
	return found[0] as T;
}

const ipv4 = (...octets: number[]) => Uint8Array.from(octets);
const hop = (gateway: Uint8Array | undefined, outInterface: number | undefined, onlink = false): NextHop => ({
	gateway,
	outInterface,
	onlink,
});
const base = { family: 'ipv4', table: 254, protocol: 80, type: 1, priority: 1024 } as const;

const routes: readonly { title: string; verb: RouteVerb; route: RouteMessage; wire: string }[] = [
	{
		title: 'a new route by gateway and interface',
		verb: 'add',
		route: { ...base, destination: ipv4(192, 168, 1, 0), length: 26, nextHops: [hop(ipv4(10, 0, 1, 3), 7)] },
		wire: `3c 00 00 00  18 00  01 06  05 00 00 00  00 00 00 00   # 60 bytes, RTM_NEWROUTE, REQUEST|CREATE|EXCL, sequence 5
		       02 1a 00 00 fe 50 00 01  00 00 00 00                  # AF_INET /26, table 254, protocol 80, universe, unicast
		       08 00 01 00  c0 a8 01 00                              # RTA_DST
		       08 00 06 00  00 04 00 00                              # RTA_PRIORITY 1024
		       08 00 05 00  0a 00 01 03                              # RTA_GATEWAY
		       08 00 04 00  07 00 00 00                              # RTA_OIF 7`,
	},
	{
		title: 'an onlink replacement through a tunnel',
		verb: 'replace',
		route: { ...base, destination: ipv4(192, 168, 3, 0), length: 26, nextHops: [hop(ipv4(10, 0, 2, 2), 4, true)] },
		wire: `3c 00 00 00  18 00  01 01  05 00 00 00  00 00 00 00   # REQUEST|REPLACE
		       02 1a 00 00 fe 50 00 01  04 00 00 00                  # RTNH_F_ONLINK
		       08 00 01 00  c0 a8 03 00
		       08 00 06 00  00 04 00 00
		       08 00 05 00  0a 00 02 02
		       08 00 04 00  04 00 00 00`,
	},
	{
		title: 'the removal of a blackhole',
		verb: 'remove',
		route: { ...base, type: 6, destination: ipv4(192, 168, 1, 64), length: 26, nextHops: [] },
		wire: `2c 00 00 00  19 00  01 00  05 00 00 00  00 00 00 00   # RTM_DELROUTE, REQUEST
		       02 1a 00 00 fe 50 ff 06  00 00 00 00                  # any scope, RTN_BLACKHOLE
		       08 00 01 00  c0 a8 01 40
		       08 00 06 00  00 04 00 00`,
	},
	{
		title: 'an IPv6 default route in a table beyond 255',
		verb: 'append',
		route: {
			...base,
			family: 'ipv6',
			table: 1000,
			destination: new Uint8Array(16),
			length: 0,
			priority: 5,
			nextHops: [hop(bytes('fd070000000000000000000000000002'), undefined)],
		},
		wire: `40 00 00 00  18 00  01 0c  05 00 00 00  00 00 00 00   # REQUEST|CREATE|APPEND
		       0a 00 00 00 fc 50 00 01  00 00 00 00                  # AF_INET6 /0, table "see attribute"
		       08 00 06 00  05 00 00 00
		       14 00 05 00  fd 07 00 00 00 00 00 00 00 00 00 00 00 00 00 02
		       08 00 0f 00  e8 03 00 00                              # RTA_TABLE 1000`,
	},
	{
		title: 'an IPv4 route with an IPv6 gateway',
		verb: 'add',
		route: {
			...base,
			destination: ipv4(192, 168, 1, 0),
			length: 26,
			nextHops: [hop(bytes('fe800000000000000000000000000001'), 7)],
		},
		wire: `4c 00 00 00  18 00  01 06  05 00 00 00  00 00 00 00
		       02 1a 00 00 fe 50 00 01  00 00 00 00
		       08 00 01 00  c0 a8 01 00
		       08 00 06 00  00 04 00 00
		       16 00 12 00  0a 00 fe 80 00 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00   # RTA_VIA AF_INET6, padded
		       08 00 04 00  07 00 00 00`,
	},
];

for (const { title, verb, route, wire } of routes) {
	goldenTest(`encodes ${title}`, (t) =>
		t.deepEqual(
			written((writer) => encodeRouteChange(writer, verb, route, 5)),
			bytes(wire),
		),
	);
	goldenTest(`decodes ${title}`, (t) => t.deepEqual(only(bytes(wire), decodeRoute), route));
}

goldenTest('a dump of routes asks the kernel to filter by table and protocol', (t) => {
	t.deepEqual(
		written((writer) => encodeRouteDump(writer, { family: 'ipv4', table: 254, protocol: 80 }, 9)),
		bytes(`24 00 00 00  1a 00  01 03  09 00 00 00  00 00 00 00   # RTM_GETROUTE, REQUEST|DUMP
		       02 00 00 00 fe 50 00 00  00 00 00 00
		       08 00 0f 00  fe 00 00 00                              # RTA_TABLE 254`),
	);
});

goldenTest('a route with several next hops decodes with all of them', (t) => {
	const wire = bytes(`48 00 00 00  18 00  02 00  00 00 00 00  00 00 00 00
		02 08 00 00 fe 04 00 01  00 00 00 00       # 10.0.0.0/8, static
		08 00 01 00  0a 00 00 00
		24 00 09 00                                # RTA_MULTIPATH
		10 00 00 00  02 00 00 00  08 00 05 00  0a 07 00 02
		10 00 04 01  03 00 00 00  08 00 05 00  0a 08 00 02   # onlink, weight 2`);
	t.deepEqual(only(wire, decodeRoute)?.nextHops, [hop(ipv4(10, 7, 0, 2), 2), hop(ipv4(10, 8, 0, 2), 3, true)]);
});

goldenTest('next hops that the kernel skips, and those without a carrier, are marked', (t) => {
	const single = (flags: string) =>
		only(
			bytes(`34 00 00 00  18 00  02 00  00 00 00 00  00 00 00 00
				02 08 00 00 fe 04 00 01  ${flags} 00 00 00
				08 00 01 00  0a 00 00 00  08 00 05 00  0a 07 00 02  08 00 04 00  02 00 00 00`),
			decodeRoute,
		)?.nextHops.map(({ state }) => state);
	t.deepEqual(
		[single('00'), single('01'), single('10'), single('11')],
		[[undefined], ['dead'], ['link-down'], ['dead']],
	);
	const several = bytes(`48 00 00 00  18 00  02 00  00 00 00 00  00 00 00 00
		02 08 00 00 fe 04 00 01  00 00 00 00
		08 00 01 00  0a 00 00 00
		24 00 09 00
		10 00 11 00  02 00 00 00  08 00 05 00  0a 07 00 02   # RTNH_F_DEAD|RTNH_F_LINKDOWN
		10 00 10 00  03 00 00 00  08 00 05 00  0a 08 00 02   # RTNH_F_LINKDOWN`);
	t.deepEqual(
		only(several, decodeRoute)?.nextHops.map(({ state }) => state),
		['dead', 'link-down'],
	);
});

goldenTest('a cached route and one of another family are skipped', (t) => {
	const wire = (family: string, flags: string) =>
		bytes(`1c 00 00 00 18 00 00 00 00 00 00 00 00 00 00 00 ${family} 00 00 00 fe 50 00 01 ${flags}`);
	t.is(only(wire('0a', '00 02 00 00'), decodeRoute), undefined);
	t.is(only(wire('1c', '00 00 00 00'), decodeRoute), undefined);
	t.not(only(wire('0a', '00 00 00 00'), decodeRoute), undefined);
});

const acknowledgements: readonly { title: string; wire: string; value: Acknowledgement }[] = [
	{
		title: 'done',
		wire: `24 00 00 00  02 00  00 01  05 00 00 00  2a 00 00 00   # NLMSG_ERROR, CAPPED
		       00 00 00 00                                           # errno 0
		       3c 00 00 00  18 00  05 06  05 00 00 00  00 00 00 00   # the request's header`,
		value: { errno: 0, sentence: '' },
	},
	{
		title: "refused, with the kernel's message",
		wire: `44 00 00 00  02 00  00 03  05 00 00 00  2a 00 00 00   # CAPPED|ACK_TLVS
		       9b ff ff ff                                           # -101 ENETUNREACH
		       3c 00 00 00  18 00  05 06  05 00 00 00  00 00 00 00
		       20 00 01 00  4e 65 78 74 68 6f 70 20 68 61 73 20 69 6e 76 61 6c 69 64 20 67 61 74 65 77 61 79 00`,
		value: { errno: 101, sentence: 'Nexthop has invalid gateway' },
	},
	{
		title: 'refused, with the whole request quoted',
		wire: `38 00 00 00  02 00  00 02  05 00 00 00  2a 00 00 00   # ACK_TLVS
		       ef ff ff ff                                           # -17 EEXIST
		       1c 00 00 00  18 00  05 06  05 00 00 00  00 00 00 00
		       02 1a 00 00 fe 50 00 01  00 00 00 00                  # the request's body
		       08 00 01 00  6e 6f 21 00`,
		value: { errno: 17, sentence: 'no!' },
	},
];

for (const { title, wire, value } of acknowledgements) {
	goldenTest(`a response: ${title}`, (t) => t.deepEqual(only(bytes(wire), decodeAcknowledgement), value));
}

const address: LinkAddress = { family: 'ipv4', address: ipv4(192, 168, 1, 0), length: 32, interfaceIndex: 4, scope: 0 };
const addressBody = '02 20 00 00 04 00 00 00  08 00 02 00 c0 a8 01 00  08 00 01 00 c0 a8 01 00';
const linkBody = (index: string, flags: string, change: string) => `00 00 00 00 ${index} ${flags} ${change}`;
const requests: readonly { title: string; write: (writer: MessageWriter) => void; wire: string }[] = [
	{
		title: 'a new address',
		write: (writer) => encodeAddressChange(writer, 'add', address, 1),
		wire: `28 00 00 00 14 00 05 06 01 00 00 00 00 00 00 00 ${addressBody}`,
	},
	{
		title: 'the removal of an address',
		write: (writer) => encodeAddressChange(writer, 'remove', address, 1),
		wire: `28 00 00 00 15 00 05 00 01 00 00 00 00 00 00 00 ${addressBody}`,
	},
	{
		title: 'a dump of addresses',
		write: (writer) => encodeAddressDump(writer, 'ipv6', 1),
		wire: '18 00 00 00 16 00 01 03 01 00 00 00 00 00 00 00  0a 00 00 00 00 00 00 00',
	},
	{
		title: 'a dump of interfaces',
		write: (writer) => encodeLinkDump(writer, 1),
		wire: `20 00 00 00 12 00 01 03 01 00 00 00 00 00 00 00 ${linkBody('00 00 00 00', '00 00 00 00', '00 00 00 00')}`,
	},
	{
		title: 'an interface set up with an MTU',
		write: (writer) => encodeLinkChange(writer, { index: 4, up: true, mtuBytes: 1480 }, 1),
		wire: `28 00 00 00 10 00 05 00 01 00 00 00 00 00 00 00 ${linkBody('04 00 00 00', '01 00 00 00', '01 00 00 00')} 08 00 04 00 c8 05 00 00`,
	},
	{
		title: 'only another MTU: up or down is unchanged',
		write: (writer) => encodeLinkChange(writer, { index: 4, mtuBytes: 1480 }, 1),
		wire: `28 00 00 00 10 00 05 00 01 00 00 00 00 00 00 00 ${linkBody('04 00 00 00', '00 00 00 00', '00 00 00 00')} 08 00 04 00 c8 05 00 00`,
	},
	{
		title: 'a new tunnel device',
		write: (writer) => encodeLinkAdd(writer, { name: 'tunl0', kind: 'ipip' }, 1),
		wire: `38 00 00 00 10 00 05 06 01 00 00 00 00 00 00 00 ${linkBody('00 00 00 00', '00 00 00 00', '00 00 00 00')}
		       0a 00 03 00 74 75 6e 6c 30 00 00 00     # IFLA_IFNAME tunl0
		       0c 00 12 00 08 00 01 00 69 70 69 70     # IFLA_LINKINFO { IFLA_INFO_KIND ipip }`,
	},
	{
		title: 'the removal of an interface',
		write: (writer) => encodeLinkRemove(writer, 4, 1),
		wire: `20 00 00 00 11 00 05 00 01 00 00 00 00 00 00 00 ${linkBody('04 00 00 00', '00 00 00 00', '00 00 00 00')}`,
	},
];

for (const { title, write, wire } of requests)
	goldenTest(`encodes ${title}`, (t) => t.deepEqual(written(write), bytes(wire)));

goldenTest('decodes an interface', (t) => {
	const wire = bytes(`40 00 00 00 10 00 02 00 00 00 00 00 00 00 00 00
		00 00 00 03 04 00 00 00 c1 00 00 00 00 00 00 00   # index 4, UP|RUNNING|NOARP
		0a 00 03 00 74 75 6e 6c 30 00 00 00               # tunl0
		08 00 04 00 c8 05 00 00                           # MTU 1480
		0c 00 12 80 08 00 01 00 69 70 69 70               # IFLA_LINKINFO with the flag "nested" { ipip }`);
	const value: Link = {
		index: 4,
		name: 'tunl0',
		mtuBytes: 1480,
		up: true,
		running: true,
		loopback: false,
		kind: 'ipip',
		master: undefined,
	};
	t.deepEqual(only(wire, decodeLink), value);
});

goldenTest('decodes an address: on a point-to-point link the local one', (t) => {
	const wire = bytes(
		'28 00 00 00 14 00 00 00 01 00 00 00 00 00 00 00 02 20 00 00 04 00 00 00 08 00 01 00 0a 00 00 02 08 00 02 00 0a 00 00 01',
	);
	t.deepEqual(only(wire, decodeAddress)?.address, ipv4(10, 0, 0, 1));
});

const family = fc.constantFrom('ipv4' as const, 'ipv6' as const);
const addressOf = (of: 'ipv4' | 'ipv6') =>
	fc.uint8Array({ minLength: of === 'ipv4' ? 4 : 16, maxLength: of === 'ipv4' ? 4 : 16 });
const anyRoute: fc.Arbitrary<RouteMessage> = family.chain((of) =>
	fc.record({
		family: fc.constant(of),
		// The destination of a /0 is omitted.
		destination: addressOf(of),
		length: fc.integer({ min: 1, max: of === 'ipv4' ? 32 : 128 }),
		table: fc.oneof(fc.integer({ min: 1, max: 255 }), fc.integer({ min: 256, max: 0xffffffff })),
		protocol: fc.integer({ min: 5, max: 255 }),
		type: fc.constantFrom(1, 6),
		priority: fc.integer({ min: 0, max: 0xffffffff }),
		nextHops: fc.option(
			fc
				.tuple(
					fc.oneof(addressOf(of), addressOf('ipv6')),
					fc.option(fc.integer({ min: 1, max: 0x7fffffff }), { nil: undefined }),
					fc.boolean(),
				)
				.map(([gateway, outInterface, onlink]) => [hop(gateway, outInterface, onlink)]),
			{ nil: [] },
		),
	}),
);

test('every route decodes as it was encoded, alone and in a batch', (t) => {
	fc.assert(
		fc.property(
			fc.array(anyRoute, { minLength: 1, maxLength: 4 }),
			fc.constantFrom<RouteVerb>('add', 'replace', 'append', 'remove'),
			(all, verb) => {
				const found: unknown[] = [];
				eachMessage(
					written((writer) => {
						for (const route of all) encodeRouteChange(writer, verb, route, 1);
					}),
					(message) => found.push(decodeRoute(message)),
				);
				t.deepEqual(found, all);
			},
		),
	);
});

const decoders = [decodeRoute, decodeLink, decodeAddress, decodeAcknowledgement];
const decodesOrSays = (wire: Uint8Array): boolean =>
	decoders.every((decode) => {
		try {
			eachMessage(wire, decode);
			return true;
		} catch (error) {
			return error instanceof NetlinkFormatError;
		}
	});

test('any bytes decode or raise NetlinkFormatError', (t) => {
	fc.assert(
		fc.property(fc.uint8Array({ maxLength: 200 }), (body) => {
			const wire = written((writer) => {
				writer.begin(24, 0x202, 1);
				writer.raw(body);
				writer.end();
			});
			t.true(decodesOrSays(wire));
			t.true(decodesOrSays(body));
		}),
		{ numRuns: 500 },
	);
});

test('a valid message with a broken byte decodes or raises NetlinkFormatError', (t) => {
	fc.assert(
		fc.property(anyRoute, fc.nat(), fc.integer({ min: 0, max: 255 }), (route, at, value) => {
			const wire = written((writer) => encodeRouteChange(writer, 'add', route, 1));
			wire[at % wire.length] = value;
			t.true(decodesOrSays(wire));
		}),
		{ numRuns: 500 },
	);
});

test('the fast encoder of a plain route produces the bytes of the general one', (t) => {
	const octet = fc.nat(255);
	const verbs: readonly RouteVerb[] = ['add', 'replace', 'append', 'remove'];
	fc.assert(
		fc.property(
			fc.tuple(octet, octet, octet, octet),
			fc.integer({ min: 0, max: 32 }),
			fc.constantFrom(...verbs),
			fc.record({
				table: fc.integer({ min: 1, max: 255 }),
				protocol: octet,
				priority: fc.nat(0xffff_ffff),
				isBlackhole: fc.boolean(),
				onlink: fc.boolean(),
				outInterface: fc.nat(1000),
				hasSource: fc.boolean(),
			}),
			(address, length, verb, { isBlackhole, onlink, outInterface, hasSource, ...base }) => {
				const destination = clearHostBits(Uint8Array.from(address), length);
				const gateway = isBlackhole ? undefined : Uint8Array.of(10, 0, 0, 1);
				const ways = isBlackhole ? { onlink: false, outInterface: 0 } : { onlink, outInterface };
				const source = hasSource && !isBlackhole ? Uint8Array.of(10, 0, 0, 9) : undefined;
				const [plain, general] = [new MessageWriter(), new MessageWriter()];
				const prefix = formatPrefix(destination, length);
				encodePlainRoute(plain, verb, { ...base, ...ways, prefix, isBlackhole, gateway, nextHopId: 0, source }, 7);
				const interfaceOf = ways.outInterface === 0 ? undefined : ways.outInterface;
				encodeRouteChange(
					general,
					verb,
					{
						...base,
						family: 'ipv4',
						destination,
						length,
						type: isBlackhole ? 6 : 1,
						nextHops: isBlackhole ? [] : [{ gateway, outInterface: interfaceOf, onlink: ways.onlink }],
						...(source === undefined ? {} : { source }),
					},
					7,
				);
				t.deepEqual([...plain.bytes], [...general.bytes]);
			},
		),
	);
});
