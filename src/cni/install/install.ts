import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { conflist, installedText, isOurs, shadowedBy, shadowing, wasInstalled } from './conflist.ts';
import { conflistName, contentOf, holds, InstallError, namesIn, pluginName, writeAtomically } from './files.ts';
import type { InstallOptions } from './options.ts';

/** What was done, or would be. */
export interface Installed {
	readonly files: readonly { readonly file: string; readonly change: 'written' | 'unchanged' | 'would be written' }[];
	readonly conflist: object;
	/** What a person should look at. */
	readonly notes: readonly string[];
}

/** Puts plugin and configuration where the container runtime looks; done twice it changes nothing. @throws InstallError, errors of the file system */
export function install(options: InstallOptions, bundle: string): Installed {
	const { binDir, confDir, dryRun, force, node } = options;
	if (!existsSync(bundle)) throw new InstallError(`${bundle} does not exist: npm run build makes it`);
	const list = conflist(options);
	const target = join(confDir, conflistName);
	const program = join(binDir, pluginName);
	if (!force) {
		if (!isOurs(contentOf(target) ?? JSON.stringify(list))) throw new InstallError(`${target} is not a configuration for ${pluginName}: --force overwrites it`);
		const content = installedText(readFileSync(bundle, 'utf8'), node);
		if (!wasInstalled(contentOf(program) ?? content)) throw new InstallError(`${program} was not put there by bgpmesh-cni: --force overwrites it`);
	}
	// The plugin first: a configuration tells the runtime that the node is ready.
	const files = [
		{ file: program, content: installedText(readFileSync(bundle, 'utf8'), node), mode: 0o755 },
		{ file: target, content: `${JSON.stringify(list, undefined, 2)}\n`, mode: 0o644 },
	].map(({ file, content, mode }) => {
		if (holds(file, content, mode)) return { file, change: 'unchanged' as const };
		if (dryRun) return { file, change: 'would be written' as const };
		writeAtomically(file, content, mode);
		return { file, change: 'written' as const };
	});
	return { files, conflist: list, notes: notesOn(options) };
}

/** What keeps the runtime from using it, or from using something else that is there. */
function notesOn({ binDir, confDir, plugin, kubeconfig }: InstallOptions): readonly string[] {
	const notes: string[] = [];
	if (!existsSync(join(binDir, plugin)))
		notes.push(
			`${join(binDir, plugin)} does not exist: ${plugin === 'calico' ? "Calico's install-cni brings it" : `Debian's containernetworking-plugins has it in /usr/lib/cni`}`,
		);
	const names = namesIn(confDir);
	const first = shadowedBy(conflistName, names);
	if (first !== undefined) notes.push(`${join(confDir, first)} comes before ${conflistName}: the runtime takes the first`);
	for (const other of shadowing(conflistName, names))
		notes.push(`${join(confDir, other)} is there, too: the runtime takes ${conflistName}, pods that have their network from the other keep it until they end`);
	if (plugin === 'calico') notes.push(...notesOnKubeconfig(kubeconfig));
	return notes;
}

function notesOnKubeconfig(file: string): readonly string[] {
	if (!existsSync(file)) return [`${file} does not exist: the plugin calico can not read policy without it`];
	return (statSync(file).mode & 0o077) === 0 ? [] : [`${file} has credentials and can be read by others than its owner: chmod 600`];
}
