/**
 * `bgpmesh-cni`: installs and removes the plugin and its network configuration in the folders of
 * the container runtime.
 */
import { InstallError } from './files.ts';
import { install, type ProgramForms } from './install.ts';
import { type Command, parseCommand, UsageError, usage } from './options.ts';
import { uninstall } from './uninstall.ts';

export type { Installed } from './install.ts';
export type { Uninstalled } from './uninstall.ts';

export interface InstallDependencies {
	readonly arguments: readonly string[];
	/** The plugin as one script, and as an executable; `undefined` if absent. */
	readonly bundle: string | undefined;
	readonly executable?: string | undefined;
	/** Path of the Node.js executable of this process. */
	readonly node: string;
	readonly write: (text: string) => void;
	readonly complain: (text: string) => void;
}

/** Returns the exit code: 0 done, 1 refused or failed, 2 wrong usage. */
export function main({ arguments: given, bundle, executable, node, write, complain }: InstallDependencies): number {
	try {
		write(perform(parseCommand(given, node), { bundle, executable }));
		return 0;
	} catch (error) {
		if (error instanceof UsageError) {
			complain(`bgpmesh-cni: ${error.message}\nbgpmesh-cni --help shows the options\n`);
			return 2;
		}
		// Errors of the file system carry a code and the file name.
		if (!(error instanceof InstallError || (error instanceof Error && 'code' in error))) throw error;
		complain(`bgpmesh-cni: ${error.message}\n`);
		return 1;
	}
}

function perform(command: Command, forms: ProgramForms): string {
	switch (command.verb) {
		case 'help':
			return usage;
		case 'install': {
			const { json, dryRun } = command.options;
			const installed = install(command.options, forms);
			return json
				? `${JSON.stringify(installed)}\n`
				: render(installed, dryRun ? [JSON.stringify(installed.conflist, undefined, 2)] : []);
		}
		case 'uninstall': {
			const uninstalled = uninstall(command.options);
			return command.options.json ? `${JSON.stringify(uninstalled)}\n` : render(uninstalled, []);
		}
		default:
			return command satisfies never;
	}
}

interface Done {
	readonly files: readonly { readonly file: string; readonly change: string }[];
	readonly notes: readonly string[];
}

const render = ({ files, notes }: Done, more: readonly string[]): string =>
	[...files.map(({ file, change }) => `${file}: ${change}`), ...more, ...notes.map((note) => `note: ${note}`), ''].join(
		'\n',
	);
