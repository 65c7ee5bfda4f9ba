import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runInGuest } from '../../lab/guest/index.ts';
import { kernelSeries, qemuKernel } from '../../lab/qemu/index.ts';
import { bundle } from '../../lab/uml/index.ts';
import { qemuTest } from '../support/qemu.ts';

for (const series of kernelSeries)
	qemuTest(series)(`kernel ${series} accepts the eBPF programs and gives the verdicts of evaluate`, async (t) => {
		t.timeout(500_000);
		const folder = await mkdtemp(join(tmpdir(), 'bgpmesh-ebpf-'));
		t.teardown(() => rm(folder, { recursive: true, force: true }));
		const inside = fileURLToPath(new URL('../ebpf/inside/verdicts.js', import.meta.url));
		const file = await bundle(inside, folder);
		const text = { stdout: '', stderr: '' };
		const seed = Math.floor(Math.random() * 2 ** 31);
		t.log(`seed ${seed}`);
		const { exitCode } = await runInGuest(qemuKernel(series), {
			command: process.execPath,
			args: [file, '25', String(seed)],
			timeoutSeconds: 450,
			onOutput: (stream, chunk) => {
				text[stream] += Buffer.from(chunk).toString();
			},
		});
		t.is(exitCode, 0, text.stderr);
		const result = JSON.parse(text.stdout) as {
			packets: number;
			allowed: number;
			problem?: string;
			directions: string[];
			largest: number[];
		};
		t.log(result);
		t.is(result.problem, undefined);
		t.is(result.packets, 500 * result.directions.length);
		t.deepEqual(result.directions, series === '5.10' ? ['egress'] : ['ingress', 'egress']);
		t.true(result.allowed > 0 && result.allowed < result.packets);
		t.deepEqual(result.largest, [1000, 4000], 'rules of one policy');
	});
