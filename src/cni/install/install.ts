import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { conflist, installedText, isOurs, shadowedBy, shadowing, wasInstalled, whyUnusable } from './conflist.ts';
import {
	bytesOf,
	conflistName,
	contentOf,
	holds,
	InstallError,
	linkAtomically,
	namesIn,
	pluginName,
	programNames,
	writeAtomically,
} from './files.ts';
import type { InstallOptions } from './options.ts';

/** The changes made, or planned in a dry run. */
export interface Installed {
	readonly files: readonly { readonly file: string; readonly change: 'written' | 'unchanged' | 'would be written' }[];
	readonly conflist: object;
	/** Warnings for the operator. */
	readonly notes: readonly string[];
}

/**
 * Installs plugin and configuration in the folders of the container runtime. Idempotent. @throws
 * InstallError, errors of the file system
 */
export function install(options: InstallOptions, forms: ProgramForms): Installed {
	const { binDir, confDir, dryRun, force } = options;
	const program = programOf(options, forms);
	const list = conflist(options);
	const target = join(confDir, conflistName);
	const programs = programNames.map((name) => join(binDir, name));
	if (!force) {
		if (!isOurs(contentOf(target) ?? JSON.stringify(list)))
			throw new InstallError(`${target} is not a configuration for ${pluginName}: --force overwrites it`);
		for (const file of programs)
			if (!wasInstalled(bytesOf(file) ?? program))
				throw new InstallError(`${file} was not put there by bgpmesh-cni: --force overwrites it`);
	}
	// The plugin first: the runtime reports the node as ready once a configuration exists.
	const files = [
		...programs.map((file) => ({ file, content: program, mode: 0o755 })),
		{ file: target, content: Buffer.from(`${JSON.stringify(list, undefined, 2)}\n`), mode: 0o644 },
	].map(({ file, content, mode }) => {
		if (holds(file, content, mode)) return { file, change: 'unchanged' as const };
		if (dryRun) return { file, change: 'would be written' as const };
		// Both names of the plugin are one file: the executable has over a hundred megabytes.
		const same = programs.find((other) => other !== file && programs.includes(file) && holds(other, content, mode));
		if (same === undefined || !linkAtomically(same, file)) writeAtomically(file, content, mode);
		return { file, change: 'written' as const };
	});
	return { files, conflist: list, notes: notesOn(options) };
}

/** The forms of the plugin in this package. */
export interface ProgramForms {
	/** The plugin as one script; `undefined` in the executable. */
	readonly bundle: string | undefined;
	/** The executable that needs no Node.js; `undefined` if it was not built. */
	readonly executable: string | undefined;
}

/**
 * The program to install: the executable if present, else the script with the given Node.js.
 * @throws InstallError
 */
function programOf({ form, node }: InstallOptions, { bundle, executable }: ProgramForms): Buffer {
	if (executable !== undefined && form !== 'script' && existsSync(executable)) return readFileSync(executable);
	if (form === 'executable')
		throw new InstallError(`${executable ?? 'the executable'} does not exist: npm run build:executables makes it`);
	if (bundle === undefined || !existsSync(bundle))
		throw new InstallError(`${bundle ?? 'the script'} does not exist: npm run build makes it`);
	return Buffer.from(installedText(readFileSync(bundle, 'utf8'), node));
}

/** Reasons why the runtime can not use this configuration or uses another one. */
function notesOn({ binDir, confDir, plugin, kubeconfig, chain }: InstallOptions): readonly string[] {
	const notes: string[] = [];
	const hasPlugin = (type: string) => programNames.some((own) => own === type) || existsSync(join(binDir, type));
	for (const type of [...(plugin === 'bgpmesh' ? [] : [plugin]), ...chain].filter((each) => !hasPlugin(each)))
		notes.push(
			`${join(binDir, type)} does not exist, and pods fail without it: ` +
				(type === 'calico'
					? "Calico's install-cni brings it"
					: "Debian's containernetworking-plugins has it in /usr/lib/cni") +
				(chain.some((each) => each === type) ? ', or --chain leaves it out' : ''),
		);
	const names = namesIn(confDir);
	for (const [index, file] of shadowedBy(conflistName, names).entries()) {
		const why = whyUnusable(file, contentOf(join(confDir, file)) ?? '', hasPlugin);
		const which = index === 0 ? 'the runtime takes the first' : 'the runtime takes none of the later ones';
		notes.push(
			`${join(confDir, file)} comes before ${conflistName}: ${
				why === undefined
					? which
					: `it can not be used (${why}); containerd then has no network, CRI-O takes the next one`
			}`,
		);
	}
	for (const other of shadowing(conflistName, names))
		notes.push(
			`${join(confDir, other)} is there, too: the runtime takes ${conflistName}, pods that have ` +
				'their network from the other keep it until they end',
		);
	if (plugin === 'calico') notes.push(...notesOnKubeconfig(kubeconfig));
	return notes;
}

function notesOnKubeconfig(file: string): readonly string[] {
	if (!existsSync(file)) return [`${file} does not exist: the plugin calico can not read policy without it`];
	return (statSync(file).mode & 0o077) === 0
		? []
		: [`${file} has credentials and can be read by others than its owner: chmod 600`];
}
