/**
 * `node scripts/columns.mjs`: part of `npm run lint`. Fails for each line of the sources that is
 * longer than `lib/columns.mjs` allows: strings are joined with `+`, comments wrapped.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { longLines } from './lib/columns.mjs';
import { root } from './lib/run.mjs';
import { say } from './lib/say.mjs';

const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', 'src'], {
	cwd: root,
	encoding: 'utf8',
});
const files = listed.split('\n').filter((file) => file.endsWith('.ts') && existsSync(join(root, file)));
const found = files.flatMap((file) =>
	longLines(readFileSync(join(root, file), 'utf8')).map((long) => ({ file, ...long })),
);
for (const { file, line, width, most } of found) say(`${file}:${line}: ${width} columns, at most ${most}`);
say(found.length === 0 ? 'columns: no line is too long' : `columns: ${found.length} lines are too long`);
process.exitCode = found.length === 0 ? 0 : 1;
