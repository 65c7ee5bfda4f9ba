import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle, runInUml } from '../../lab/uml/index.ts';
import { umlTest } from '../support/uml.ts';

/** Verifiers of newer kernels accept more: each program is loaded by an older one, too. */
umlTest('the kernel of user-mode-linux accepts the programs and gives the verdicts of evaluate', async (t) => {
	t.timeout(300_000);
	const seed = Math.floor(Math.random() * 2 ** 31);
	t.log(`seed ${seed}`);
	const folder = await mkdtemp(join(tmpdir(), 'bgpmesh-ebpf-'));
	t.teardown(() => rm(folder, { recursive: true, force: true }));
	const file = await bundle(fileURLToPath(new URL('inside/verdicts.js', import.meta.url)), folder);
	const text = { stdout: '', stderr: '' };
	const { exitCode } = await runInUml({
		command: process.execPath,
		args: [file, '25', String(seed)],
		timeoutSeconds: 200,
		onOutput: (stream, chunk) => {
			text[stream] += Buffer.from(chunk).toString();
		},
	});
	t.is(exitCode, 0, text.stderr);
	const result = JSON.parse(text.stdout) as {
		packets: number;
		allowed: number;
		problem?: string;
		largest: number[];
	};
	t.log(result);
	t.is(result.problem, undefined);
	t.is(result.packets, 1000);
	t.true(result.allowed > 0 && result.allowed < result.packets);
	t.deepEqual(result.largest, [1000, 4000], 'rules of one policy');
});
