import {
	chmodSync,
	closeSync,
	existsSync,
	fsyncSync,
	linkSync,
	mkdirSync,
	openSync,
	readdirSync,
	readFileSync,
	renameSync,
	rmSync,
	statSync,
	writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';

export const conflistName = '10-bgpmesh.conflist';
export const pluginName = 'bgpmesh-ipam';
/** The names of the program for the runtime: as the main plugin and as the IPAM plugin. */
export const programNames = ['bgpmesh', pluginName] as const;

/** The operation is impossible in the present state; the message gives reason and remedy. */
export class InstallError extends Error {
	override readonly name = 'InstallError';
}

/** True if the file has this content and mode. */
export function holds(file: string, content: Buffer, mode: number): boolean {
	if (!existsSync(file)) return false;
	const { mode: current, size } = statSync(file);
	return (current & 0o777) === mode && size === content.length && readFileSync(file).equals(content);
}

/** The bytes of a file; `undefined` if it does not exist. */
export const bytesOf = (file: string): Buffer | undefined => (existsSync(file) ? readFileSync(file) : undefined);

/** The text of a file; `undefined` if it does not exist. */
export const contentOf = (file: string): string | undefined =>
	existsSync(file) ? readFileSync(file, 'utf8') : undefined;

/** The names in a folder; empty if it does not exist. */
export const namesIn = (folder: string): readonly string[] => (existsSync(folder) ? readdirSync(folder) : []);

/**
 * Writes a file atomically and durably: a temporary file beside it is written, synced and renamed.
 * A reader never sees partial content, even after a power failure. The rename also replaces a
 * running program.
 */
export function writeAtomically(file: string, content: Buffer, mode: number): void {
	const folder = dirname(file);
	mkdirSync(folder, { recursive: true });
	// The runtime reads only *.conf, *.conflist and *.json.
	const beside = `${file}.${process.pid}.new`;
	try {
		const descriptor = openSync(beside, 'w', mode);
		try {
			let rest = content;
			while (rest.length > 0) rest = rest.subarray(writeSync(descriptor, rest));
			fsyncSync(descriptor);
		} finally {
			closeSync(descriptor);
		}
		// Sets the mode independently of the umask.
		chmodSync(beside, mode);
		renameSync(beside, file);
		syncFolder(folder);
	} catch (error) {
		rmSync(beside, { force: true });
		throw error;
	}
}

/**
 * Makes `file` a hard link to `existing`, atomically. `false`: the file system has no hard links,
 * or both are on different ones.
 */
export function linkAtomically(existing: string, file: string): boolean {
	const beside = `${file}.${process.pid}.new`;
	try {
		mkdirSync(dirname(file), { recursive: true });
		linkSync(existing, beside);
		renameSync(beside, file);
		syncFolder(dirname(file));
		return true;
	} catch {
		return false;
	} finally {
		// A rename onto a link to the same file leaves both (rename(2)).
		rmSync(beside, { force: true });
	}
}

/** Temporary files beside a file, left by a process that died while it wrote. */
export function leftBeside(file: string): readonly string[] {
	const prefix = `${basename(file)}.`;
	const isLeft = (name: string): boolean => name.startsWith(prefix) && /^\d+\.new$/.test(name.slice(prefix.length));
	return namesIn(dirname(file))
		.filter(isLeft)
		.map((name) => join(dirname(file), name));
}

/** Removes a file durably. */
export function removeFile(file: string): void {
	rmSync(file, { force: true });
	syncFolder(dirname(file));
}

function syncFolder(folder: string): void {
	const descriptor = openSync(folder, 'r');
	try {
		fsyncSync(descriptor);
	} finally {
		closeSync(descriptor);
	}
}
