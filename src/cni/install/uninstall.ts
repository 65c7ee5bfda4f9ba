import { join } from 'node:path';
import { isOurs, wasInstalled } from './conflist.ts';
import {
	bytesOf,
	conflistName,
	contentOf,
	InstallError,
	leftBeside,
	namesIn,
	pluginName,
	programNames,
	removeFile,
} from './files.ts';
import type { UninstallOptions } from './options.ts';

/** The changes made, or planned in a dry run. */
export interface Uninstalled {
	readonly files: readonly {
		readonly file: string;
		readonly change: 'removed' | 'absent' | 'would be removed' | 'kept';
	}[];
	/** Warnings for the operator. */
	readonly notes: readonly string[];
}

/**
 * Removes only what `install` created. Idempotent. @throws InstallError, errors of the file system
 */
export function uninstall({ binDir, confDir, dryRun, force }: UninstallOptions): Uninstalled {
	const list = join(confDir, conflistName);
	const programs = programNames.map((name) => join(binDir, name)).map((file) => ({ file, text: bytesOf(file) }));
	const configuration = contentOf(list);
	// All checks precede the first removal.
	if (!force && configuration !== undefined && !isOurs(configuration))
		throw new InstallError(`${list} is not a configuration for ${pluginName}: --force removes it`);
	for (const { file, text } of programs)
		if (!force && text !== undefined && !wasInstalled(text))
			throw new InstallError(`${file} was not put there by bgpmesh-cni: --force removes it`);
	const users = namesIn(confDir)
		.filter((name) => name !== conflistName && /\.(conf|conflist|json)$/.test(name))
		.map((name) => join(confDir, name))
		.filter((file) => isOurs(contentOf(file) ?? ''));
	const remove = (file: string, isThere: boolean) => {
		if (!isThere) return { file, change: 'absent' as const };
		if (dryRun) return { file, change: 'would be removed' as const };
		removeFile(file);
		return { file, change: 'removed' as const };
	};
	const isThere = programs.some(({ text }) => text !== undefined);
	const isKept = isThere && users.length > 0;
	// The configuration first: without it the runtime starts no new pods.
	const files = [
		remove(list, configuration !== undefined),
		...leftBeside(list).map((file) => remove(file, true)),
		...programs.flatMap(({ file, text }) => [
			isKept && text !== undefined ? { file, change: 'kept' as const } : remove(file, text !== undefined),
			...leftBeside(file).map((left) => remove(left, true)),
		]),
	];
	return {
		files,
		notes: [...users.map((file) => `${file} asks for ${pluginName}`), ...(!isThere || isKept ? [] : [stranded])],
	};
}

const stranded =
	`containers that have their addresses from ${pluginName} can not be ended without it: drain ` +
	'the node before, or install it again';
