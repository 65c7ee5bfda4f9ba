import test from 'ava';
import { type PrefixKey, prefixKey } from '../../src/core/index.ts';
import { isGivable, nextAddress, rangeGateway, uselessRange } from '../../src/ipam/index.ts';

const range = prefixKey('10.244.1.0/29');
/** Assigns as many addresses as requested, one after the other. */
function giveAll(cidr: PrefixKey, most: number): string[] {
	const given: string[] = [];
	for (;;) {
		const address = nextAddress(cidr, (candidate) => given.includes(candidate), given.at(-1));
		if (address === undefined || given.length === most) return given;
		given.push(address);
	}
}

test('a range is assigned from its third to its second-last address, each once', (t) => {
	t.deepEqual(giveAll(range, 100), ['10.244.1.2', '10.244.1.3', '10.244.1.4', '10.244.1.5', '10.244.1.6']);
});

test('an IPv6 range has no broadcast address', (t) => {
	t.deepEqual(giveAll(prefixKey('fd00:1::/125'), 100), [
		'fd00:1::2',
		'fd00:1::3',
		'fd00:1::4',
		'fd00:1::5',
		'fd00:1::6',
		'fd00:1::7',
	]);
	t.deepEqual(giveAll(prefixKey('fd00:1::/64'), 2), ['fd00:1::2', 'fd00:1::3']);
});

test('a released address is reused only after the rest of the range', (t) => {
	const isTaken = (address: string) => address === '10.244.1.5';
	t.is(nextAddress(range, isTaken, '10.244.1.4'), '10.244.1.6');
	t.is(nextAddress(range, isTaken, '10.244.1.6'), '10.244.1.2');
	t.is(
		nextAddress(range, () => true, '10.244.1.4'),
		undefined,
	);
});

for (const last of ['10.9.0.1', '10.244.1.0', '10.244.1.7', undefined]) {
	test(`assignment starts at the begin of the range if the last assigned address is ${last ?? 'not known'}`, (t) => {
		t.is(
			nextAddress(range, () => false, last),
			'10.244.1.2',
		);
	});
}

for (const [cidr, useless] of [
	['10.244.1.0/30', false],
	['10.244.1.0/31', true],
	['10.244.1.0/32', true],
	['fd00:1::/127', true],
	['fd00:1::/126', false],
] as const) {
	test(`${cidr} ${useless ? 'has no address to assign, and is reported as too small' : 'has an address to assign'}`, (t) => {
		t.is(giveAll(prefixKey(cidr), 1).length, useless ? 0 : 1);
		t.is(uselessRange(prefixKey(cidr)) !== undefined, useless);
	});
}

test('the same addresses can be requested and assigned', (t) => {
	t.deepEqual(
		['10.244.1.0', '10.244.1.1', '10.244.1.2', '10.244.1.6', '10.244.1.7', '10.244.1.8'].map((address) =>
			isGivable(range, address),
		),
		[false, false, true, true, false, false],
	);
	t.is(rangeGateway(range), '10.244.1.1');
});
