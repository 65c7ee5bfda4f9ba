import test from 'ava';
import { grantsNetAdmin } from '../../src/linux/index.ts';

const rows = [
	{ effective: '000001ffffffffff', may: true },
	{ effective: '0000000000001000', may: true },
	{ effective: '00000000a80425fb', may: false },
	{ effective: '0000000000000000', may: false },
];
for (const { effective, may } of rows) {
	test(`effective capabilities ${effective} ${may ? 'grant' : 'do not grant'} CAP_NET_ADMIN`, (t) =>
		t.is(
			grantsNetAdmin(`Name:\tnode\nCapPrm:\t0000000000001000\nCapEff:\t${effective}\nCapBnd:\t000001ffffffffff\n`),
			may,
		));
}

test('without a line about capabilities none is granted', (t) => t.false(grantsNetAdmin('Name:\tnode\n')));
