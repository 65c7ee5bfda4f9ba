import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { repository } from '../../bench/compile.ts';
import { launchOf } from '../../bench/fib/launch.ts';

test('the options and the environment of a script are those of its first line', (t) => {
	t.deepEqual(launchOf('#!/usr/bin/env -S ONE=1 TWO=a=b node --first --second=2\n// node --third\n'), {
		options: ['--first', '--second=2'],
		env: { ONE: '1', TWO: 'a=b' },
	});
	t.deepEqual(launchOf('#!/usr/bin/env node\n'), { options: [], env: {} });
});

test('the benchmark finds the options of the daemon', (t) => {
	const { options, env } = launchOf(readFileSync(join(repository, 'bin/bgpmeshd.js'), 'utf8'));
	t.true(options.some((option) => option.startsWith('--max-semi-space-size=')));
	t.true('MALLOC_MMAP_THRESHOLD_' in env);
});
