import test from 'ava';

import { decodeAttributes, encodeAttributes, isTransitive, type PathAttributes, packetContext } from '../src/index.ts';
import { bytes, hex, mandatory, pieces, remedyOf, update } from './support.ts';

const internal = packetContext();
const external = packetContext({ external: true });
const { origin, asPath, nextHop, nlri } = pieces;

/** Canonical: each decodes to the value and encodes to the bytes. */
const valid: readonly { title: string; wire: string; attributes: PathAttributes }[] = [
	{ title: 'ORIGIN IGP', wire: '40 01 01 00', attributes: { origin: 'igp' } },
	{ title: 'ORIGIN EGP', wire: '40 01 01 01', attributes: { origin: 'egp' } },
	{ title: 'ORIGIN INCOMPLETE', wire: '40 01 01 02', attributes: { origin: 'incomplete' } },
	{ title: '[C88] an empty AS_PATH', wire: '40 02 00', attributes: { asPath: [] } },
	{
		title: 'AS_PATH of a sequence and a set',
		wire: `40 02 10
		       02 02 00000001 00011170  # sequence 1 70000
		       01 01 0000fde8           # set {65000}`,
		attributes: {
			asPath: [
				{ type: 'sequence', asNumbers: [1, 70000] },
				{ type: 'set', asNumbers: [65000] },
			],
		},
	},
	{
		title: 'AS_PATH with confederation segments from an internal peer',
		wire: '40 02 0c 03 01 0000fde8 04 01 0000fde9',
		attributes: {
			asPath: [
				{ type: 'confed-sequence', asNumbers: [65000] },
				{ type: 'confed-set', asNumbers: [65001] },
			],
		},
	},
	{ title: 'NEXT_HOP', wire: '40 03 04 0a000001', attributes: { nextHop: bytes('0a000001') } },
	{ title: 'MULTI_EXIT_DISC', wire: '80 04 04 ffffffff', attributes: { med: 0xffffffff } },
	{ title: 'LOCAL_PREF', wire: '40 05 04 00000064', attributes: { localPref: 100 } },
	{ title: '[C88] ATOMIC_AGGREGATE', wire: '40 06 00', attributes: { atomicAggregate: true } },
	{
		title: 'AGGREGATOR',
		wire: 'c0 07 08 00011170 0a000001',
		attributes: { aggregator: { asNumber: 70000, routerId: 0x0a000001 } },
	},
	{ title: 'COMMUNITIES', wire: 'c0 08 08 fde80001 ffffff01', attributes: { communities: [0xfde80001, 0xffffff01] } },
	{ title: 'ORIGINATOR_ID', wire: '80 09 04 c0000201', attributes: { originatorId: 0xc0000201 } },
	{
		title: 'CLUSTER_LIST of two, most recent first',
		wire: `80 0a 08        # optional, type 10, length 8
		       0a 00 00 01     # 10.0.0.1
		       0a 00 00 02     # 10.0.0.2`,
		attributes: { clusterList: [0x0a000001, 0x0a000002] },
	},
	{
		title: '[C130] EXTENDED COMMUNITIES, of types that are not known too',
		wire: 'c0 10 10 0002fde800000064 3302000100000001',
		attributes: { extendedCommunities: [bytes('0002fde800000064'), bytes('3302000100000001')] },
	},
	{
		title: '[C131] IPv6 EXTENDED COMMUNITIES',
		wire: `c0 19 14 0002 20010db8000000000000000000000001 0064`,
		attributes: { ipv6ExtendedCommunities: [bytes('0002 20010db8000000000000000000000001 0064')] },
	},
	{
		title: '[C133] LARGE_COMMUNITY with 32-bit parts',
		wire: 'c0 20 18 ffffffff00000000ffffffff 000000010000000200000003',
		attributes: {
			largeCommunities: [
				[0xffffffff, 0, 0xffffffff],
				[1, 2, 3],
			],
		},
	},
	{ title: '[C222] OTC', wire: 'c0 23 04 0000fde8', attributes: { onlyToCustomer: 65000 } },
	{
		title: '[C128] MP_REACH_NLRI with a global next hop',
		wire: '80 0e 1a 0002 01 10 20010db8000000000000000000000001 00 20 20010db8',
		attributes: {
			mpReach: {
				afi: 2,
				safi: 1,
				nextHop: bytes('20010db8000000000000000000000001'),
				routes: {
					type: 'prefixes',
					nlri: [{ family: 'ipv6', bytes: bytes(`20010db8${'00'.repeat(12)}`), length: 32 }],
				},
			},
		},
	},
	{
		title: '[C128] MP_REACH_NLRI with a global and a link-local next hop',
		wire: '80 0e 26 0002 01 20 20010db8000000000000000000000001 fe800000000000000000000000000001 00 00',
		attributes: {
			mpReach: {
				afi: 2,
				safi: 1,
				nextHop: bytes('20010db8000000000000000000000001 fe800000000000000000000000000001'),
				routes: { type: 'prefixes', nlri: [{ family: 'ipv6', bytes: new Uint8Array(16), length: 0 }] },
			},
		},
	},
	{
		title: '[C129] MP_REACH_NLRI of a family that is carried as bytes',
		wire: '80 0e 0b 0019 46 04 0a000001 00 05 00',
		attributes: {
			mpReach: { afi: 25, safi: 70, nextHop: bytes('0a000001'), routes: { type: 'opaque', bytes: bytes('05 00') } },
		},
	},
	{
		title: '[C182] MP_UNREACH_NLRI',
		wire: '80 0f 08 0002 01 20 20010db8',
		attributes: {
			mpUnreach: {
				afi: 2,
				safi: 1,
				routes: {
					type: 'prefixes',
					nlri: [{ family: 'ipv6', bytes: bytes(`20010db8${'00'.repeat(12)}`), length: 32 }],
				},
			},
		},
	},
	{
		title: '[C98] an unknown attribute that was passed on',
		wire: 'e0 63 02 abcd',
		attributes: { unknown: [{ code: 99, flags: 0xe0, value: bytes('abcd') }] },
	},
	{
		title: '[C89] a value that needs Extended Length',
		wire: `d0 08 0100 ${'00010002'.repeat(64)}`,
		attributes: { communities: Array.from({ length: 64 }, () => 0x10002) },
	},
];
for (const { title, wire, attributes } of valid) {
	test(`decodes ${title}`, (t) => t.deepEqual(decodeAttributes(bytes(wire), internal), { attributes, problems: [] }));
	test(`[C141] encodes ${title}`, (t) => t.is(hex(encodeAttributes(attributes, internal)), hex(bytes(wire))));
}

/** One malformed attribute in an UPDATE that is well otherwise: what is done about it. */
const malformed: readonly { title: string; wire: string; remedy: string; context?: typeof internal }[] = [
	{ title: '[C88] [C111] ORIGIN of 0 octets', wire: `40 01 00 ${asPath} ${nextHop}`, remedy: 'treat-as-withdraw' },
	{ title: '[C111] ORIGIN of 2 octets', wire: `40 01 02 0000 ${asPath} ${nextHop}`, remedy: 'treat-as-withdraw' },
	{ title: '[C111] ORIGIN 3', wire: `40 01 01 03 ${asPath} ${nextHop}`, remedy: 'treat-as-withdraw' },
	{
		title: '[C90] ORIGIN with the Optional bit',
		wire: `c0 01 01 00 ${asPath} ${nextHop}`,
		remedy: 'treat-as-withdraw',
	},
	{
		title: '[C90] ORIGIN without the Transitive bit',
		wire: `00 01 01 00 ${asPath} ${nextHop}`,
		remedy: 'treat-as-withdraw',
	},
	{
		title: '[C112] AS_PATH with segment type 0',
		wire: `${origin} 40 02 06 00 01 0000fde8 ${nextHop}`,
		remedy: 'treat-as-withdraw',
	},
	{
		title: '[C112] AS_PATH with segment type 5',
		wire: `${origin} 40 02 06 05 01 0000fde8 ${nextHop}`,
		remedy: 'treat-as-withdraw',
	},
	{
		title: '[C112] AS_PATH with a segment of 0 numbers',
		wire: `${origin} 40 02 02 02 00 ${nextHop}`,
		remedy: 'treat-as-withdraw',
	},
	{
		title: '[C112] AS_PATH with a segment that runs over',
		wire: `${origin} 40 02 06 02 02 0000fde8 ${nextHop}`,
		remedy: 'treat-as-withdraw',
	},
	{
		title: '[C112] AS_PATH with an octet behind it',
		wire: `${origin} 40 02 07 02 01 0000fde8 02 ${nextHop}`,
		remedy: 'treat-as-withdraw',
	},
	{
		title: '[C114] a confederation sequence from outside',
		wire: `${origin} 40 02 06 03 01 0000fde8 ${nextHop}`,
		remedy: 'treat-as-withdraw',
		context: external,
	},
	{
		title: '[C114] a confederation set from outside',
		wire: `${origin} 40 02 06 04 01 0000fde8 ${nextHop}`,
		remedy: 'treat-as-withdraw',
		context: external,
	},
	{
		title: '[C115] AS 0 in AS_PATH',
		wire: `${origin} 40 02 0a 02 02 0000fde8 00000000 ${nextHop}`,
		remedy: 'treat-as-withdraw',
	},
	{ title: '[C116] NEXT_HOP of 3 octets', wire: `${origin} ${asPath} 40 03 03 0a0000`, remedy: 'treat-as-withdraw' },
	{
		title: '[C116] NEXT_HOP of 16 octets',
		wire: `${origin} ${asPath} 40 03 10 20010db8000000000000000000000001`,
		remedy: 'treat-as-withdraw',
	},
	{ title: '[C117] NEXT_HOP 0.0.0.0', wire: `${origin} ${asPath} 40 03 04 00000000`, remedy: 'treat-as-withdraw' },
	{ title: '[C117] NEXT_HOP 224.0.0.1', wire: `${origin} ${asPath} 40 03 04 e0000001`, remedy: 'treat-as-withdraw' },
	{ title: '[C117] NEXT_HOP 0.0.0.1', wire: `${origin} ${asPath} 40 03 04 00000001`, remedy: 'treat-as-withdraw' },
	{ title: '[C117] NEXT_HOP 240.0.0.1', wire: `${origin} ${asPath} 40 03 04 f0000001`, remedy: 'treat-as-withdraw' },
	{
		title: '[C117] NEXT_HOP 255.255.255.255',
		wire: `${origin} ${asPath} 40 03 04 ffffffff`,
		remedy: 'treat-as-withdraw',
	},
	{ title: '[C119] MULTI_EXIT_DISC of 3 octets', wire: `${mandatory} 80 04 03 000000`, remedy: 'treat-as-withdraw' },
	{
		title: '[C119] MULTI_EXIT_DISC of 5 octets',
		wire: `${mandatory} 80 04 05 0000000000`,
		remedy: 'treat-as-withdraw',
	},
	{ title: '[C119] MULTI_EXIT_DISC of 0 octets', wire: `${mandatory} 80 04 00`, remedy: 'treat-as-withdraw' },
	{
		title: '[C120] LOCAL_PREF from an external peer',
		wire: `${mandatory} 40 05 04 00000064`,
		remedy: 'attribute-discard',
		context: external,
	},
	{
		title: '[C120] LOCAL_PREF of 3 octets from an external peer',
		wire: `${mandatory} 40 05 03 000064`,
		remedy: 'attribute-discard',
		context: external,
	},
	{
		title: '[C120] LOCAL_PREF of 5 octets from an internal peer',
		wire: `${mandatory} 40 05 05 0000000064`,
		remedy: 'treat-as-withdraw',
	},
	{ title: '[C121] no LOCAL_PREF from an internal peer', wire: mandatory, remedy: 'none' },
	{ title: '[C122] ATOMIC_AGGREGATE of 1 octet', wire: `${mandatory} 40 06 01 00`, remedy: 'attribute-discard' },
	{ title: '[C90] ATOMIC_AGGREGATE with the Optional bit', wire: `${mandatory} c0 06 00`, remedy: 'attribute-discard' },
	{
		title: '[C123] AGGREGATOR of 6 octets in a 4-octet session',
		wire: `${mandatory} c0 07 06 fde8 0a000001`,
		remedy: 'attribute-discard',
	},
	{ title: '[C88] AGGREGATOR of 0 octets', wire: `${mandatory} c0 07 00`, remedy: 'attribute-discard' },
	{
		title: '[C90] AGGREGATOR without the Transitive bit',
		wire: `${mandatory} 80 07 08 0000fde8 0a000001`,
		remedy: 'attribute-discard',
	},
	{ title: '[C115] AS 0 in AGGREGATOR', wire: `${mandatory} c0 07 08 00000000 0a000001`, remedy: 'attribute-discard' },
	{ title: '[C124] COMMUNITIES of 0 octets', wire: `${mandatory} c0 08 00`, remedy: 'treat-as-withdraw' },
	{
		title: '[C123] AGGREGATOR of 9 octets in a 4-octet session',
		wire: `${mandatory} c0 07 09 0000fde8 0a000001 00`,
		remedy: 'attribute-discard',
	},
	{ title: '[C124] COMMUNITIES of 6 octets', wire: `${mandatory} c0 08 06 000100020003`, remedy: 'treat-as-withdraw' },
	{
		title: '[C90] COMMUNITIES without the Transitive bit',
		wire: `${mandatory} 80 08 04 00010002`,
		remedy: 'treat-as-withdraw',
	},
	{ title: '[C125] ORIGINATOR_ID of 3 octets', wire: `${mandatory} 80 09 03 0a0000`, remedy: 'treat-as-withdraw' },
	{
		title: '[C125] ORIGINATOR_ID of 8 octets',
		wire: `${mandatory} 80 09 08 0a0000010a000002`,
		remedy: 'treat-as-withdraw',
	},
	{
		title: '[C125] ORIGINATOR_ID from an external peer',
		wire: `${mandatory} 80 09 04 0a000001`,
		remedy: 'attribute-discard',
		context: external,
	},
	{
		title: '[C125] ORIGINATOR_ID of 3 octets from an external peer',
		wire: `${mandatory} 80 09 03 0a0000`,
		remedy: 'attribute-discard',
		context: external,
	},
	{ title: '[C125] CLUSTER_LIST of 0 octets', wire: `${mandatory} 80 0a 00`, remedy: 'treat-as-withdraw' },
	{ title: '[C125] CLUSTER_LIST of 5 octets', wire: `${mandatory} 80 0a 05 0a00000100`, remedy: 'treat-as-withdraw' },
	{
		title: '[C125] CLUSTER_LIST from an external peer',
		wire: `${mandatory} 80 0a 05 0a00000100`,
		remedy: 'attribute-discard',
		context: external,
	},
	{ title: '[C130] EXTENDED COMMUNITIES of 0 octets', wire: `${mandatory} c0 10 00`, remedy: 'treat-as-withdraw' },
	{
		title: '[C130] EXTENDED COMMUNITIES of 12 octets',
		wire: `${mandatory} c0 10 0c ${'00'.repeat(12)}`,
		remedy: 'treat-as-withdraw',
	},
	{
		title: '[C130] EXTENDED COMMUNITIES of 9 octets',
		wire: `${mandatory} c0 10 09 0002fde80000006400`,
		remedy: 'treat-as-withdraw',
	},
	{ title: '[C131] IPv6 EXTENDED COMMUNITIES of 0 octets', wire: `${mandatory} c0 19 00`, remedy: 'treat-as-withdraw' },
	{
		title: '[C131] IPv6 EXTENDED COMMUNITIES of 24 octets',
		wire: `${mandatory} c0 19 18 ${'00'.repeat(24)}`,
		remedy: 'treat-as-withdraw',
	},
	{
		title: '[C131] IPv6 EXTENDED COMMUNITIES of 19 octets',
		wire: `${mandatory} c0 19 13 ${'00'.repeat(19)}`,
		remedy: 'treat-as-withdraw',
	},
	{ title: '[C132] LARGE_COMMUNITY of 0 octets', wire: `${mandatory} c0 20 00`, remedy: 'treat-as-withdraw' },
	{
		title: '[C132] LARGE_COMMUNITY of 16 octets',
		wire: `${mandatory} c0 20 10 ${'00'.repeat(16)}`,
		remedy: 'treat-as-withdraw',
	},
	{
		title: '[C132] LARGE_COMMUNITY of 13 octets',
		wire: `${mandatory} c0 20 0d ${'00'.repeat(13)}`,
		remedy: 'treat-as-withdraw',
	},
	{ title: '[C222] OTC of 3 octets', wire: `${mandatory} c0 23 03 00fde8`, remedy: 'treat-as-withdraw' },
	{ title: '[C222] OTC of 5 octets', wire: `${mandatory} c0 23 05 0000fde800`, remedy: 'treat-as-withdraw' },
	{ title: '[C222] OTC of 0 octets', wire: `${mandatory} c0 23 00`, remedy: 'treat-as-withdraw' },
];
for (const { title, wire, remedy, context = internal } of malformed) {
	test(`${title}: ${remedy}`, (t) => t.is(remedyOf(update({ attributes: wire, nlri }), context), remedy));
}

test('what is discarded or malformed is not among the attributes', (t) => {
	const { attributes, problems } = decodeAttributes(
		bytes(`${origin} 40 06 01 00 80 04 01 00 c0 08 04 00010002`),
		internal,
	);
	t.deepEqual(attributes, { origin: 'igp', communities: [0x10002] });
	t.deepEqual(
		problems.map(({ remedy }) => remedy),
		['attribute-discard', 'treat-as-withdraw'],
	);
});

test('[C127] the reserved octet of MP_REACH_NLRI is ignored, and sent as 0', (t) => {
	const { attributes, problems } = decodeAttributes(bytes('80 0e 09 0001 01 04 0a000001 ff'), internal);
	t.deepEqual(problems, []);
	t.is(hex(encodeAttributes(attributes, internal)), '800e09000101040a00000100');
});

test('[C128] a global next hop of zeros stands where a link-local one follows', (t) => {
	const hop = (second: string) => `80 0e 26 0002 01 20 ${'00'.repeat(16)} ${second} 00 00 ${origin} ${asPath}`;
	t.is(remedyOf(update({ attributes: hop(`fe80${'00'.repeat(13)}01`) })), 'none');
	t.is(remedyOf(update({ attributes: hop('00'.repeat(16)) })), 'treat-as-withdraw');
});

test('[C133] a large community that is there twice is taken once and sent once', (t) => {
	const once = 'c0200c000000010000000200000003';
	const { attributes } = decodeAttributes(
		bytes('c0 20 18 000000010000000200000003 000000010000000200000003'),
		internal,
	);
	t.deepEqual(attributes.largeCommunities, [[1, 2, 3]]);
	const twice: PathAttributes = {
		largeCommunities: [
			[1, 2, 3],
			[1, 2, 3],
		],
	};
	t.is(hex(encodeAttributes(twice, internal)), once);
});

test('[C140] non-transitive extended communities are known by their bit', (t) => {
	t.true(isTransitive(bytes('0002fde800000064')));
	t.false(isTransitive(bytes('4004000100000001')));
});

test('a sequence of more than 255 AS numbers is sent in segments of 255', (t) => {
	const path: PathAttributes = {
		asPath: [{ type: 'sequence', asNumbers: Array.from({ length: 300 }, (_, index) => index + 1) }],
	};
	const { attributes, problems } = decodeAttributes(encodeAttributes(path, internal), internal);
	t.deepEqual(problems, []);
	t.deepEqual(
		attributes.asPath?.map(({ asNumbers }) => asNumbers.length),
		[255, 45],
	);
});
