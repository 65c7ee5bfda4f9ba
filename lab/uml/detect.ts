import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { systemPath } from '../guest/index.ts';

/** The required commands of the runner, and the Debian package of each. */
export const umlCommands: Readonly<Record<string, string>> = {
	'linux.uml': 'user-mode-linux',
	modprobe: 'kmod',
	ip: 'iproute2',
	mount: 'mount',
};

/** The absolute path of a command, as a shell would find it; `undefined` if it is not installed. */
export function findCommand(name: string): string | undefined {
	// The system's own first: npm adds programs of packages to PATH.
	const folders = [...systemPath.split(':'), ...(process.env['PATH'] ?? '').split(delimiter)];
	return folders
		.filter((folder) => folder !== '')
		.map((folder) => join(folder, name))
		.find((path) => existsSync(path));
}

/**
 * Does the processor have more register state than user-mode-linux 6.1 supports (2696 bytes)? With
 * AMX it does. `cpuInfo` is the text of /proc/cpuinfo. Pure.
 */
export function hasWideRegisters(cpuInfo: string): boolean {
	return /^flags\s*:.*\bamx_tile\b/m.test(cpuInfo);
}

/** The same for this machine's processor; `false` without /proc/cpuinfo. */
export function machineHasWideRegisters(): boolean {
	try {
		return hasWideRegisters(readFileSync('/proc/cpuinfo', 'utf8'));
	} catch {
		return false;
	}
}

/**
 * Missing Debian packages for running commands inside user-mode-linux; empty: all are installed.
 */
export function missingUmlPackages(): string[] {
	return Object.entries({ ...umlCommands, ...(machineHasWideRegisters() ? { gcc: 'gcc libc6-dev' } : {}) })
		.filter(([command]) => findCommand(command) === undefined)
		.map(([, debianPackage]) => debianPackage);
}

/**
 * Can the running kernel create IPIP tunnels, in a separate network namespace? Tested by a new
 * namespace with an ipip device, which ends with the command. `false` also without permission to
 * create namespaces.
 */
export function hasIpip(): boolean {
	const unshare = findCommand('unshare');
	const ip = findCommand('ip');
	if (unshare === undefined || ip === undefined) return false;
	const modprobe = findCommand('modprobe');
	if (modprobe !== undefined) spawnSync(modprobe, ['-q', 'ipip'], { stdio: 'ignore' });
	// The module creates the fallback device tunl0 by itself; adding a named one proves that the
	// kind is supported.
	const made = spawnSync(
		unshare,
		['--net', ip, 'link', 'add', 'ipip-probe', 'type', 'ipip', 'local', '127.0.0.1', 'remote', '127.0.0.2'],
		{ stdio: 'ignore' },
	);
	return made.status === 0;
}
