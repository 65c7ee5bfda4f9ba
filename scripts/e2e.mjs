/**
 * `npm run e2e [-- OPTIONS]`: sets up missing parts, compiles, and starts a real Kubernetes
 * cluster.
 */
import { join } from 'node:path';
import { buildExecutable, here } from './lib/executables.mjs';
import { handOver, root } from './lib/run.mjs';
import { setUp } from './lib/setup.mjs';

await setUp();
await buildExecutable(here());
const main = join(root, 'dist/lab/kubernetes/main.js');
process.exitCode = await handOver(process.execPath, ['--enable-source-maps', main, ...process.argv.slice(2)]);
