import test from 'ava';
import { parseCommand } from '../../lab/options.ts';

const rows: readonly { argv: readonly string[]; means: unknown }[] = [
	{
		argv: [],
		means: { type: 'run', options: { mode: 'mesh', static: false, keep: false, json: false, scenarios: [] } },
	},
	{
		argv: ['--reflector', '--json'],
		means: { type: 'run', options: { mode: 'reflector', static: false, keep: false, json: true, scenarios: [] } },
	},
	{
		argv: ['--scenario', 'crash', '--keep', '--logs', '/tmp/x'],
		means: {
			type: 'run',
			options: { mode: 'mesh', static: false, keep: true, json: false, scenarios: ['crash'], logs: '/tmp/x' },
		},
	},
	{
		argv: ['--static'],
		means: { type: 'run', options: { mode: 'mesh', static: true, keep: false, json: false, scenarios: [] } },
	},
	{
		argv: ['exec', 'node-a', 'ip', 'route', '--json'],
		means: { type: 'exec', namespace: 'node-a', command: ['ip', 'route', '--json'] },
	},
];
for (const { argv, means } of rows)
	test(`'${argv.join(' ')}' is accepted`, (t) =>
		t.deepEqual(parseCommand(argv), means as ReturnType<typeof parseCommand>));

for (const argv of [
	['--mesh'],
	['--static', '--scenario', 'mesh-to-reflector'],
	['--static', '--scenario', 'policy'],
	['--kernel', 'uml', '--scenario', 'policy'],
	['--reflector', '--scenario', 'mesh-to-reflector'],
	['--scenario', 'flood'],
	['exec', 'node-a'],
	['exec'],
	['surplus'],
]) {
	test(`'${argv.join(' ')}' is refused`, (t) => t.is(parseCommand(argv).type, 'wrong'));
}
