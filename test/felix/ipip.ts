import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { GuestKernel } from '../../lab/guest/index.ts';
import { bundle, findCommand } from '../../lab/uml/index.ts';
import { testStatements } from '../support/statements.ts';
import { felixProgram, missingFelix } from './felix.ts';

const repository = fileURLToPath(new URL('../../../', import.meta.url));
const statements = 9;

/**
 * The test of IPIP beside Felix, in a kernel with ipip. `backend`: the kind of iptables that it has;
 * without nftables (`legacy`) our node has no guard.
 */
export function testIpip(kernel: GuestKernel, backend: 'nft' | 'legacy'): void {
	const obstacle =
		kernel.missing() ?? missingFelix() ?? (findCommand('bird') === undefined ? 'install: bird2' : undefined);
	if (obstacle !== undefined) console.warn(`SKIPPED: Felix and IPIP in ${kernel.name}: ${obstacle}`);
	(obstacle === undefined ? test.serial : test.serial.skip)(
		'a node of ours and a node with Felix and BIRD exchange packets over IPIP, and neither disturbs the other',
		async (t) => {
			t.timeout(900_000);
			const folder = await mkdtemp(join(tmpdir(), 'bgpmesh-felix-ipip-'));
			t.teardown(() => rm(folder, { recursive: true, force: true }));
			// The API server reads the definitions of resources in its parent folder.
			const inside = fileURLToPath(new URL('inside/ipip.js', import.meta.url));
			const main = await bundle(inside, join(folder, 'inside'));
			const daemon = await bundle(join(repository, 'bin/bgpmeshd.js'), join(folder, 'bgpmeshd'));
			for (const name of ['package.json', 'config'])
				await cp(join(repository, name), join(folder, name), { recursive: true });
			const options = {
				command: process.execPath,
				args: [main, daemon, felixProgram(), backend],
				memoryMiB: 2048,
				timeoutSeconds: 840,
			};
			await testStatements(t, kernel, options, statements);
		},
	);
}
