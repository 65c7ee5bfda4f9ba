/** `bgpmesh-cni install`: the plugin and its network configuration, put where a container runtime looks for them. */
import { InstallError, type Installed, install } from './install.ts';
import { type InstallOptions, parseOptions, UsageError, usage } from './options.ts';

export type { Installed } from './install.ts';

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
		const options = parseOptions(given, node);
		if (options === 'help') write(usage);
		else write(render(options, install(options, bundle)));
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

function render({ json, dryRun }: InstallOptions, installed: Installed): string {
	if (json) return `${JSON.stringify(installed)}\n`;
	const lines = installed.files.map(({ file, change }) => `${file}: ${change}`);
	return [...lines, ...(dryRun ? [JSON.stringify(installed.conflist, undefined, 2)] : []), ...installed.notes.map((note) => `note: ${note}`), ''].join('\n');
}
