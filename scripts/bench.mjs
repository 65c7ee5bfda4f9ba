/**
 * `npm run bench [-- SCENARIO... OPTIONS]`: sets up missing parts, Debian unstable for `NAME@sid`
 * included, compiles, bundles the daemon, and starts the benchmark.
 */
import { join } from 'node:path';
import { bundleDaemon } from './lib/bundle-daemon.mjs';
import { handOver, root } from './lib/run.mjs';
import { setUp } from './lib/setup.mjs';

await setUp();
await bundleDaemon();
// Debian unstable is built at its first use.
if (process.argv.slice(2).some((word) => word.includes('@sid'))) {
	const status = await handOver(process.execPath, [join(root, 'scripts/setup-peers.mjs')]);
	if (status !== 0) process.exit(status);
}
process.exitCode = await handOver(process.execPath, [
	'--enable-source-maps',
	join(root, 'dist/bench/main.js'),
	...process.argv.slice(2),
]);
