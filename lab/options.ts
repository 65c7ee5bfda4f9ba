import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { labKernels } from './kernels.ts';
import { scenarios } from './scenarios.ts';
import type { LabMode } from './topology.ts';

/** The parsed command line. */
export type LabCommand =
	| { readonly type: 'help'; readonly text: string }
	| { readonly type: 'wrong'; readonly text: string }
	/** A command in a namespace of a running laboratory (`--keep`). */
	| { readonly type: 'exec'; readonly namespace: string; readonly command: readonly string[] }
	| { readonly type: 'run'; readonly options: RunOptions };

export interface RunOptions {
	readonly mode: LabMode;
	/** A name of `labKernels`; missing: the default of this machine. */
	readonly kernel?: string;
	/** No API server: nodes, pools and neighbours are in the daemons' files. */
	readonly static: boolean;
	readonly keep: boolean;
	readonly json: boolean;
	readonly scenarios: readonly string[];
	readonly logs?: string;
}

const listed = (rows: Readonly<Record<string, { readonly describe: string }>>) =>
	Object.entries(rows)
		.map(([name, { describe }]) => `      ${name.padEnd(18)} ${describe}`)
		.join('\n');

const usage = `Usage: npm run lab -- [OPTIONS]
       npm run lab -- exec NAMESPACE COMMAND [ARGUMENT...]

Starts a router, four nodes in two subnets with a pod each, a top-of-rack router and an API server that has the nodes, pools and
neighbours; lets the daemons make routes, pings from every pod to every other one, and removes it all. Exit code 0: every session came up and every ping was answered; 1 otherwise.

  --reflector       two route reflectors instead of a full mesh
  --static          no API server: everything stands in the daemons' configuration files
  --scenario NAME   something that happens while packets flow; may be given several times
${listed(scenarios)}
  --kernel NAME     where it runs; default: here, else uml
${listed(labKernels)}
  --keep            stay up until Ctrl-C; the commands to look around are shown
  --json            standard output is one JSON document on one line, progress goes to standard error
                    (npm itself prints a heading first, unless called as npm run --silent lab -- --json)
  --logs FOLDER     leave copies of the daemons' logs there

exec runs a command in a laboratory that is kept up: NAMESPACE is one of node-a to node-d, pod-a to pod-d, router, tor.`;

/** Reads the command line; pure. */
export function parseCommand(argv: readonly string[]): LabCommand {
	const [verb, namespace, ...command] = argv;
	if (verb === 'exec') {
		if (namespace === undefined || command.length === 0)
			return { type: 'wrong', text: `exec needs a namespace and a command\n\n${usage}` };
		return { type: 'exec', namespace, command };
	}
	try {
		const { values } = parseArgs({
			args: [...argv],
			options: {
				reflector: { type: 'boolean', default: false },
				static: { type: 'boolean', default: false },
				scenario: { type: 'string', multiple: true, default: [] },
				kernel: { type: 'string' },
				keep: { type: 'boolean', default: false },
				json: { type: 'boolean', default: false },
				logs: { type: 'string' },
				help: { type: 'boolean', short: 'h', default: false },
			},
		});
		if (values.help) return { type: 'help', text: usage };
		const unknown = values.scenario.find((name) => scenarios[name] === undefined);
		if (unknown !== undefined)
			return {
				type: 'wrong',
				text: `there is no scenario '${unknown}'; there are: ${Object.keys(scenarios).join(', ')}`,
			};
		if (values.kernel !== undefined && labKernels[values.kernel] === undefined)
			return {
				type: 'wrong',
				text: `there is no kernel '${values.kernel}'; there are: ${Object.keys(labKernels).join(', ')}`,
			};
		for (const name of values.scenario) {
			const { needsCluster = false, enforcesPolicy = false, mode } = scenarios[name] ?? {};
			const { hasNftables = true } = labKernels[values.kernel ?? ''] ?? {};
			if (enforcesPolicy && !hasNftables)
				return {
					type: 'wrong',
					text: `the scenario '${name}' needs nftables: it does not go with --kernel ${values.kernel}`,
				};
			if (needsCluster && values.static)
				return { type: 'wrong', text: `the scenario '${name}' changes resources: it does not go with --static` };
			if (mode === 'mesh' && values.reflector)
				return {
					type: 'wrong',
					text: `the scenario '${name}' begins with a full mesh: it does not go with --reflector`,
				};
		}
		return {
			type: 'run',
			options: {
				mode: values.reflector ? 'reflector' : 'mesh',
				static: values.static,
				...(values.kernel === undefined ? {} : { kernel: values.kernel }),
				keep: values.keep,
				json: values.json,
				scenarios: values.scenario,
				...(values.logs === undefined ? {} : { logs: resolve(values.logs) }),
			},
		};
	} catch (error) {
		if (!(error instanceof TypeError)) throw error;
		return { type: 'wrong', text: `${error.message}\n\n${usage}` };
	}
}
