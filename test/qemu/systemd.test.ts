import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { qemuKernel } from '../../lab/qemu/index.ts';
import { bundle } from '../../lab/uml/index.ts';
import { qemuTest } from '../support/qemu.ts';
import { testStatements } from '../support/statements.ts';

const repository = fileURLToPath(new URL('../../../', import.meta.url));

/** Runs `inside/NAME.js` where systemd is the first process; all of its `count` statements hold. */
async function testUnit(t: ExecutionContext, name: string, count: number): Promise<void> {
	t.timeout(900_000);
	const folder = await mkdtemp(join(tmpdir(), 'bgpmesh-systemd-'));
	t.teardown(() => rm(folder, { recursive: true, force: true }));
	const main = await bundle(fileURLToPath(new URL(`inside/${name}.js`, import.meta.url)), folder, 'inside');
	for (const program of ['bgpmeshd', 'bgpmesh'])
		await bundle(join(repository, `bin/${program}.js`), join(folder, program), program);
	for (const part of ['package.json', 'config', 'systemd'])
		await cp(join(repository, part), join(folder, part), { recursive: true });
	const options = { command: process.execPath, args: [main, folder], memoryMiB: 3072, timeoutSeconds: 840 };
	await testStatements(t, qemuKernel('6.12', { isSystemd: true }), options, count);
}

qemuTest('6.12')('the unit under systemd: start, reload, restart, watchdog, limits of memory, journal, stop', (t) =>
	testUnit(t, 'systemd', 10),
);

qemuTest('6.12')('the unit with eBPF under systemd: what is missing without the drop-in, and programs with it', (t) =>
	testUnit(t, 'systemd-ebpf', 4),
);
