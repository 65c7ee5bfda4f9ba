import test from 'ava';
import type { Capability } from 'bgp-packet';

import { describeCapability } from '../../../src/bgp/fsm/capabilities.ts';

const other = (code: number, text: string): Capability => ({
	type: 'unknown',
	code,
	value: Buffer.from(text, 'latin1'),
});

for (const { capability, said } of [
	{ capability: other(73, '\x04leaf\x03lab'), said: 'fqdn leaf.lab' },
	{ capability: other(73, '\x04leaf\x00'), said: 'fqdn leaf' },
	{ capability: other(73, ''), said: 'fqdn ' },
	{ capability: other(73, '\xff\x1b[2J'), said: 'fqdn \\u{1b}[2J' },
	{ capability: other(75, '\x07FRR/8.4'), said: 'software-version FRR/8.4' },
	{ capability: other(128, ''), said: 'old-route-refresh' },
	{ capability: other(200, 'x'), said: 'unknown 200' },
])
	test(`[C25][C231] an unsupported capability is shown as ${JSON.stringify(said)}`, (t) =>
		t.is(describeCapability(capability), said));
