import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const cgroupRoot = '/sys/fs/cgroup';
const controllers = (): readonly string[] =>
	existsSync(join(cgroupRoot, 'cgroup.controllers'))
		? ['']
		: readdirSync(cgroupRoot).filter((name) => name !== 'unified');

/**
 * cgroup v1: a group of the node in every controller; that of cpuset starts empty and gets the
 * values of its parent.
 */
export function makeCgroups(name: string): void {
	for (const controller of controllers()) {
		const folder = join(cgroupRoot, controller, name);
		mkdirSync(folder, { recursive: true });
		if (controller !== 'cpuset') continue;
		for (const file of ['cpuset.cpus', 'cpuset.mems'])
			writeFileSync(join(folder, file), readFileSync(join(cgroupRoot, controller, file)));
	}
}

/** Where cgroup2 is mounted, also beside the controllers of version 1; `undefined`: nowhere. */
export function unifiedRoot(): string | undefined {
	if (existsSync(join(cgroupRoot, 'cgroup.controllers'))) return cgroupRoot;
	const beside = join(cgroupRoot, 'unified');
	return existsSync(join(beside, 'cgroup.procs')) ? beside : undefined;
}

/** Every process in a group and below it. */
export function processesIn(folder: string): readonly number[] {
	if (!existsSync(folder)) return [];
	const own = readFileSync(join(folder, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
	const below = readdirSync(folder, { withFileTypes: true })
		.filter((entry) => entry.isDirectory())
		.flatMap(({ name }) => processesIn(join(folder, name)));
	return [...own, ...below];
}

/** The group of a node in the controller that lists its processes. */
export const pidsGroup = (name: string): string => join(cgroupRoot, controllers().includes('pids') ? 'pids' : '', name);

const mountsOf = (pid: number | string): string | undefined => {
	try {
		return readlinkSync(`/proc/${pid}/ns/mnt`);
	} catch {
		return undefined;
	}
};

/** Every other process in the mount namespace of `pid`. */
export function sharingMountsWith(pid: number): readonly number[] {
	const mounts = mountsOf(pid);
	return readdirSync('/proc')
		.filter((name) => /^\d+$/.test(name) && name !== String(pid) && mounts !== undefined && mountsOf(name) === mounts)
		.map(Number);
}

/** Kills these processes. */
export function endAll(pids: readonly number[]): void {
	for (const pid of pids) {
		try {
			process.kill(pid, 'SIGKILL');
		} catch {
			// It has exited meanwhile.
		}
	}
}

/** Removes the groups of a node; `false` while one is still in use. */
export function removeCgroups(name: string): boolean {
	const remove = (folder: string): boolean => {
		if (!existsSync(folder)) return true;
		const below = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
		const empty = below.map(({ name: child }) => remove(join(folder, child))).every(Boolean);
		try {
			rmdirSync(folder);
		} catch {
			return false;
		}
		return empty;
	};
	return [...controllers(), 'unified'].map((controller) => remove(join(cgroupRoot, controller, name))).every(Boolean);
}

/** The command line of a process; empty once it has exited. */
export function commandOf(pid: number): string {
	try {
		return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
	} catch {
		return '';
	}
}
