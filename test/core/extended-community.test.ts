import test from 'ava';
import fc from 'fast-check';
import { formatExtendedCommunity, parseExtendedCommunity } from '../../src/core/index.ts';

const hex = (bytes: Uint8Array | undefined) => (bytes === undefined ? undefined : Buffer.from(bytes).toString('hex'));

const texts = [
	{ text: 'rt:65000:100', wire: '0002fde800000064' },
	{ text: 'rt:0:4294967295', wire: '00020000ffffffff' },
	{ text: 'ro:65000:100', wire: '0003fde800000064' },
	{ text: 'rt:10.0.0.1:100', wire: '01020a0000010064' },
	{ text: 'ro:10.0.0.1:65535', wire: '01030a000001ffff' },
	{ text: 'rt:4200000000:100', wire: '0202fa56ea000064' },
	{ text: 'rt:65536:0', wire: '0202000100000000' },
	{ text: 'ro:65000L:100', wire: '02030000fde80064' },
	// Link bandwidth, opaque, a non-transitive route target: none has a name.
	{ text: '0x4004fde84b3ebc20', wire: '4004fde84b3ebc20' },
	{ text: '0x030b000000000001', wire: '030b000000000001' },
	{ text: '0x4002fde800000064', wire: '4002fde800000064' },
];
for (const { text, wire } of texts) {
	test(`${text} is ${wire}, RFC 4360 and RFC 5668`, (t) => {
		t.is(hex(parseExtendedCommunity(text)), wire);
		t.is(formatExtendedCommunity(Buffer.from(wire, 'hex')), text);
	});
}

test('hexadecimal digits are read in either case, and without 0x', (t) => {
	t.is(hex(parseExtendedCommunity('0x4004FDE84b3ebc20')), '4004fde84b3ebc20');
	t.is(hex(parseExtendedCommunity('0002fde800000064')), '0002fde800000064');
});

for (const text of [
	...['', 'rt', 'rt:', 'rt:1', 'rt:1:2:3', 'soo:1:2', '65000:100', 'rt:-1:2', 'rt:01:2', 'rt:1: 2', 'RT:1:2'],
	...[
		'rt:65000:4294967296',
		'rt:65536:65536',
		'rt:65000L:65536',
		'rt:4294967296:1',
		'rt:L:1',
		'rt:10.0.0.1:65536',
		'rt:10.0.0.256:1',
		'rt:10.0.0:1',
		'rt:10.0.0.1L:1',
	],
	...['0x', '0x0002fde8000000', '0x0002fde80000006400', '0x0002fde80000006g'],
]) {
	test(`'${text}' is not an extended community`, (t) => t.is(parseExtendedCommunity(text), undefined));
}

test('any eight octets have a text that parses to the same octets', (t) => {
	// Named types and sub-types, and their neighbours, often.
	const octets = fc.tuple(
		fc.constantFrom(0, 1, 2, 3, 0x40),
		fc.constantFrom(1, 2, 3, 4),
		fc.uint8Array({ minLength: 6, maxLength: 6 }),
		fc.boolean(),
	);
	fc.assert(
		fc.property(octets, ([type, subType, rest, small]) => {
			const bytes = Uint8Array.of(type, subType, ...(small ? [0, 0, ...rest.subarray(2)] : rest));
			t.deepEqual(parseExtendedCommunity(formatExtendedCommunity(bytes)), bytes);
		}),
		{ numRuns: 2000 },
	);
});
