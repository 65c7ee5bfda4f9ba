/**
 * `node packages/bgp-packet/dist/test/fuzz-main.js [SEED] [SECONDS|COUNTm] [FILE.jsonl ...]`: fuzzes, by default for a minute with a
 * seed from the clock; `10000000m` is so many messages. Each line of a file is an object whose `hex` is a message with its header. Exit code 1 on a failure.
 */
import { readFileSync } from 'node:fs';

import { fuzz } from './fuzz.ts';
import { bytes } from './support.ts';

const [seed = String(Date.now() & 0x7fffffff), budget = '60', ...files] = process.argv.slice(2);
// Traces of errors that are expected take half the time.
Error.stackTraceLimit = 0;
const messages = files.flatMap((file) =>
	readFileSync(file, 'utf8')
		.split('\n')
		.filter((line) => line !== '')
		// Other fields of a line are ignored.
		.map((line) => JSON.parse(line) as { readonly hex?: unknown })
		.flatMap(({ hex }) => (typeof hex === 'string' && hex.startsWith('ff'.repeat(16)) ? [bytes(hex)] : [])),
);
const limit = budget.endsWith('m') ? { iterations: Number(budget.slice(0, -1)) } : { seconds: Number(budget) };
const { failures } = fuzz({
	seed: Number(seed),
	...limit,
	messages,
	print: (line) => process.stdout.write(`${line}\n`),
});
process.exitCode = failures.length > 0 ? 1 : 0;
