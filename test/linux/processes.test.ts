import { spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { isServiceActive, processesNamed, systemEnvironment } from '../../src/linux/index.ts';
import { eventually } from '../support/eventually.ts';
import { noNamespaces } from '../support/namespace.ts';

const names = new Set(['calico-felix']);

/** A process of that name, which sleeps; `before` is put before its command. */
function start(t: ExecutionContext, before: readonly string[] = []): number {
	const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-processes-'));
	t.teardown(() => rmSync(folder, { recursive: true }));
	const path = join(folder, 'calico-felix');
	copyFileSync('/bin/sleep', path);
	const [command = '', ...words] = [...before, path, '600'];
	const child = spawn(command, words, { stdio: 'ignore', env: systemEnvironment() });
	t.teardown(() => child.kill('SIGKILL'));
	return child.pid ?? 0;
}

test.serial('a process is found by its name, with its command line', async (t) => {
	const pid = start(t);
	const found = async () => (await processesNamed(names)).find((each) => each.pid === pid);
	await eventually('the program is executed', () => commandOf(pid).endsWith('calico-felix'));
	const { name, words } = (await found()) ?? {};
	t.is(name, 'calico-felix');
	t.is(words?.at(-1), '600');
	t.deepEqual(
		(await processesNamed(new Set(['calico-node']))).filter((each) => each.pid === pid),
		[],
	);
});

if (noNamespaces !== undefined) {
	console.warn(`SKIPPED: a process in another network namespace: ${noNamespaces}`);
	test.skip('a process in another network namespace is not found', () => {});
} else
	test.serial('a process in another network namespace is not found', async (t) => {
		const near = start(t);
		const far = start(t, ['unshare', '-n']);
		const found = async () => (await processesNamed(names)).map(({ pid }) => pid);
		// `unshare` executes the program in its own process.
		for (const pid of [near, far])
			await eventually('the program is executed', () => commandOf(pid).endsWith('calico-felix'));
		t.true((await found()).includes(near));
		t.false((await found()).includes(far));
	});

test.serial('a unit that does not exist is not active', async (t) => {
	t.false(await isServiceActive('bgpmesh-absent.service'));
});

const commandOf = (pid: number): string => readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0] ?? '';
