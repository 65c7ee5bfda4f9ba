import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { LabReport } from '../../lab/report.ts';
import type { LabMode } from '../../lab/topology.ts';
import { hasIpip, missingUmlPackages } from '../../lab/uml/index.ts';

const needs = {
	'/usr/sbin/bird': 'bird2',
	'/bin/ping': 'iputils-ping',
	'/sbin/ip': 'iproute2',
	'/sbin/sysctl': 'procps',
};
const missing = [
	...Object.entries(needs).flatMap(([file, name]) => (existsSync(file) ? [] : [name])),
	...(hasIpip() ? [] : missingUmlPackages()),
	...(process.getuid?.() === 0 ? [] : ['root']),
];

interface Ended {
	readonly status: number | null;
	readonly stdout: string;
	readonly stderr: string;
}

/**
 * The laboratory as started on a command line; `onProgress` gets each line of progress and a
 * function that sends a signal.
 */
function runLab(
	args: readonly string[],
	onProgress: (line: string, kill: (signal: NodeJS.Signals) => void) => void = () => {},
): Promise<Ended & { pid: number }> {
	return new Promise((resolve, reject) => {
		const child = spawn(process.execPath, [join('dist', 'lab', 'main.js'), ...args], {
			stdio: ['ignore', 'pipe', 'pipe'],
		});
		const text = { stdout: '', stderr: '' };
		child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
			text.stdout += chunk;
		});
		child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
			text.stderr += chunk;
			for (const line of chunk.split('\n')) onProgress(line, (signal) => child.kill(signal));
		});
		child.on('error', reject);
		child.on('close', (status) => resolve({ status, ...text, pid: child.pid ?? 0 }));
	});
}

/**
 * Folders of laboratories, and namespaces and processes that the laboratory with that process id
 * left.
 */
function leftovers(pid: number, foldersBefore: readonly string[]): string[] {
	const namespaces = execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' }).split('\n');
	const processes = execFileSync('ps', ['-eo', 'pid,ppid,args'], { encoding: 'utf8' }).split('\n');
	return [
		...namespaces.filter((name) => name.startsWith(`bgpmesh-${pid}-`)),
		...processes.filter((line) => new RegExp(`^\\s*\\d+\\s+${pid}\\s`).test(line)),
		...labFolders().filter((folder) => !foldersBefore.includes(folder)),
	];
}

const labFolders = () => readdirSync(tmpdir()).filter((name) => name.startsWith('bgpmesh-lab-'));

const title = missing.length > 0 ? ` (skipped: needs ${missing.join(', ')})` : '';
const labTest = missing.length > 0 ? test.serial.skip : test.serial;

/** A hundred plugins at the same time, in a kernel with a memory of its own. */
const crowdBytes = 8 * 2 ** 30;
const crowd = totalmem() >= crowdBytes ? ['--scenario', 'pods'] : [];
if (crowd.length === 0) console.warn('the scenario pods is left out: this machine has less than 8 GiB of memory');

const layouts: readonly { args: readonly string[]; mode: LabMode; sessions: number }[] = [
	{ args: ['--json', '--scenario', 'mesh-to-reflector', ...crowd], mode: 'mesh', sessions: 16 },
	{ args: ['--json', '--reflector', '--scenario', 'crash'], mode: 'reflector', sessions: 14 },
	{
		args: ['--json', '--static', '--scenario', 'crash', '--scenario', 'restart', '--scenario', 'restart-all'],
		mode: 'mesh',
		sessions: 16,
	},
];
for (const { args, mode, sessions } of layouts) {
	labTest(
		`npm run lab -- ${args.join(' ')}: sessions, routes and pings, and nothing left behind${title}`,
		async (t) => {
			t.timeout(1_300_000);
			const before = labFolders();
			const { status, stdout, stderr, pid } = await runLab(args);
			t.log(stderr);
			const report = JSON.parse(stdout) as LabReport;
			t.deepEqual(report.problems, []);
			t.is(status, 0);
			t.is(report.mode, mode);
			t.like(report.peers, { configured: sessions, established: sessions });
			// Two nodes in each subnet: each has one neighbour in its subnet and two beyond the
			// router.
			t.like(report.routes, { direct: 4, tunnelled: 8 });
			t.like(report.before, { sent: 12, lost: 12 });
			t.like(report.pings, { sent: 36, lost: 0 });
			t.like(report.service, { sent: 12, lost: 0 });
			t.deepEqual(
				report.scenarios.map(({ name, ok, lost }) => ({ name, ok, lost })),
				args.flatMap((arg, index) =>
					arg === '--scenario' ? [{ name: args[index + 1] ?? '', ok: true, lost: 0 }] : [],
				),
			);
			t.deepEqual(leftovers(pid, before), []);
		},
	);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
	labTest(`a laboratory that gets ${signal} while it works leaves nothing behind${title}`, async (t) => {
		t.timeout(300_000);
		const before = labFolders();
		const { status, pid } = await runLab([], (line, kill) => {
			if (line.includes('network:')) kill(signal);
		});
		t.is(status, signal === 'SIGINT' ? 130 : 143);
		t.deepEqual(leftovers(pid, before), []);
	});
}
