import { readdir, readFile, readlink } from 'node:fs/promises';

/** A process in the network namespace of this process. */
interface HostProcess {
	readonly pid: number;
	/** The kernel's name of it, at most 15 characters. */
	readonly name: string;
	/** Its command line; empty if it is not readable. */
	readonly words: readonly string[];
}

/** The mounts of cgroup2, and of the hierarchy of systemd beside cgroup v1. */
const cgroupMounts = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified', '/sys/fs/cgroup/systemd'];

/**
 * The processes with one of these names in this network namespace. Those of another user, or
 * invisible ones, may be absent: `isServiceActive` needs no right to see them.
 */
export async function processesNamed(names: ReadonlySet<string>): Promise<readonly HostProcess[]> {
	const found: HostProcess[] = [];
	for (const entry of await readdir('/proc')) {
		const pid = Number(entry);
		if (!Number.isInteger(pid)) continue;
		// A process may end while it is read.
		const name = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim();
		if (!names.has(name) || !(await isInOurNetwork(pid))) continue;
		const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
		found.push({ pid, name, words: line.split('\0').filter((word) => word !== '') });
	}
	return found;
}

/** True if a unit of systemd has processes in this network namespace, by its control group. */
export async function isServiceActive(unit: string): Promise<boolean> {
	for (const mount of cgroupMounts) {
		const text = await readFile(`${mount}/system.slice/${unit}/cgroup.procs`, 'utf8').catch(() => '');
		// 0: a process of another process namespace.
		for (const pid of text
			.split('\n')
			.filter((line) => line !== '')
			.map(Number))
			if (pid === 0 || (await isInOurNetwork(pid))) return true;
	}
	return false;
}

/** Without the right to see it, a process counts as one of this namespace. */
async function isInOurNetwork(pid: number): Promise<boolean> {
	const [own, other] = await Promise.all(
		['self', pid].map((each) => readlink(`/proc/${each}/ns/net`).catch(() => undefined)),
	);
	return other === undefined || own === other;
}
