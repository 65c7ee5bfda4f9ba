import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const cgroupRoot = '/sys/fs/cgroup';
const controllers = (): readonly string[] =>
	existsSync(join(cgroupRoot, 'cgroup.controllers'))
		? ['']
		: readdirSync(cgroupRoot).filter((name) => name !== 'unified');

/**
 * The weight of a node's group: that of four processes. By default all pods of a node together
 * would weigh as much as one process outside, and would starve on a busy machine.
 */
const nodeShares = 4 * 1024;

/**
 * cgroup v1: a group of the node in every controller; that of cpuset starts empty and gets the
 * values of its parent.
 */
export function makeCgroups(name: string): void {
	for (const controller of controllers()) {
		const folder = join(cgroupRoot, controller, name);
		mkdirSync(folder, { recursive: true });
		if (controller === 'cpu') writeFileSync(join(folder, 'cpu.shares'), String(nodeShares));
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

/** The mounts that can have a group of a node: each controller of version 1, and version 2 beside them. */
const hierarchies = (): readonly string[] =>
	[...new Set([...controllers(), 'unified'])].map((name) => join(cgroupRoot, name));

/** Every process in a group of a node, in any hierarchy. */
export const processesOf = (name: string): readonly number[] => [
	...new Set(hierarchies().flatMap((hierarchy) => processesIn(join(hierarchy, name)))),
];

/** Removes a group and all below it; `false` while one is still in use. */
export function removeGroup(folder: string): boolean {
	if (!existsSync(folder)) return true;
	const below = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
	const empty = below.map(({ name }) => removeGroup(join(folder, name))).every(Boolean);
	try {
		rmdirSync(folder);
	} catch {
		return false;
	}
	return empty;
}

/** Removes the groups of a node; `false` while one is still in use. */
export const removeCgroups = (name: string): boolean =>
	hierarchies()
		.map((hierarchy) => removeGroup(join(hierarchy, name)))
		.every(Boolean);

/** The names among `names` that belong to runs whose process has ended: `bgpmesh-PID-NODE`. Pure. */
export const abandonedGroups = (names: readonly string[], isAlive: (pid: number) => boolean): readonly string[] =>
	names.filter((name) => {
		const pid = /^bgpmesh-(\d+)-/.exec(name)?.[1];
		return pid !== undefined && !isAlive(Number(pid));
	});

/** Removes the groups of runs that were killed, with the processes in them. */
export function removeAbandonedCgroups(): void {
	const names = new Set(hierarchies().flatMap((folder) => (existsSync(folder) ? readdirSync(folder) : [])));
	for (const name of abandonedGroups([...names], (pid) => existsSync(`/proc/${pid}`))) {
		endAll(processesOf(name));
		removeCgroups(name);
	}
}

/** The command line of a process; empty once it has exited. */
export function commandOf(pid: number): string {
	try {
		return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
	} catch {
		return '';
	}
}
