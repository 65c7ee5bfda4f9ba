import { chmodSync, closeSync, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

export const conflistName = '10-bgpmesh.conflist';
export const pluginName = 'bgpmesh-ipam';

/** It can't be done as things are; the message says why, and what helps. */
export class InstallError extends Error {
	override readonly name = 'InstallError';
}

/** Has the file this content and mode already? */
export function holds(file: string, content: string, mode: number): boolean {
	return existsSync(file) && (statSync(file).mode & 0o777) === mode && readFileSync(file, 'utf8') === content;
}

/** The content of a file; `undefined` where there is none. */
export const contentOf = (file: string): string | undefined => (existsSync(file) ? readFileSync(file, 'utf8') : undefined);

/** The names in a folder; none where there is no folder. */
export const namesIn = (folder: string): readonly string[] => (existsSync(folder) ? readdirSync(folder) : []);

/** Nobody ever sees half of it, even after the machine has lost its power: written beside, synced, then renamed, which also replaces a program that runs. */
export function writeAtomically(file: string, content: string, mode: number): void {
	const folder = dirname(file);
	mkdirSync(folder, { recursive: true });
	// The runtime reads *.conf, *.conflist and *.json alone.
	const beside = `${file}.${process.pid}.new`;
	try {
		const descriptor = openSync(beside, 'w', mode);
		try {
			let rest = Buffer.from(content);
			while (rest.length > 0) rest = rest.subarray(writeSync(descriptor, rest));
			fsyncSync(descriptor);
		} finally {
			closeSync(descriptor);
		}
		// Whatever the umask.
		chmodSync(beside, mode);
		renameSync(beside, file);
		syncFolder(folder);
	} catch (error) {
		rmSync(beside, { force: true });
		throw error;
	}
}

/** What a process left beside a file that died while it wrote. */
export function leftBeside(file: string): readonly string[] {
	const prefix = `${basename(file)}.`;
	const isLeft = (name: string): boolean => name.startsWith(prefix) && /^\d+\.new$/.test(name.slice(prefix.length));
	return namesIn(dirname(file))
		.filter(isLeft)
		.map((name) => join(dirname(file), name));
}

/** Removes a file for good. */
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
