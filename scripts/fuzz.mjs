/**
 * `npm run fuzz [-- SEED [SECONDS|COUNTm]]`: sets up what is missing, compiles, and feeds the codec mutated and generated messages, by default
 * for a minute with a seed from the clock, which it prints; then a speaker whole sessions with reordered, malformed and cut-off input,
 * for a quarter of that time. `10000000m` is so many messages. Real messages come from the shared vectors where these are present.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { handOver, root } from './lib/run.mjs';
import { setUp } from './lib/setup.mjs';

const [seed = String(Date.now() & 0x7fffffff), budget = '60'] = process.argv.slice(2);
const vectors = join(process.env['BGPMESH_SHARED_DATA'] ?? join(root, '../shared/data'), 'vectors');
const files = existsSync(vectors) ? readdirSync(vectors).map((name) => join(vectors, name)) : [];

await setUp();
const codec = await handOver(process.execPath, ['--enable-source-maps', join(root, 'packages/bgp-packet/dist/test/fuzz-main.js'), seed, budget, ...files]);
process.env['BGPMESH_FUZZ_SEED'] = seed;
process.env['BGPMESH_FUZZ_SECONDS'] = String(budget.endsWith('m') ? 60 : Math.max(10, Number(budget) / 4));
const sessions = await handOver(join(root, 'node_modules/.bin/ava'), [join(root, 'dist/test/bgp/conformance/hostile-sessions.test.js')]);
process.exitCode = codec || sessions;
