import test from 'ava';
import fc from 'fast-check';
import { clearHostBits, formatPrefix } from '../../src/core/index.ts';
import { Links } from '../../src/fib/links.ts';
import { RouteMessages } from '../../src/fib/route-messages.ts';
import { PlainRouteReader, type RouteMessage } from '../../src/linux/index.ts';
import { eachMessage, type Message } from '../../src/linux/netlink/reader.ts';
import { decodeRoute, encodeRouteChange } from '../../src/linux/netlink/route.ts';
import { MessageWriter } from '../../src/linux/netlink/writer.ts';

const links = new Links();
links.set(3, 'eth0');
const messages = new RouteMessages(254, 80, links);

/** The route's message as the kernel lists it: RTM_NEWROUTE. */
function listed(route: RouteMessage): Message {
	const writer = new MessageWriter();
	encodeRouteChange(writer, 'add', route, 1);
	const all: Message[] = [];
	eachMessage(writer.bytes, (message) => all.push(message));
	const [only] = all;
	if (only === undefined) throw new Error('one message was written');
	return only;
}

const base: RouteMessage = {
	family: 'ipv4',
	destination: Uint8Array.of(100, 1, 2, 0),
	length: 24,
	table: 254,
	protocol: 80,
	type: 1,
	priority: 1024,
	nextHops: [{ gateway: Uint8Array.of(10, 0, 0, 1), outInterface: 3, onlink: false }],
};
const octet = fc.nat(255);

test('a listed route of the common form is the route of the general decoder', (t) => {
	const reader = new PlainRouteReader();
	fc.assert(
		fc.property(
			fc.tuple(octet, octet, octet, octet),
			fc.integer({ min: 0, max: 32 }),
			fc.record({ table: fc.constantFrom(7, 254, 1000), protocol: octet, priority: fc.nat(0xffff_ffff) }),
			fc.record({ isBlackhole: fc.boolean(), onlink: fc.boolean(), gateway: fc.option(fc.tuple(octet, octet)) }),
			fc.constantFrom(undefined, 3, 9),
			(address, length, members, { isBlackhole, onlink, gateway }, outInterface) => {
				const hop = {
					gateway: gateway === null ? undefined : Uint8Array.of(10, 1, ...gateway),
					outInterface,
					onlink,
				};
				const message = listed({
					...base,
					...members,
					destination: clearHostBits(Uint8Array.from(address), length),
					length,
					type: isBlackhole ? 6 : 1,
					nextHops: isBlackhole ? [] : [hop],
				});
				const [plain, general] = [reader.read(message), decodeRoute(message)];
				if (plain === undefined || general === undefined) {
					t.fail('both decode it');
					return;
				}
				t.deepEqual(messages.decodeListed(plain), messages.decode(general));
				t.is(plain.table, general.table);
				t.is(plain.protocol, general.protocol);
				t.is(formatPrefix(plain.destination, plain.length), formatPrefix(general.destination, general.length));
			},
		),
	);
});

test('the ID of a next hop object is read with a listed route', (t) => {
	const plain = new PlainRouteReader().read(listed({ ...base, nextHopId: 77 }));
	t.is(plain?.nextHopId, 77);
});

test('other forms are left to the general decoder', (t) => {
	const [hop] = base.nextHops;
	const other = { gateway: Uint8Array.of(10, 0, 0, 2), outInterface: 3, onlink: false };
	const forms: Readonly<Record<string, RouteMessage>> = {
		'with a preferred source': { ...base, source: Uint8Array.of(10, 0, 0, 9) },
		'several next hops': { ...base, nextHops: [hop ?? other, other] },
		'a gateway of IPv6': { ...base, nextHops: [{ ...other, gateway: new Uint8Array(16).fill(7) }] },
		unreachable: { ...base, type: 7, nextHops: [] },
		'of IPv6': { ...base, family: 'ipv6', destination: new Uint8Array(16), length: 64, nextHops: [] },
	};
	for (const [name, form] of Object.entries(forms)) t.is(new PlainRouteReader().read(listed(form)), undefined, name);
});

test('a truncated message is left to the general decoder, which refuses it', (t) => {
	const message = listed(base);
	for (const bodyEnd of [message.bodyStart + 8, message.bodyEnd - 4])
		t.is(new PlainRouteReader().read({ ...message, bodyEnd }), undefined);
	t.throws(() => decodeRoute({ ...message, bodyEnd: message.bodyEnd - 4 }));
});
