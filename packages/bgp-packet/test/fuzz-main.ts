/**
 * `node packages/bgp-packet/dist/test/fuzz-main.js [SEED] [SECONDS] [FILE.jsonl ...]`: fuzzes, by default for a minute with a
 * seed from the clock. Each line of a file is an object whose `hex` is a message with its header. Exit code 1 on a failure.
 */
import { readFileSync } from 'node:fs';

import { fuzz } from './fuzz.ts';
import { bytes } from './support.ts';

const [seed = String(Date.now() & 0x7fffffff), seconds = '60', ...files] = process.argv.slice(2);
const messages = files.flatMap((file) =>
	readFileSync(file, 'utf8')
		.split('\n')
		.filter((line) => line !== '')
		// Whatever else a line holds is not looked at.
		.map((line) => JSON.parse(line) as { readonly hex?: unknown })
		.flatMap(({ hex }) => (typeof hex === 'string' && hex.startsWith('ff'.repeat(16)) ? [bytes(hex)] : [])),
);
const { failures } = fuzz({ seed: Number(seed), seconds: Number(seconds), messages, print: (line) => process.stdout.write(`${line}\n`) });
process.exitCode = failures.length > 0 ? 1 : 0;
