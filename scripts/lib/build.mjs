import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { bundleClient } from './bundle-client.mjs';
import { bundleDaemon } from './bundle-daemon.mjs';
import { bundlePlugin } from './bundle-plugin.mjs';
import { root, run } from './run.mjs';
import { say } from './say.mjs';

const outputs = [
	{ compiled: 'dist', source: '.' },
	{ compiled: 'packages/bgp-packet/dist', source: 'packages/bgp-packet' },
];

/**
 * Compiles changed sources, bundles the CNI plugin and the used parts of @kubernetes/client-node
 * into one file each and the daemon for packages, and removes the output of deleted sources (a
 * deleted test would run for ever). @throws Error when it does not compile
 */
export async function build() {
	say('compiling (tsc -b)');
	const { status, text } = await run(join(root, 'node_modules/.bin/tsc'), ['-b'], { stdout: 'capture' });
	if (status !== 0) throw new Error(`it does not compile:\n${text.trimEnd()}`);
	for (const { compiled, source } of outputs) {
		const folder = join(root, compiled);
		if (!existsSync(folder)) continue;
		for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
			if (file.endsWith('.js') && !existsSync(join(root, source, file.replace(/\.js$/, '.ts'))))
				rmSync(join(folder, file));
		}
	}
	await Promise.all([bundlePlugin(), bundleClient(), bundleDaemon()]);
}
