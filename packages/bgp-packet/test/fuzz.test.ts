import test from 'ava';

import { contexts, disagreement } from './agreement.ts';
import { builtInMessages, fuzz } from './fuzz.ts';
import { bytes, hex } from './support.ts';

test('[C230] mutated and generated messages decode or raise PacketError, and both readers agree', (t) => {
	const lines: string[] = [];
	const { failures, outcomes } = fuzz({ seed: 20240611, iterations: 12_000, print: (line) => lines.push(line) });
	t.deepEqual(failures, [], lines.join('\n'));
	// The run means something only if it gets everywhere.
	for (const outcome of ['none', 'attribute-discard', 'treat-as-withdraw', '1/2', '2/0', '3/1', '3/2', '3/5', '3/9', '3/10', '3/11'])
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

/** What fuzzing found once, in hex: it must not come back. */
const corpus: readonly { title: string; wire: string }[] = [];
for (const { title, wire } of corpus)
	test(`found by fuzzing: ${title}`, (t) =>
		t.deepEqual(
			contexts.map((context) => disagreement(bytes(wire), context)),
			contexts.map(() => undefined),
		));
