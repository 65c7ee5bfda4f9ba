import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { missing, startReal } from '../../test/kubernetes/contract/servers.ts';
import type { Target } from './client.ts';

const root = resolve(fileURLToPath(import.meta.url), '../../../..');

/** `bgpmesh apiserver` in a separate process, with a folder that is synced. */
export async function startOurs(): Promise<Target> {
	const data = mkdtempSync(join(tmpdir(), 'bgpmesh-bench-api-'));
	const child = spawn(
		process.execPath,
		[join(root, 'bin/bgpmesh.js'), 'apiserver', '--data', data, '--listen', '127.0.0.1:0'],
		{
			stdio: ['ignore', 'pipe', 'inherit'],
		},
	);
	const url = await new Promise<string>((found, failed) => {
		child.stdout.setEncoding('utf8').once('data', (text: string) => found(text.split('\n')[0] ?? ''));
		child.once('exit', () => failed(new Error('bgpmesh apiserver ended')));
	});
	const token = readFileSync(join(data, 'token.csv'), 'utf8').split(',')[0] ?? '';
	return {
		name: 'bgpmesh apiserver',
		url,
		token,
		certificateAuthority: readFileSync(join(data, 'server.crt'), 'utf8'),
		pids: [child.pid ?? 0],
		async stop() {
			const ended = new Promise((done) => child.once('exit', done));
			child.kill('SIGTERM');
			await ended;
			rmSync(data, { recursive: true, force: true });
		},
	};
}

/** kube-apiserver with etcd; `undefined` and the reason if they are not installed. */
export async function startTheirs(): Promise<Target | string> {
	if (missing.length > 0) return `${missing.join(' and ')} not found (npm run setup:kube)`;
	const before = new Set(processes());
	const server = await startReal();
	const pids = processes().filter((pid) => !before.has(pid) && ['etcd', 'kube-apiserver'].includes(commandOf(pid)));
	return {
		name: 'kube-apiserver, etcd',
		url: server.url,
		token: server.token,
		certificateAuthority: server.certificateAuthority,
		pids,
		stop: server.stop,
	};
}

const processes = (): number[] =>
	readdirSync('/proc')
		.map(Number)
		.filter((pid) => pid > 0);

function commandOf(pid: number): string {
	try {
		return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
	} catch {
		return '';
	}
}

/**
 * Processor time of processes so far, ms; on a shared machine it is more reliable than elapsed
 * time.
 */
export function processorMilliseconds(pids: readonly number[]): number {
	return pids.reduce((sum, pid) => {
		const [utime, stime] = readFileSync(`/proc/${pid}/stat`, 'utf8')
			.replace(/^.*\) /s, '')
			.split(' ')
			.slice(11, 13)
			.map(Number);
		// Clock ticks of 10 ms.
		return sum + ((utime ?? 0) + (stime ?? 0)) * 10;
	}, 0);
}

/** Resident memory of processes, MiB. */
export function residentMebibytes(pids: readonly number[]): number {
	return pids.reduce(
		(sum, pid) => sum + Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024,
		0,
	);
}
