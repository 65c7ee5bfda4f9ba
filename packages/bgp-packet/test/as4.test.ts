import test from 'ava';

import {
	type AsPath,
	asPathLength,
	decodeAttributes,
	encodeAttributes,
	mergeAs4Path,
	type PathAttributes,
	packetContext,
} from '../src/index.ts';
import { bytes, hex, mandatory, pieces, remedyOf, update } from './support.ts';

const old = packetContext({ fourOctetAs: false });
const modern = packetContext();
const sequence = (...asNumbers: number[]): AsPath => [{ type: 'sequence', asNumbers }];
const decoded = (wire: string, context = old) => decodeAttributes(bytes(wire), context);

test('[C142] between speakers of 4-octet AS numbers paths have 4 octets, and AS4 attributes are dropped', (t) => {
	const { attributes, problems } = decoded(
		'40 02 06 02 01 00011170 c0 11 06 02 01 00011171 c0 12 08 00011171 0a000001',
		modern,
	);
	t.deepEqual(attributes, { asPath: sequence(70000) });
	t.deepEqual(
		problems.map(({ remedy }) => remedy),
		['attribute-discard', 'attribute-discard'],
	);
	t.is(hex(encodeAttributes(attributes, modern)), '400206020100011170');
});

test('[C143] [C148] towards an old speaker large numbers become 23456 and AS4_PATH has the real path', (t) => {
	const attributes: PathAttributes = { asPath: sequence(65000, 70000) };
	t.is(hex(encodeAttributes(attributes, old)), hex(bytes('40 02 06 02 02 fde8 5ba0 c0 11 0a 02 02 0000fde8 00011170')));
	t.is(hex(encodeAttributes(attributes, modern)), hex(bytes('40 02 0a 02 02 0000fde8 00011170')));
});

test('[C143] AS4_PATH is not sent where all numbers fit, and has no confederation segments', (t) => {
	t.is(hex(encodeAttributes({ asPath: sequence(65000, 65535) }, old)), hex(bytes('40 02 06 02 02 fde8 ffff')));
	const confederation: AsPath = [{ type: 'confed-sequence', asNumbers: [65001] }, ...sequence(70000)];
	t.is(
		hex(encodeAttributes({ asPath: confederation }, old)),
		hex(bytes('40 02 08 03 01 fde9 02 01 5ba0 c0 11 06 02 01 00011170')),
	);
});

test('[C144] AGGREGATOR towards an old speaker is mapped, with AS4_AGGREGATOR beside it', (t) => {
	const aggregator = { asNumber: 70000, routerId: 0x0a000001 };
	t.is(hex(encodeAttributes({ aggregator }, old)), hex(bytes('c0 07 06 5ba0 0a000001 c0 12 08 00011170 0a000001')));
	t.is(
		hex(encodeAttributes({ aggregator: { ...aggregator, asNumber: 65000 } }, old)),
		hex(bytes('c0 07 06 fde8 0a000001')),
	);
	t.deepEqual(decoded('c0 07 06 5ba0 0a000001 c0 12 08 00011170 0a000001').attributes, { aggregator });
});

test('[C145] an AGGREGATOR other than 23456 makes both AS4 attributes old', (t) => {
	const { attributes } = decoded(
		'40 02 06 02 02 fde8 5ba0 c0 07 06 fde8 0a000001 c0 11 0a 02 02 0000fde8 00011170 c0 12 08 00011170 0a000002',
	);
	t.deepEqual(attributes, { asPath: sequence(65000, 23456), aggregator: { asNumber: 65000, routerId: 0x0a000001 } });
});

const merges: readonly { title: string; path: AsPath; as4: AsPath; merged: AsPath }[] = [
	{ title: 'equal lengths', path: sequence(23456, 23456), as4: sequence(70000, 80000), merged: sequence(70000, 80000) },
	{ title: 'a longer AS_PATH', path: sequence(1, 2, 23456), as4: sequence(70000), merged: sequence(1, 2, 70000) },
	{ title: 'a shorter AS_PATH', path: sequence(23456), as4: sequence(70000, 80000), merged: sequence(23456) },
	{
		title: 'a set in front',
		path: [{ type: 'set', asNumbers: [1, 2] }, ...sequence(23456)],
		as4: sequence(70000),
		merged: [{ type: 'set', asNumbers: [1, 2] }, ...sequence(70000)],
	},
	{
		title: 'a set that counts one',
		path: [...sequence(5), { type: 'set', asNumbers: [1, 2, 3] }],
		as4: [{ type: 'set', asNumbers: [70000, 80000] }],
		merged: [...sequence(5), { type: 'set', asNumbers: [70000, 80000] }],
	},
	{
		title: 'a leading confederation segment, which is kept',
		path: [{ type: 'confed-sequence', asNumbers: [65001] }, ...sequence(7, 23456)],
		as4: sequence(70000),
		merged: [{ type: 'confed-sequence', asNumbers: [65001] }, ...sequence(7, 70000)],
	},
];
for (const { title, path, as4, merged } of merges)
	test(`[C146] merging with ${title}`, (t) => t.deepEqual(mergeAs4Path(path, as4), merged));

test('[C146] a path survives an old speaker', (t) => {
	const attributes: PathAttributes = {
		asPath: [...sequence(65000, 70000, 23456, 4200000000), { type: 'set', asNumbers: [1, 80000] }],
	};
	t.deepEqual(decodeAttributes(encodeAttributes(attributes, old), old), { attributes, problems: [] });
});

test('the length of a path counts a set as one and confederations as none', (t) => {
	t.is(
		asPathLength([
			{ type: 'confed-sequence', asNumbers: [1, 2] },
			...sequence(3, 4),
			{ type: 'set', asNumbers: [5, 6, 7] },
			{ type: 'confed-set', asNumbers: [8] },
		]),
		3,
	);
});

const broken: readonly { title: string; wire: string }[] = [
	{ title: '[C147] an empty AS4_PATH', wire: 'c0 11 00' },
	{ title: '[C147] an AS4_PATH of an unknown segment type', wire: 'c0 11 06 07 01 00011170' },
	{ title: '[C147] an AS4_PATH that runs over', wire: 'c0 11 06 02 02 00011170' },
	{ title: '[C115] an AS4_PATH with AS 0', wire: 'c0 11 06 02 01 00000000' },
	{ title: '[C147] an AS4_AGGREGATOR of 6 octets', wire: 'c0 12 06 fde8 0a000001' },
	{ title: '[C115] an AS4_AGGREGATOR with AS 0', wire: 'c0 12 08 00000000 0a000001' },
];
for (const { title, wire } of broken) {
	test(`${title} is discarded, the rest stands`, (t) => {
		const attributes = `${pieces.origin} 40 02 04 02 01 5ba0 ${pieces.nextHop} ${wire}`;
		t.is(remedyOf(update({ attributes, nlri: pieces.nlri }), old), 'attribute-discard');
		t.deepEqual(decoded(attributes).attributes.asPath, sequence(23456));
	});
}

test('[C147] confederation segments of AS4_PATH are dropped', (t) => {
	t.deepEqual(decoded('40 02 04 02 01 5ba0 c0 11 0c 03 01 0000fde9 02 01 00011170').attributes.asPath, sequence(70000));
});

test('[C123] AGGREGATOR has 6 octets from an old speaker', (t) => {
	const path = `${pieces.origin} 40 02 04 02 01 fde8 ${pieces.nextHop}`;
	t.is(remedyOf(update({ attributes: `${path} c0 07 06 fde8 0a000001`, nlri: pieces.nlri }), old), 'none');
	t.is(
		remedyOf(update({ attributes: `${path} c0 07 08 0000fde8 0a000001`, nlri: pieces.nlri }), old),
		'attribute-discard',
	);
	t.is(remedyOf(update({ attributes: `${mandatory} c0 07 08 0000fde8 0a000001`, nlri: pieces.nlri }), modern), 'none');
});
