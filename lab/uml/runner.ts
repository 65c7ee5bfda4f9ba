import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import {
	bootScript,
	firstMounts,
	type GuestKernel,
	type GuestOptions,
	type GuestResult,
	jobFiles,
	runInGuest,
	shellQuote,
	systemPath,
} from '../guest/index.ts';
import { findCommand, machineHasWideRegisters, missingUmlPackages } from './detect.ts';
import { compileWideRegisters } from './wide-registers.ts';

/** Debian's user-mode-linux: a kernel as an ordinary process. */
export const umlKernel: GuestKernel = {
	name: 'user-mode-linux',
	timeoutSeconds: 300,
	missing() {
		const packages = missingUmlPackages();
		return packages.length === 0 ? undefined : `install: ${packages.join(' ')}`;
	},
	files: () => ({
		hostname: 'uml',
		mountHost: (folder) => `mount -t hostfs none -o ${shellQuote(folder)} ${shellQuote(folder)}`,
		modules: '/usr/lib/uml/modules',
		mounts: firstMounts,
	}),
	async boot(job, { memoryMiB }) {
		return boot(job, memoryMiB, machineHasWideRegisters() ? await compileWideRegisters(job) : undefined);
	},
};

/** One command inside user-mode-linux. @throws GuestError */
export const runInUml = (options: GuestOptions): Promise<GuestResult> => runInGuest(umlKernel, options);

function boot(job: string, memoryMiB: number, preload: string | undefined): ChildProcess {
	const kernel = findCommand('linux.uml') ?? 'linux.uml';
	const args = [
		`mem=${memoryMiB}M`,
		'rootfstype=hostfs',
		'rootflags=/',
		'ro',
		`init=${join(job, jobFiles.init)}`,
		'quiet',
		'panic=1',
		'random.trust_cpu=1',
		'con=null',
		'con0=null,fd:2',
		'ssl=null',
		`uml_dir=${job}`,
		'umid=console',
	];
	return spawn('/bin/sh', ['-c', bootScript, 'sh', kernel, ...args], {
		detached: true,
		stdio: ['pipe', 'ignore', 'pipe'],
		// Its memory is a file; on a disk it would be slow.
		env: { PATH: systemPath, HOME: job, TMPDIR: '/dev/shm', ...(preload === undefined ? {} : { LD_PRELOAD: preload }) },
	});
}
