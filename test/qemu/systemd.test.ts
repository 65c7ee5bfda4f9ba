import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runInGuest } from '../../lab/guest/index.ts';
import { qemuKernel } from '../../lab/qemu/index.ts';
import { bundle } from '../../lab/uml/index.ts';
import { qemuTest } from '../support/qemu.ts';

const repository = fileURLToPath(new URL('../../../', import.meta.url));

qemuTest('6.12')(
	'the unit under systemd: start, reload, restart, watchdog, limit of memory, journal, stop',
	async (t) => {
		t.timeout(900_000);
		const folder = await mkdtemp(join(tmpdir(), 'bgpmesh-systemd-'));
		t.teardown(() => rm(folder, { recursive: true, force: true }));
		const main = await bundle(fileURLToPath(new URL('inside/systemd.js', import.meta.url)), folder, 'inside');
		for (const name of ['bgpmeshd', 'bgpmesh'])
			await bundle(join(repository, `bin/${name}.js`), join(folder, name), name);
		for (const name of ['package.json', 'config', 'systemd'])
			await cp(join(repository, name), join(folder, name), { recursive: true });
		const text = { stdout: '', stderr: '' };
		const { exitCode } = await runInGuest(qemuKernel('6.12', { isSystemd: true }), {
			command: process.execPath,
			args: [main, folder],
			memoryMiB: 2048,
			timeoutSeconds: 840,
			onOutput: (stream, chunk) => {
				text[stream] += Buffer.from(chunk).toString();
			},
		});
		const said = text.stdout
			.split('\n')
			.filter((line) => line !== '')
			.map((line) => JSON.parse(line) as { readonly title: string; readonly problem?: string });
		for (const { title, problem } of said) t.log(problem === undefined ? '✔' : '✘', title, problem ?? '');
		t.is(exitCode, 0, text.stderr);
		t.is(said.length, 7);
		for (const { title, problem } of said) t.is(problem, undefined, title);
	},
);
