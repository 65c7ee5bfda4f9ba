import test from 'ava';
import { counted } from '../../lab/scenarios.ts';

test('long work reports each tenth of its items once', (t) => {
	const lines: string[] = [];
	const ended = counted('pods attached', 30, (text) => lines.push(text));
	for (let pod = 0; pod < 30; pod++) ended(1);
	t.is(lines.length, 10);
	t.is(lines[0], 'pods attached: 3 of 30');
	t.is(lines.at(-1), 'pods attached: 30 of 30');
});

test('items that complete together make one line, and few items one each', (t) => {
	const lines: string[] = [];
	const pinged = counted('pods pinged', 25, (text) => lines.push(text));
	for (const more of [10, 10, 5]) pinged(more);
	t.deepEqual(lines, ['pods pinged: 10 of 25', 'pods pinged: 20 of 25', 'pods pinged: 25 of 25']);
});
