/**
 * `npm run e2e [-- OPTIONS]`: sets up missing parts, compiles, and starts a real Kubernetes
 * cluster; `--cyclonus` builds cyclonus, the first time.
 */
import { join } from 'node:path';
import { buildExecutable, here } from './lib/executables.mjs';
import { handOver, root, run } from './lib/run.mjs';
import { setUp } from './lib/setup.mjs';

await setUp();
if (process.argv.includes('--cyclonus')) {
	const { status } = await run(process.execPath, [join(root, 'scripts/setup-cyclonus.mjs')]);
	if (status !== 0) process.exit(1);
}
await buildExecutable(here());
const main = join(root, 'dist/lab/kubernetes/main.js');
process.exitCode = await handOver(process.execPath, ['--enable-source-maps', main, ...process.argv.slice(2)]);
