/**
 * `npm run fuzz [-- SEED [SECONDS]]`: sets up what is missing, compiles, and feeds the codec mutated and generated messages, by default
 * for a minute with a seed from the clock, which it prints. Real messages come from the shared vectors where these are present.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { handOver, root } from './lib/run.mjs';
import { setUp } from './lib/setup.mjs';

const [seed = String(Date.now() & 0x7fffffff), seconds = '60'] = process.argv.slice(2);
const vectors = join(process.env['BGPMESH_SHARED_DATA'] ?? join(root, '../shared/data'), 'vectors');
const files = existsSync(vectors) ? readdirSync(vectors).map((name) => join(vectors, name)) : [];

await setUp();
process.exitCode = await handOver(process.execPath, [
	'--enable-source-maps',
	join(root, 'packages/bgp-packet/dist/test/fuzz-main.js'),
	seed,
	seconds,
	...files,
]);
