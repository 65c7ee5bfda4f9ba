/** `bgpmesh-cni`: the plugin and its network configuration, put where a container runtime looks for them, and taken away again. */
import { InstallError } from './files.ts';
import { install } from './install.ts';
import { type Command, parseCommand, UsageError, usage } from './options.ts';
import { uninstall } from './uninstall.ts';

export type { Installed } from './install.ts';
export type { Uninstalled } from './uninstall.ts';

export interface Surroundings {
	readonly arguments: readonly string[];
	/** The plugin as one file. */
	readonly bundle: string;
	/** The Node.js that runs this. */
	readonly node: string;
	readonly write: (text: string) => void;
	readonly complain: (text: string) => void;
}

/** Gives the exit code: 0 done, 1 refused or failed, 2 wrong usage. */
export function main({ arguments: given, bundle, node, write, complain }: Surroundings): number {
	try {
		write(perform(parseCommand(given, node), bundle));
		return 0;
	} catch (error) {
		if (error instanceof UsageError) {
			complain(`bgpmesh-cni: ${error.message}\nbgpmesh-cni --help shows what can be said\n`);
			return 2;
		}
		// The file system's refusals carry a code and name the file.
		if (!(error instanceof InstallError || (error instanceof Error && 'code' in error))) throw error;
		complain(`bgpmesh-cni: ${error.message}\n`);
		return 1;
	}
}

function perform(command: Command, bundle: string): string {
	switch (command.verb) {
		case 'help':
			return usage;
		case 'install': {
			const { json, dryRun } = command.options;
			const installed = install(command.options, bundle);
			return json ? `${JSON.stringify(installed)}\n` : render(installed, dryRun ? [JSON.stringify(installed.conflist, undefined, 2)] : []);
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
	[...files.map(({ file, change }) => `${file}: ${change}`), ...more, ...notes.map((note) => `note: ${note}`), ''].join('\n');
