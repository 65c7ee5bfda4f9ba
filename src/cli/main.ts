import yargs from 'yargs';
import { ControlClient, ControlError, errorAnswer, NoDaemonError } from '../control/index.ts';
import type { Screen } from './render/screen.ts';
import { type ClusterAccess, ClusterAccessError, type GlobalOptions, type RunApiServer, type Surroundings, UsageError, type VerbEntry } from './verb.ts';
import { verbs } from './verbs/index.ts';

/** Where `bgpmeshd` answers unless its configuration says otherwise. */
export const defaultSocket = '/run/bgpmesh/bgpmesh.sock';

/** Exit codes of every verb. */
export const ExitCode = { done: 0, notAsAsked: 1, usage: 2, noDaemon: 3 } as const;

/** What the process gives to `main`. */
export interface Process {
	readonly arguments: readonly string[];
	readonly environment: Readonly<Record<string, string | undefined>>;
	/** Is standard output a terminal, and how wide is it? */
	readonly terminal: { readonly colours: boolean; readonly columns: number };
	readonly version: string;
	readonly write: (text: string) => void;
	readonly complain: (text: string) => void;
	readonly signal: AbortSignal;
	readonly nowMs: () => number;
	/** What `bgpmesh apiserver` runs. */
	readonly apiServer?: RunApiServer;
	/** What `bgpmesh apply` and `bgpmesh get` reach. */
	readonly cluster?: ClusterAccess;
}

/** Runs `bgpmesh`; the answer is the exit code. */
export async function main(process: Process): Promise<number> {
	const { environment, write, complain } = process;
	let exitCode: number = ExitCode.done;
	const parser = yargs()
		.scriptName('bgpmesh')
		.usage('$0 VERB\n\nLook at and steer the BGP daemon of this node, bgpmeshd.')
		.option('socket', {
			type: 'string',
			requiresArg: true,
			default: environment['BGPMESH_SOCKET'] ?? defaultSocket,
			describe: "the daemon's control socket",
			global: true,
		})
		.option('json', { type: 'boolean', default: false, describe: 'what the daemon says, as JSON', global: true })
		.strict()
		.demandCommand(1, 'which verb?')
		.recommendCommands()
		.version(process.version)
		.help()
		.wrap(Math.min(120, process.terminal.columns))
		.epilogue('Exit codes: 0 done, 1 not as asked, 2 wrong usage, 3 no daemon. NO_COLOR turns colours off.')
		.exitProcess(false)
		.fail((message, error) => {
			throw error ?? new UsageError(message);
		});
	for (const entry of verbs) {
		parser.command<GlobalOptions>(
			entry.command,
			entry.describe,
			async (command) => {
				const verb = await entry.load();
				return verb.options(command.example(entry.examples.map((example) => [...example])));
			},
			async (options) => {
				exitCode = await run(entry, options, process);
			},
		);
	}
	try {
		const [first] = process.arguments;
		if (first === undefined) {
			complain(`${await parser.getHelp()}\n`);
			return ExitCode.usage;
		}
		await parser.parseAsync([...process.arguments], {}, (_error, _options, output) => {
			if (output !== '') write(`${output}\n`);
		});
		return exitCode;
	} catch (error) {
		complain(`bgpmesh: ${error instanceof Error ? error.message : String(error)}\nTry: bgpmesh --help\n`);
		return ExitCode.usage;
	}
}

async function run(entry: VerbEntry, options: GlobalOptions, process: Process): Promise<number> {
	const { terminal, environment, write, complain, signal, nowMs, apiServer, cluster } = process;
	const colours = terminal.colours && (environment['NO_COLOR'] ?? '') === '';
	const screen: Screen = { colours, nowMs: nowMs() };
	const surroundings: Surroundings = { daemon: new ControlClient(options.socket), screen, write, complain, signal, apiServer, cluster };
	try {
		const verb = await entry.load();
		const outcome = await verb.run(options, surroundings);
		return outcome === 'done' ? ExitCode.done : ExitCode.notAsAsked;
	} catch (error) {
		if (error instanceof UsageError) throw error;
		if (error instanceof NoDaemonError) {
			tell(options, write, complain, { code: 'no-daemon', message: error.message, hint: noDaemonHint(error), details: undefined });
			return ExitCode.noDaemon;
		}
		if (error instanceof ClusterAccessError) {
			tell(options, write, complain, { code: 'cluster', message: error.message, hint: undefined, details: undefined });
			return ExitCode.notAsAsked;
		}
		if (!(error instanceof ControlError)) throw error;
		tell(options, write, complain, error);
		return ExitCode.notAsAsked;
	}
}

function tell(
	{ json }: GlobalOptions,
	write: (text: string) => void,
	complain: (text: string) => void,
	error: Pick<ControlError, 'code' | 'message' | 'hint' | 'details'>,
): void {
	const { message, hint } = error;
	if (json) write(`${JSON.stringify(errorAnswer(error))}\n`);
	else complain(`bgpmesh: ${message}\n${hint === undefined ? '' : `${hint}\n`}`);
}

function noDaemonHint({ code, socket }: NoDaemonError): string {
	if (code === 'EACCES') return `You may not use it: ask with sudo, or be in the group of ${socket}.`;
	return 'Is it running? systemctl status bgpmeshd. If its socket is elsewhere: --socket PATH or BGPMESH_SOCKET.';
}
