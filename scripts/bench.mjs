/** `npm run bench [-- SCENARIO... OPTIONS]`: sets up what is missing, compiles, and starts the benchmark. */
import { join } from 'node:path';
import { handOver, root } from './lib/run.mjs';
import { setUp } from './lib/setup.mjs';

await setUp();
process.exitCode = await handOver(process.execPath, ['--enable-source-maps', join(root, 'dist/bench/main.js'), ...process.argv.slice(2)]);
