import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { StandInServer } from './stand-in-server.ts';
import { nodeName, type WorldSize } from './world.ts';

const daemon = join(resolve(fileURLToPath(import.meta.url), '../../../..'), 'bin/bgpmeshd.js');

export interface DaemonFigures {
	/** From the start of the process until its policy is in the kernel, s. */
	readonly enforcedSeconds: number;
	/** The most that it ever had in memory, until then and a minute later. */
	readonly peakMib: number;
	/** A minute after that. */
	readonly residentMib: number;
	/** Without what it shares with other processes: the executable and its libraries. */
	readonly ownMib: number;
}

/**
 * A whole daemon at one node of a cluster: it lists everything, computes and enforces. Policy goes into the kernel of the current
 * network namespace.
 */
export async function measureDaemon(size: WorldSize): Promise<DaemonFigures> {
	const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-bench-policy-'));
	const server = new StandInServer(size);
	writeFileSync(join(folder, 'kubeconfig'), await server.listen(), { mode: 0o600 });
	writeFileSync(
		join(folder, 'bgpmeshd.yaml'),
		`node: ${nodeName(0)}
datastore: { type: kubernetes, kubeconfig: ${folder}/kubeconfig }
bgp: { asNumber: 64512, listen: { address: 127.7.0.1, port: 11791 } }
fib: { enabled: false }
networkPolicy: { enforce: true }
control: { socket: ${folder}/control.sock }
log: { format: text }
`,
	);
	const startedMs = performance.now();
	// As it is: its first line names options of Node.js.
	const child = spawn(daemon, ['--config', join(folder, 'bgpmeshd.yaml')], {
		stdio: ['ignore', 'ignore', 'pipe'],
	});
	try {
		let log = '';
		await new Promise<void>((ready, failed) => {
			child.stderr.setEncoding('utf8').on('data', (text: string) => {
				log += text;
				if (process.env['BENCH_LOG'] !== undefined) process.stderr.write(text);
				if (log.includes('network policy read back and corrected')) ready();
			});
			child.once('exit', () => failed(new Error(`the daemon ended:\n${log}`)));
		});
		const enforcedSeconds = (performance.now() - startedMs) / 1000;
		await pause(60_000);
		const read = (name: string) => readFileSync(`/proc/${child.pid ?? 0}/${name}`, 'utf8');
		const mib = (text: string, field: string) =>
			Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? Number.NaN) / 1024;
		return {
			enforcedSeconds,
			peakMib: mib(read('status'), 'VmHWM'),
			residentMib: mib(read('status'), 'VmRSS'),
			ownMib: mib(read('smaps_rollup'), 'Private_Dirty'),
		};
	} finally {
		child.kill('SIGKILL');
		server.close();
		rmSync(folder, { recursive: true, force: true });
	}
}
