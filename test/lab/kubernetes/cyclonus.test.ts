import test from 'ava';
import { resultsOf } from '../../../lab/kubernetes/cyclonus.ts';
import { figuresOf, readCyclonus } from '../../../lab/kubernetes/cyclonus-log.ts';

/** A table of cyclonus with two pods: a cell for each pair, in it a verdict for each port. */
const table = (xx: string, xy: string, yx: string, yy: string) => `+--------+-----+-----+
| TCP/80 | X/A | Y/A |
| UDP/80 |     |     |
+--------+-----+-----+
| x/a    | ${xx} | ${xy} |
+--------+-----+-----+
| y/a    | ${yx} | ${yy} |
+--------+-----+-----+`;

const right = `starting test case #1
level=info msg="running kube probe on try 1"
evaluating test case: direction,ingress
step 1 on all available ports/protocols:
0 wrong, 2 ignored, 2 correct
${table('. .', '. X', '. .', 'X X')}

finished policy #1
`;

const wrong = `starting test case #2
level=info msg="running kube probe on try 1"
level=info msg="running kube probe on try 1"
level=info msg="running kube probe on try 2"
evaluating test case: action,create-policy
step 1 on all available ports/protocols:
0 wrong, 2 ignored, 2 correct
${table('. .', '. .', '. .', '. .')}

step 2 on all available ports/protocols:
Discrepancy found:1 wrong, 2 ignored, 1 correct
Expected ingress:
${table('. .', '. .', '. .', '. .')}

Expected combined:
${table('X X', '. X', '. .', 'X X')}

kube results, try 0:
${table('. .', 'X X', 'X X', '. .')}

kube results, try 1:
${table('. .', '. .', '. .', '. .')}

finished policy #2
`;

const summary = '\nSummaryTable:\n';
const output = `testing 2 cases\n\n${right}${wrong}${summary}`;

test('each case has its steps, and those that are wrong the cells that differ in the last try', (t) => {
	const all = { TCP: { right: 2, wrong: 0 }, UDP: { right: 2, wrong: 0 } };
	t.deepEqual(readCyclonus(output).cases, [
		{
			number: 1,
			description: 'direction,ingress',
			steps: [{ wrong: 0, right: 2, tries: 1, cells: all, wrongCells: [] }],
		},
		{
			number: 2,
			description: 'action,create-policy',
			steps: [
				{ wrong: 0, right: 2, tries: 1, cells: all, wrongCells: [] },
				{
					...{ wrong: 1, right: 1, tries: 2 },
					cells: { TCP: { right: 2, wrong: 0 }, UDP: { right: 1, wrong: 1 } },
					wrongCells: ['x/a -> y/a UDP/80: expected X, got .'],
				},
			],
		},
	]);
});

test('a step on one port has the protocol in its title, and a table without ports', (t) => {
	const simple = `testing 1 cases
starting test case #1
step 1 on port serve-80-udp, protocol UDP:
1 wrong, 2 ignored, 1 correct
Expected combined:
+-----+-----+-----+
|     | X/A | Y/A |
+-----+-----+-----+
| x/a | .   | X   |
| y/a | .   | .   |
+-----+-----+-----+

kube results, try 0:
+-----+-----+-----+
|     | X/A | Y/A |
+-----+-----+-----+
| x/a | .   | .   |
| y/a | .   | .   |
+-----+-----+-----+

finished policy #1
`;
	t.like(readCyclonus(simple).cases[0]?.steps[0], {
		cells: { UDP: { right: 1, wrong: 1 } },
		wrongCells: ['x/a -> y/a UDP: expected X, got .'],
	});
});

test('probes are added by protocol', (t) => {
	t.like(figuresOf(readCyclonus(output)), {
		...{ planned: 2, cases: 2, steps: 3, retried: 1 },
		cells: { TCP: { right: 6, wrong: 0 }, UDP: { right: 5, wrong: 1 } },
	});
});

test('a case fails with any step, and its reason names the cells', (t) => {
	const results = resultsOf(output);
	t.like(results, { passed: 1, failed: 1, cyclonus: { planned: 2, cases: 2, steps: 3 } });
	t.is(results.failures[0]?.name, 'cyclonus 2: action,create-policy');
	t.regex(results.failures[0]?.reason ?? '', /^step 2: 1 pairs wrong: x\/a -> y\/a UDP\/80/);
});

test('a run that did not end is a failure, with what it did', (t) => {
	const text = `testing 2 cases\n\n${right}starting test case #2\nlevel=fatal msg="no pods"\n`;
	const results = resultsOf(text);
	t.like(results, { passed: 1, failed: 1, cyclonus: { planned: 2, cases: 1, cells: { TCP: { right: 2, wrong: 0 } } } });
	t.regex(results.failures[0]?.reason ?? '', /no pods/);
	t.like(resultsOf(''), { passed: 0, failed: 1 });
});
