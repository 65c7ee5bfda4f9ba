import test from 'ava';

import { contexts, disagreement } from './agreement.ts';
import { builtInMessages, fuzz } from './fuzz.ts';
import { bytes, hex } from './support.ts';

test('[C230] mutated and generated messages decode or raise PacketError, and both readers agree', (t) => {
	const lines: string[] = [];
	const { failures, outcomes } = fuzz({ seed: 20240611, iterations: 12_000, print: (line) => lines.push(line) });
	t.deepEqual(failures, [], lines.join('\n'));
	// The run means something only if it gets everywhere.
	for (const outcome of [
		'none',
		'attribute-discard',
		'treat-as-withdraw',
		'1/2',
		'2/0',
		'3/1',
		'3/2',
		'3/5',
		'3/9',
		'3/10',
		'3/11',
	])
		t.true(outcome in outcomes, outcome);
});

test('the built-in messages are well-formed in some context', (t) => {
	for (const wire of builtInMessages)
		t.deepEqual(
			contexts.map((context) => disagreement(wire, context)),
			contexts.map(() => undefined),
			hex(wire),
		);
});

test('a run with the same seed is the same run', (t) => {
	const once = fuzz({ seed: 7, iterations: 500, messages: builtInMessages });
	t.deepEqual(fuzz({ seed: 7, iterations: 500, messages: builtInMessages }), once);
});

/** What fuzzing found once, in hex: it must not come back. In all of these the walk over bytes passed over what the objects refused. */
const corpus: readonly { title: string; wire: string }[] = [
	{
		title: 'a next hop in MP_REACH_NLRI whose length does not fit, beside attributes that are discarded',
		wire: 'ffffffffffffffffffffffffffffffff007f02000418654fae00624001010040020602010000fde84003040a000001c0120174c012083268b430fa3b98b2400504c952b13d800e1800010210cc614e5c3dd1b463b1aa354b715a03bf00090b8b400304e7e16928801a043ca4130ac063049c4ac4574001057f3e395cec03ac',
	},
	{
		title: 'a prefix that is cut off in MP_UNREACH_NLRI',
		wire: 'ffffffffffffffffffffffffffffffff00c302000a1d551f47f40cd7d3081500a0400304335a392cc06304fb981e5940020e02038a4bba7fad64cf6bf2ca8bbac00708790a696a911b1de4800f3000020253478b90079721c5cf1c779f8acc6c29a06659507cf33ee9026b89e308a09067341ea138f0b6dc89730d71c089c01215d47a2795fec71cf91a9bf38176d45264d3ef6fd756c019146e5076feaaced6c321f28b2a299a96ef017589c8c01211a9741e2900fb2ccdbd9a33956bf925b9cc0402',
	},
	{
		title: 'a next hop in MP_REACH_NLRI that is no host address, beside attributes that are discarded',
		wire: 'ffffffffffffffffffffffffffffffff0089020000006c4001010040020602010000fde84003040a000001c0191419e6db00f91648acf2be40e9dfcd1a185142b6fd800e0f00010204fc730167000000002105da800a04c7c01b78c00804de161084c01208164c5ab6ed58b183801a048f13931c4001016dc010084add8a57600eccc411f099f2080a',
	},
	{
		title: 'a prefix that is too long in MP_REACH_NLRI, where path identifiers are not expected',
		wire: 'ffffffffffffffffffffffffffffffff009b020019000000871262ab3b000000821176b82c000000351cd4ab5fe3006b4001010040020602010000fde84003040a000001800e2100010204581b8e2a000000007c917dace4854bf828d98892f564c06f2b200499bb800f0e000302000000152c113c00bcde73c012041167976fe80600c0071531658082b0a7de807e2b8c31497994e22a27afb7e7',
	},
	{
		title: 'a next hop in MP_REACH_NLRI that is no host address, beside attributes that occur twice',
		wire: 'ffffffffffffffffffffffffffffffff007802000d128137681fb6b38b2915df3e45004d4001010040020602010000fde84003040a0000016001012c800a04b73250e94003030609104005042eb4354f8004042948b57ec02304d9a87e40800e0c00010204e2520c28000f19ef4001012b1485de0010ac9c',
	},
];
for (const { title, wire } of corpus)
	test(`found by fuzzing: ${title}`, (t) =>
		t.deepEqual(
			contexts.map((context) => disagreement(bytes(wire), context)),
			contexts.map(() => undefined),
		));
