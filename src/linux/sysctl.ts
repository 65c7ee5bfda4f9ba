import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Family } from '../core/index.ts';

const root = '/proc/sys';

/**
 * The folder of `net.*` settings for writes. In a container without privileges /proc/sys is
 * read-only, and the DaemonSet mounts the host's folder elsewhere. Through any mount a process
 * reaches the settings of its own network namespace.
 */
const netRoot = process.env['BGPMESH_NET_SETTINGS'] ?? join(root, 'net');

/**
 * A kernel setting by its path below `/proc/sys`, without the line end; `undefined`: the kernel
 * does not have it, or it is not readable.
 */
export function readSetting(path: string): string | undefined {
	try {
		return readFileSync(join(root, path), 'utf8').trim();
	} catch {
		return undefined;
	}
}

/**
 * Writes a kernel setting. @throws the system's error: EACCES without CAP_NET_ADMIN, EROFS if
 * /proc/sys is mounted read-only
 */
export function writeSetting(path: string, value: string): void {
	writeFileSync(path.startsWith('net/') ? join(netRoot, path.slice('net/'.length)) : join(root, path), value);
}

/** The interfaces that have settings of the family. */
export function interfacesWithSettings(family: Family): readonly string[] {
	try {
		return readdirSync(join(root, 'net', family, 'conf')).filter((name) => name !== 'all' && name !== 'default');
	} catch {
		return [];
	}
}
