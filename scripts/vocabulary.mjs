/**
 * `node scripts/vocabulary.mjs`: part of `npm run lint`. Fails for each unwanted word
 * (lib/vocabulary.mjs) in a comment, a string or a document, and prints every place.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { proseOf } from './lib/prose.mjs';
import { root } from './lib/run.mjs';
import { say } from './lib/say.mjs';
import { insteadOf, unwantedWords } from './lib/vocabulary.mjs';

/** Data, words of other projects, and the list itself. */
const excluded = /(^|\/)(testdata|golden|vectors|node_modules)\/|vocabulary|^config\/(crds|kubernetes)\//;

const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
	cwd: root,
	encoding: 'utf8',
})
	.split('\n')
	.filter((file) => file !== '' && !excluded.test(file) && existsSync(join(root, file)));
const found = files.flatMap((file) =>
	[...proseOf(file, readFileSync(join(root, file), 'utf8'))].flatMap((prose) =>
		unwantedWords(prose).map(({ line, word }) => ({ file, line, word })),
	),
);
for (const { file, line, word } of found) say(`${file}:${line}: '${word}': ${insteadOf(word)}`);
say(found.length === 0 ? 'vocabulary: no unwanted words' : `vocabulary: ${found.length} unwanted words`);
process.exitCode = found.length === 0 ? 0 : 1;
