import { chmodSync, closeSync, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { conflist, isOurs, shadowedBy, withInterpreter } from './conflist.ts';
import type { InstallOptions } from './options.ts';

const conflistName = '10-bgpmesh.conflist';
const pluginName = 'bgpmesh-ipam';

/** What was done, or would be. */
export interface Installed {
	readonly files: readonly { readonly file: string; readonly change: 'written' | 'unchanged' | 'would be written' }[];
	readonly conflist: object;
	/** What a person should look at. */
	readonly notes: readonly string[];
}

/** It can't be done as things are; the message says why, and what helps. */
export class InstallError extends Error {
	override readonly name = 'InstallError';
}

/** Puts plugin and configuration where the container runtime looks; done twice it changes nothing. @throws InstallError, errors of the file system */
export function install(options: InstallOptions, bundle: string): Installed {
	const { binDir, confDir, dryRun, force, node, plugin } = options;
	if (!existsSync(bundle)) throw new InstallError(`${bundle} does not exist: npm run build makes it`);
	const list = conflist(options);
	const target = join(confDir, conflistName);
	if (existsSync(target) && !force && !isOurs(readFileSync(target, 'utf8')))
		throw new InstallError(`${target} is not a configuration for ${pluginName}: --force overwrites it`);
	// The plugin first: a configuration tells the runtime that the node is ready.
	const files = [
		{ file: join(binDir, pluginName), content: withInterpreter(readFileSync(bundle, 'utf8'), node), mode: 0o755 },
		{ file: target, content: `${JSON.stringify(list, undefined, 2)}\n`, mode: 0o644 },
	].map(({ file, content, mode }) => {
		if (holds(file, content, mode)) return { file, change: 'unchanged' as const };
		if (dryRun) return { file, change: 'would be written' as const };
		writeAtomically(file, content, mode);
		return { file, change: 'written' as const };
	});
	const notes: string[] = [];
	if (!existsSync(join(binDir, plugin)))
		notes.push(
			`${join(binDir, plugin)} does not exist: ${plugin === 'calico' ? "Calico's install-cni brings it" : `Debian's containernetworking-plugins has it in /usr/lib/cni`}`,
		);
	const first = existsSync(confDir) ? shadowedBy(conflistName, readdirSync(confDir)) : undefined;
	if (first !== undefined) notes.push(`${join(confDir, first)} comes before ${conflistName}: the runtime takes the first`);
	return { files, conflist: list, notes };
}

function holds(file: string, content: string, mode: number): boolean {
	return existsSync(file) && (statSync(file).mode & 0o777) === mode && readFileSync(file, 'utf8') === content;
}

/** Nobody ever sees half of it: written beside, then renamed, which also replaces a program that runs. */
function writeAtomically(file: string, content: string, mode: number): void {
	const folder = join(file, '..');
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
	} catch (error) {
		rmSync(beside, { force: true });
		throw error;
	}
}
