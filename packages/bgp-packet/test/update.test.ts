import test from 'ava';

import {
	decodeMessage,
	encodeMessage,
	endOfRib,
	endOfRibMessage,
	isMulticast,
	packetContext,
	passedOn,
	updateMessage,
	withdrawInstead,
} from '../src/index.ts';
import { bytes, frame, hex, mandatory, pieces, remedyOf, update, verdict } from './support.ts';

const internal = packetContext();
const external = packetContext({ external: true });
const { origin, asPath, nextHop, nlri } = pieces;
const med = '80 04 04 00000000';
const reach = '80 0e 1a 0002 01 10 20010db8000000000000000000000001 00 20 20010db8';
const unreach = '80 0f 08 0002 01 20 20010db8';

const updates: readonly {
	title: string;
	wire: Uint8Array;
	remedy: string;
	data?: string;
	context?: typeof internal;
}[] = [
	{ title: '[C84] withdrawn routes that run over the message', wire: frame(2, '0004 08 0b 0000'), remedy: '3/1' },
	{
		title: '[C84] a withdrawn length that leaves no room for the attribute length',
		wire: frame(2, '0001 08 00'),
		remedy: '3/1',
	},
	{ title: '[C84] attributes that run over the message', wire: frame(2, '0000 0001'), remedy: '3/1' },
	{ title: '[C84] lengths of 65535', wire: frame(2, 'ffff ffff'), remedy: '3/1' },
	{
		title: '[C86] an attribute that runs over the block',
		wire: update({ attributes: `${mandatory} 80 04 05 00000000`, nlri }),
		remedy: 'treat-as-withdraw',
	},
	{
		title: '[C86] an MP_REACH_NLRI that runs over the block',
		wire: update({ attributes: `${mandatory} 80 0e 05 00020110`, nlri }),
		remedy: '3/1',
	},
	{
		title: '[C105] an MP_REACH_NLRI of which the last two octets are the header',
		wire: update({ attributes: `${mandatory} 80 0e`, nlri }),
		remedy: '3/1',
	},
	{
		title: '[C87] one octet behind the attributes',
		wire: update({ attributes: `${mandatory} 80`, nlri }),
		remedy: 'treat-as-withdraw',
	},
	{
		title: '[C87] two octets behind the attributes',
		wire: update({ attributes: `${mandatory} 80 04`, nlri }),
		remedy: 'treat-as-withdraw',
	},
	{
		title: '[C87] three octets behind the attributes, with Extended Length',
		wire: update({ attributes: `${mandatory} 90 04 00`, nlri }),
		remedy: 'treat-as-withdraw',
	},
	{
		title: '[C89] Extended Length for a short attribute',
		wire: update({ attributes: `${origin} ${asPath} 50 03 0004 0a000001`, nlri }),
		remedy: 'none',
	},
	{
		title: '[C89] low bits in the flags',
		wire: update({ attributes: `4f 01 01 00 ${asPath} ${nextHop}`, nlri }),
		remedy: 'none',
	},
	{
		title: '[C91] ORIGIN missing',
		wire: update({ attributes: `${asPath} ${nextHop}`, nlri }),
		remedy: 'treat-as-withdraw',
	},
	{
		title: '[C91] AS_PATH missing',
		wire: update({ attributes: `${origin} ${nextHop}`, nlri }),
		remedy: 'treat-as-withdraw',
	},
	{
		title: '[C91] NEXT_HOP missing',
		wire: update({ attributes: `${origin} ${asPath}`, nlri }),
		remedy: 'treat-as-withdraw',
	},
	{ title: '[C91] all attributes missing', wire: update({ nlri }), remedy: 'treat-as-withdraw' },
	{
		title: '[C91] ORIGIN missing beside MP_REACH_NLRI',
		wire: update({ attributes: `${reach} ${asPath}` }),
		remedy: 'treat-as-withdraw',
	},
	{ title: '[C92] nothing but withdrawn routes', wire: update({ withdrawn: '18 0a0102' }), remedy: 'none' },
	{ title: '[C92] nothing but MP_UNREACH_NLRI', wire: update({ attributes: unreach }), remedy: 'none' },
	{
		title: '[C92] attributes beside withdrawn routes',
		wire: update({ withdrawn: '18 0a0102', attributes: origin }),
		remedy: 'none',
	},
	{
		title: '[C93] NEXT_HOP missing beside MP_REACH_NLRI alone',
		wire: update({ attributes: `${reach} ${origin} ${asPath}` }),
		remedy: 'none',
	},
	{
		title: '[C93] a malformed NEXT_HOP beside MP_REACH_NLRI alone',
		wire: update({ attributes: `${reach} ${origin} ${asPath} 40 03 03 0a0000` }),
		remedy: 'attribute-discard',
	},
	{
		title: '[C94] MP_REACH_NLRI twice',
		wire: update({ attributes: `${reach} ${reach} ${origin} ${asPath}` }),
		remedy: '3/1',
	},
	{ title: '[C94] MP_UNREACH_NLRI twice', wire: update({ attributes: `${unreach} ${unreach}` }), remedy: '3/1' },
	{
		title: '[C95] MED twice',
		wire: update({ attributes: `${mandatory} ${med} 80 04 04 00000005`, nlri }),
		remedy: 'attribute-discard',
	},
	{
		title: '[C95] a malformed second MED',
		wire: update({ attributes: `${mandatory} ${med} 80 04 01 05`, nlri }),
		remedy: 'attribute-discard',
	},
	{
		title: '[C95] an unknown attribute twice',
		wire: update({ attributes: `${mandatory} c0 63 01 01 c0 63 01 02`, nlri }),
		remedy: 'attribute-discard',
	},
	{
		title: '[C96] discard and withdraw',
		wire: update({ attributes: `${mandatory} 40 06 01 00 80 04 01 00`, nlri }),
		remedy: 'treat-as-withdraw',
	},
	{
		title: '[C96] withdraw and reset',
		wire: update({ attributes: `${mandatory} 80 04 01 00 ${unreach} ${unreach}`, nlri }),
		remedy: '3/1',
	},
	{
		title: '[C97] an unrecognized well-known attribute',
		wire: update({ attributes: `${mandatory} 40 63 02 abcd`, nlri }),
		remedy: '3/2',
		data: '406302abcd',
	},
	{
		title: '[C100] attributes in another order',
		wire: update({ attributes: `${nextHop} ${asPath} ${origin}`, nlri }),
		remedy: 'none',
	},
	{
		title: '[C101] every mix of fields',
		wire: update({ withdrawn: '08 0b', attributes: `${mandatory} ${unreach} ${reach}`, nlri }),
		remedy: 'none',
	},
	{
		title: '[C103] attributes without reachable routes and a malformed one',
		wire: update({ attributes: '40 01 01 03' }),
		remedy: '3/6',
	},
	{
		title: '[C103] a malformed attribute beside withdrawals alone',
		wire: update({ withdrawn: '08 0b', attributes: `${unreach} 80 04 01 00` }),
		remedy: '3/5',
		data: '80040100',
	},
	{ title: '[C103] bytes left over without reachable routes', wire: update({ attributes: '40' }), remedy: '3/1' },
	{
		title: '[C103] an attribute to discard without reachable routes',
		wire: update({ attributes: `${origin} 40 06 01 00` }),
		remedy: 'attribute-discard',
	},
	{
		title: '[C103] MP_REACH_NLRI without routes and a malformed attribute',
		wire: update({ attributes: `80 0e 09 0001 01 04 0a000001 00 80 04 01 00` }),
		remedy: '3/5',
	},
	{
		title: '[C104] an NLRI of length 33',
		wire: update({ attributes: mandatory, nlri: '21 0a01020304' }),
		remedy: '3/10',
	},
	{ title: '[C104] an NLRI cut off', wire: update({ attributes: mandatory, nlri: '18 0a01' }), remedy: '3/10' },
	{ title: '[C104] a withdrawn route of length 33', wire: update({ withdrawn: '21 0a01020304' }), remedy: '3/10' },
	{ title: '[C104] a withdrawn route cut off', wire: update({ withdrawn: '18 0a01' }), remedy: '3/10' },
	{
		title: '[C104] length 129 in MP_REACH_NLRI',
		wire: update({ attributes: `80 0e 16 0002 01 10 20010db8000000000000000000000001 00 81 ${origin} ${asPath}` }),
		remedy: '3/9',
	},
	{
		title: '[C104] a prefix cut off in MP_UNREACH_NLRI',
		wire: update({ attributes: '80 0f 06 0002 01 20 2001' }),
		remedy: '3/9',
	},
	{
		title: '[C105] a malformed attribute and an NLRI that cannot be read',
		wire: update({ attributes: `${mandatory} 80 04 01 00`, nlri: '21' }),
		remedy: '3/10',
	},
	{ title: '[C106] a multicast prefix', wire: update({ attributes: mandatory, nlri: '18 e00001' }), remedy: 'none' },
	{ title: '[C110] attributes without routes', wire: update({ attributes: mandatory }), remedy: 'none' },
	{
		title: '[C129] routes of a family that is not known',
		wire: update({ attributes: `80 0e 0a 4004 47 00 00 0001020304 ${origin} ${asPath}` }),
		remedy: 'none',
	},
	{
		title: '[C126] MP_REACH_NLRI with a next hop of 4 octets for IPv6',
		wire: update({ attributes: `80 0e 09 0002 01 04 0a000001 00 ${origin} ${asPath}` }),
		remedy: '3/9',
	},
	{
		title: '[C126] MP_REACH_NLRI with a next hop that runs over',
		wire: update({ attributes: '80 0e 05 0002 01 10 00' }),
		remedy: '3/9',
	},
	{ title: '[C126] MP_REACH_NLRI of 4 octets', wire: update({ attributes: '80 0e 04 0002 01 00' }), remedy: '3/9' },
	{
		title: '[C127] MP_REACH_NLRI without its reserved octet',
		wire: update({ attributes: '80 0e 08 0019 46 04 0a000001' }),
		remedy: '3/9',
	},
	{
		title: '[C96] of two malformed attributes the first',
		wire: update({ attributes: '80 04 01 00 40 01 01 03' }),
		remedy: '3/5',
		data: '80040100',
	},
	{ title: '[C88] an empty MP_REACH_NLRI', wire: update({ attributes: '80 0e 00' }), remedy: '3/9' },
	{ title: '[C88] an empty MP_UNREACH_NLRI', wire: update({ attributes: '80 0f 00' }), remedy: '3/9' },
	{
		title: '[C90] MP_REACH_NLRI with the Transitive bit',
		wire: update({ attributes: `c0 ${reach.slice(3)} ${origin} ${asPath}` }),
		remedy: 'treat-as-withdraw',
	},
];
for (const { title, wire, remedy, data, context = internal } of updates) {
	test(`${title}: ${remedy}`, (t) => {
		t.is(remedyOf(wire, context), remedy);
		const result = verdict(wire, context);
		if (data !== undefined) t.is('error' in result ? result.data : undefined, data);
	});
}

const decoded = (wire: Uint8Array, context = internal) => {
	const message = decodeMessage(wire, context);
	return message.type === 'update' ? message : updateMessage({});
};

test('[C85] problems that ask for less than a reset are values', (t) => {
	const { problems } = decoded(update({ attributes: `${mandatory} 80 04 01 00`, nlri }));
	t.deepEqual(
		problems.map(({ code, subcode, remedy, data }) => [code, subcode, remedy, hex(data)]),
		[[3, 5, 'treat-as-withdraw', '80040100']],
	);
});

test('[C86] the NLRI behind an attribute that runs over is read', (t) => {
	const message = decoded(update({ attributes: `${mandatory} 80 04 05 00000000`, nlri }));
	t.deepEqual(message.nlri, [{ family: 'ipv4', bytes: bytes('0a010200'), length: 24 }]);
});

test('[C95] of an attribute that occurs twice the first is kept', (t) => {
	t.is(decoded(update({ attributes: `${mandatory} 80 04 04 00000001 80 04 04 00000002`, nlri })).attributes.med, 1);
});

test('[C98] an unknown optional transitive attribute is kept as it is and goes on with the Partial bit', (t) => {
	const { attributes } = decoded(update({ attributes: `${mandatory} c0 63 02 abcd`, nlri }));
	t.deepEqual(attributes.unknown, [{ code: 0x63, flags: 0xc0, value: bytes('abcd') }]);
	t.true(hex(encodeMessage(updateMessage({ attributes }), internal)).endsWith('c06302abcd'));
	t.true(hex(encodeMessage(updateMessage({ attributes: passedOn(attributes) }), internal)).endsWith('e06302abcd'));
});

test('[C98] the Partial bit of a known attribute is not cleared', (t) => {
	const { attributes, problems } = decoded(update({ attributes: `${mandatory} e0 08 04 00010002`, nlri }));
	t.deepEqual([attributes.communities, attributes.partial, problems], [[0x10002], [8], []]);
	t.true(hex(encodeMessage(updateMessage({ attributes }), internal)).endsWith('e0080400010002'));
});

test('[C99] an unknown optional non-transitive attribute is no problem, and is not passed on', (t) => {
	const { attributes, problems } = decoded(update({ attributes: `${mandatory} 80 63 02 abcd`, nlri }));
	t.deepEqual([attributes.unknown, problems], [[{ code: 0x63, flags: 0x80, value: bytes('abcd') }], []]);
	const { unknown: _, ...rest } = attributes;
	t.deepEqual(passedOn(attributes), rest);
});

test('[C101] MP attributes are sent first', (t) => {
	const { attributes } = decoded(update({ attributes: `${origin} ${asPath} 80 04 04 00000000 ${reach}` }));
	const wire = encodeMessage(updateMessage({ attributes }), internal);
	t.is(hex(wire.subarray(23, 25)), '800e');
	t.deepEqual(decoded(wire).attributes, attributes);
});

test('[C102] a prefix that is withdrawn and announced at once is in both lists, withdrawals first', (t) => {
	const { withdrawn, nlri: announced } = decoded(update({ withdrawn: nlri, attributes: mandatory, nlri }));
	t.deepEqual(withdrawn, announced);
});

test('[C105] treat-as-withdraw withdraws everything that was announced', (t) => {
	const message = decoded(update({ withdrawn: '08 0b', attributes: `${reach} ${mandatory} 80 04 01 00`, nlri }));
	const instead = withdrawInstead(message);
	t.deepEqual(
		instead.withdrawn.map(({ bytes: address, length }) => `${address.join('.')}/${length}`),
		['11.0.0.0/8', '10.1.2.0/24'],
	);
	t.deepEqual(instead.nlri, []);
	t.deepEqual(Object.keys(instead.attributes), ['mpUnreach']);
	t.deepEqual(instead.attributes.mpUnreach?.routes, message.attributes.mpReach?.routes);
});

test('[C105] routes of a family that was to be withdrawn anyway stay withdrawn', (t) => {
	const more = '80 0f 08 0002 01 20 20010db9';
	const { mpUnreach } = withdrawInstead(decoded(update({ attributes: `${more} ${reach} ${asPath}` }))).attributes;
	t.is(mpUnreach?.routes.type === 'prefixes' ? mpUnreach.routes.nlri.length : 0, 2);
});

test('[C90] [C105] routes of an MP_REACH_NLRI with wrong flags can be withdrawn', (t) => {
	const { mpUnreach } = withdrawInstead(
		decoded(update({ attributes: `c0 ${reach.slice(3)} ${origin} ${asPath}` })),
	).attributes;
	t.is(mpUnreach?.routes.type === 'prefixes' ? mpUnreach.routes.nlri.length : 0, 1);
});

test('[C106] multicast prefixes are known as such', (t) => {
	const message = decoded(update({ attributes: mandatory, nlri: '18 e00001 04 f0 04 e0 00 03 e0 18 0a0102' }));
	t.deepEqual(message.nlri.map(isMulticast), [true, false, true, false, false, false]);
	t.true(isMulticast({ family: 'ipv6', bytes: bytes(`ff02${'00'.repeat(14)}`), length: 16 }));
	t.false(isMulticast({ family: 'ipv6', bytes: bytes(`ff00${'00'.repeat(14)}`), length: 7 }));
});

test('[C107] bits beyond the length are ignored', (t) => {
	const sloppy = decoded(update({ attributes: mandatory, nlri: '14 0a01ff' }));
	t.deepEqual(sloppy.nlri, [{ family: 'ipv4', bytes: bytes('0a01f000'), length: 20 }]);
	t.true(hex(encodeMessage(sloppy, internal)).endsWith('140a01f0'));
});

test('[C108] the default route is one octet', (t) => {
	const { nlri: routes } = decoded(update({ attributes: mandatory, nlri: '00' }));
	t.deepEqual(routes, [{ family: 'ipv4', bytes: bytes('00000000'), length: 0 }]);
});

test('[C109] End-of-RIB is an empty UPDATE or an empty MP_UNREACH_NLRI, and no error', (t) => {
	t.deepEqual(endOfRib(decoded(update({}))), { afi: 1, safi: 1 });
	t.deepEqual(endOfRib(decoded(update({ attributes: '80 0f 03 0002 01' }))), { afi: 2, safi: 1 });
	t.deepEqual(endOfRib(decoded(update({ attributes: '90 0f 0003 4004 47' }))), { afi: 16388, safi: 71 });
	t.is(hex(encodeMessage(endOfRibMessage(1, 1), internal)), hex(update({})));
	t.is(hex(encodeMessage(endOfRibMessage(2, 1), internal)), hex(update({ attributes: '80 0f 03 0002 01' })));
	t.is(hex(encodeMessage(endOfRibMessage(25, 70), internal)), hex(update({ attributes: '80 0f 03 0019 46' })));
});

test('[C109] other UPDATEs are no End-of-RIB', (t) => {
	for (const wire of [
		update({ withdrawn: '00' }),
		update({ attributes: unreach }),
		update({ attributes: mandatory }),
		update({ attributes: `80 0f 03 0002 01 ${origin}` }),
		update({ attributes: '80 0f 04 4004 47 00' }),
	]) {
		t.is(endOfRib(decoded(wire)), undefined, hex(wire));
	}
	t.is(endOfRib(decoded(update({ attributes: '40 05 04 00000064' }), external)), undefined);
});

test('[C182] one MP attribute has several prefixes', (t) => {
	const { mpReach } = decoded(
		update({
			attributes: `80 0e 1e 0002 01 10 20010db8000000000000000000000001 00 20 20010db8 00 10 2002 ${origin} ${asPath}`,
		}),
	).attributes;
	t.deepEqual(mpReach?.routes.type === 'prefixes' ? mpReach.routes.nlri.map(({ length }) => length) : [], [32, 0, 16]);
});

test('[C184] [C185] IPv4 routes with an IPv6 next hop need RFC 8950', (t) => {
	const wire = update({
		attributes: `80 0e 19 0001 01 10 20010db8000000000000000000000001 00 18 0a0102 ${origin} ${asPath}`,
	});
	t.is(remedyOf(wire), '3/9');
	const { mpReach } = decoded(
		wire,
		packetContext({ extendedNextHop: (afi, safi) => afi === 1 && safi === 1 }),
	).attributes;
	t.is(hex(mpReach?.nextHop ?? new Uint8Array(0)), '20010db8000000000000000000000001');
	t.deepEqual(mpReach?.routes, { type: 'prefixes', nlri: [{ family: 'ipv4', bytes: bytes('0a010200'), length: 24 }] });
});

test('[C187] IPv4 unicast may come in MP_REACH_NLRI', (t) => {
	const { mpReach } = decoded(
		update({ attributes: `80 0e 0d 0001 01 04 0a000001 00 18 0a0102 ${origin} ${asPath}` }),
	).attributes;
	t.deepEqual(mpReach?.routes, { type: 'prefixes', nlri: [{ family: 'ipv4', bytes: bytes('0a010200'), length: 24 }] });
});

test('[C196] a path identifier stands before each prefix, of the families where it was agreed', (t) => {
	const context = packetContext({ addPath: (afi, safi) => afi === 1 && safi === 1 });
	const wire = update({
		withdrawn: '00000007 08 0b',
		attributes: `${mandatory} ${unreach}`,
		nlri: '00000001 18 0a0102 ffffffff 00',
	});
	const message = decoded(wire, context);
	t.deepEqual(message.withdrawn, [{ family: 'ipv4', bytes: bytes('0b000000'), length: 8, pathId: 7 }]);
	t.deepEqual(
		message.nlri.map(({ pathId, length }) => [pathId, length]),
		[
			[1, 24],
			[0xffffffff, 0],
		],
	);
	t.deepEqual(message.attributes.mpUnreach?.routes, {
		type: 'prefixes',
		nlri: [{ family: 'ipv6', bytes: bytes(`20010db8${'00'.repeat(12)}`), length: 32 }],
	});
	t.deepEqual(decoded(encodeMessage(message, context), context), message);
});

test('[C196] a path identifier that is cut off is an invalid network field', (t) => {
	const context = packetContext({ addPath: () => true });
	for (const cut of ['00', '000000', '00000001', '00000001 18 0a01'])
		t.is(remedyOf(update({ withdrawn: cut }), context), '3/10', cut);
	t.is(remedyOf(update({ attributes: '80 0f 07 0002 01 00000001' }), context), '3/9');
});
