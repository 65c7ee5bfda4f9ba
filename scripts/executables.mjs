/**
 * npm run build:executables [-- TARGET...]: the CNI plugins and the command as one executable
 * without Node.js, for this machine or for the targets named (linux-x64, linux-x64-musl,
 * linux-arm64, linux-arm64-musl, all), in dist/executables. The runtime is Bun's, from npm, and is
 * kept in ~/.cache/bgpmesh/bun.
 */
import { statSync } from 'node:fs';
import { build } from './lib/build.mjs';
import { buildExecutable, here, runtimes } from './lib/executables.mjs';
import { red, say } from './lib/say.mjs';

const asked = process.argv.slice(2);
const targets = asked.includes('all') ? Object.keys(runtimes) : asked.length === 0 ? [here()] : asked;
const unknown = targets.find((target) => runtimes[target] === undefined);
if (unknown !== undefined) {
	say(`${red('unknown target')} ${unknown}; there are: ${Object.keys(runtimes).join(', ')}, all`);
	process.exit(2);
}
try {
	await build();
	for (const target of targets) {
		const file = await buildExecutable(target);
		say(`${file}: ${(statSync(file).size / 2 ** 20).toFixed(0)} MiB`);
	}
} catch (error) {
	say(`${red('not built')}: ${error.message}`);
	process.exit(1);
}
