import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The commands the runner needs, and the Debian package of each. */
export const umlCommands: Readonly<Record<string, string>> = { 'linux.uml': 'user-mode-linux', modprobe: 'kmod', ip: 'iproute2', mount: 'mount' };

/** Where the commands of administrators are, whatever the caller's PATH says. */
export const systemPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The absolute path of a command, as a shell would find it; `undefined` where it is not installed. */
export function findCommand(name: string): string | undefined {
	// The system's own first: npm puts programs of packages into PATH.
	const folders = [...systemPath.split(':'), ...(process.env['PATH'] ?? '').split(delimiter)];
	return folders
		.filter((folder) => folder !== '')
		.map((folder) => join(folder, name))
		.find((path) => existsSync(path));
}

/** Does the processor keep more register state than user-mode-linux 6.1 knows (2696 bytes)? With AMX it does. `cpuInfo` is the text of /proc/cpuinfo. Pure. */
export function hasWideRegisters(cpuInfo: string): boolean {
	return /^flags\s*:.*\bamx_tile\b/m.test(cpuInfo);
}

/** Of this machine's processor; `false` where there is no /proc/cpuinfo. */
export function machineHasWideRegisters(): boolean {
	try {
		return hasWideRegisters(readFileSync('/proc/cpuinfo', 'utf8'));
	} catch {
		return false;
	}
}

/** Debian packages that are missing for running commands inside user-mode-linux; empty: everything is there. */
export function missingUmlPackages(): string[] {
	return Object.entries({ ...umlCommands, ...(machineHasWideRegisters() ? { gcc: 'gcc libc6-dev' } : {}) })
		.filter(([command]) => findCommand(command) === undefined)
		.map(([, debianPackage]) => debianPackage);
}

/**
 * Can the running kernel make IPIP tunnels, in a network namespace of our own? Asked by doing it: a new namespace that
 * gets an ipip device, gone with the command. `false` also without the right to make namespaces.
 */
export function hasIpip(): boolean {
	const unshare = findCommand('unshare');
	const ip = findCommand('ip');
	if (unshare === undefined || ip === undefined) return false;
	const modprobe = findCommand('modprobe');
	if (modprobe !== undefined) spawnSync(modprobe, ['-q', 'ipip'], { stdio: 'ignore' });
	// The fallback device tunl0 comes by itself with the module; adding a named one proves that the kind is known.
	const made = spawnSync(unshare, ['--net', ip, 'link', 'add', 'ipip-probe', 'type', 'ipip', 'local', '127.0.0.1', 'remote', '127.0.0.2'], { stdio: 'ignore' });
	return made.status === 0;
}
