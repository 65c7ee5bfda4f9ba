import { join } from 'node:path';
import { isOurs, wasInstalled } from './conflist.ts';
import { conflistName, contentOf, InstallError, leftBeside, namesIn, pluginName, removeFile } from './files.ts';
import type { UninstallOptions } from './options.ts';

/** What was done, or would be. */
export interface Uninstalled {
	readonly files: readonly { readonly file: string; readonly change: 'removed' | 'absent' | 'would be removed' | 'kept' }[];
	/** What a person should look at. */
	readonly notes: readonly string[];
}

/** Takes away what `install` put there, and nothing else; done twice it changes nothing. @throws InstallError, errors of the file system */
export function uninstall({ binDir, confDir, dryRun, force }: UninstallOptions): Uninstalled {
	const list = join(confDir, conflistName);
	const program = join(binDir, pluginName);
	const configuration = contentOf(list);
	const text = contentOf(program);
	// All is looked at before anything goes.
	if (!force && configuration !== undefined && !isOurs(configuration))
		throw new InstallError(`${list} is not a configuration for ${pluginName}: --force removes it`);
	if (!force && text !== undefined && !wasInstalled(text)) throw new InstallError(`${program} was not put there by bgpmesh-cni: --force removes it`);
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
	const isKept = text !== undefined && users.length > 0;
	// The configuration first: without it the runtime begins nothing new.
	const files = [
		remove(list, configuration !== undefined),
		...leftBeside(list).map((file) => remove(file, true)),
		isKept ? { file: program, change: 'kept' as const } : remove(program, text !== undefined),
		...leftBeside(program).map((file) => remove(file, true)),
	];
	return { files, notes: [...users.map((file) => `${file} asks for ${pluginName}`), ...(text === undefined || isKept ? [] : [stranded])] };
}

const stranded = `containers that have their addresses from ${pluginName} can not be ended without it: drain the node before, or install it again`;
