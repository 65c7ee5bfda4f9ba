/**
 * `npm run fuzz`: sets up missing parts, compiles, and fuzzes codec, speaker, readers of resources
 * and HTTP entries. Real messages are read from the shared vectors if these are present.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { handOver, root } from './lib/run.mjs';
import { setUp } from './lib/setup.mjs';

const usage = `Usage: npm run fuzz [-- SEED [SECONDS|COUNTm]]

Feeds the codec mutated and generated messages, by default for a minute with a seed from the clock, which it prints; then a speaker whole
sessions with reordered, malformed and cut-off input, for a quarter of that time; then the readers of Kubernetes objects with absurd values,
and the HTTP entries (control socket, metrics port, API server) with malformed requests, for an eighth of it each, and prints the counts. Exit code 1 on a failure, which is printed with its bytes.

  npm run fuzz                      # a minute
  npm run fuzz -- 7 600             # ten minutes, with a seed that was printed
  npm run fuzz -- 7 10000000m       # ten million messages`;

const given = process.argv.slice(2);
if (given.includes('--help') || given.includes('-h')) {
	process.stdout.write(`${usage}\n`);
	process.exit(0);
}
if (given.length > 2 || !/^\d+$/.test(given[0] ?? '0') || !/^\d+m?$/.test(given[1] ?? '0')) {
	process.stderr.write(`not a seed and a number of seconds or messages: ${given.join(' ')}\n\n${usage}\n`);
	process.exit(2);
}
const [seed = String(Date.now() & 0x7fffffff), budget = '60'] = given;
const vectors = join(process.env['BGPMESH_SHARED_DATA'] ?? join(root, '../shared/data'), 'vectors');
const files = existsSync(vectors) ? readdirSync(vectors).map((name) => join(vectors, name)) : [];

await setUp();
const codec = await handOver(process.execPath, [
	'--enable-source-maps',
	join(root, 'packages/bgp-packet/dist/test/fuzz-main.js'),
	seed,
	budget,
	...files,
]);
process.env['BGPMESH_FUZZ_SEED'] = seed;
process.env['BGPMESH_FUZZ_SECONDS'] = String(budget.endsWith('m') ? 60 : Math.max(10, Number(budget) / 4));
const sessions = await handOver(join(root, 'node_modules/.bin/ava'), [
	join(root, 'dist/test/bgp/conformance/hostile-sessions.test.js'),
]);
const entries = await handOver(process.execPath, [
	'--enable-source-maps',
	join(root, 'dist/test/fuzz/main.js'),
	seed,
	budget,
]);
process.exitCode = codec || sessions || entries;
