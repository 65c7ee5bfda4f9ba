import yargs from 'yargs';
import { ControlClient, ControlError, CutOffError, errorAnswer, NoDaemonError } from '../control/index.ts';
import { nearest } from '../core/index.ts';
import type { Screen } from './render/screen.ts';
import {
	type CheckHost,
	type CleanUp,
	type ClusterAccess,
	ClusterAccessError,
	type GlobalOptions,
	type RunApiServer,
	UsageError,
	type VerbDependencies,
	type VerbEntry,
} from './verb.ts';
import { verbs } from './verbs/index.ts';

/** Where `bgpmeshd` answers by default. */
const defaultSocket = '/run/bgpmesh/bgpmesh.sock';

/** Exit codes of every verb. */
export const ExitCode = { done: 0, notAsAsked: 1, usage: 2, noDaemon: 3 } as const;

/** What the process gives to `main`. */
export interface Process {
	readonly arguments: readonly string[];
	readonly environment: Readonly<Record<string, string | undefined>>;
	/** Whether standard output shows colours, and how wide it is; `undefined`: no terminal. */
	readonly terminal: { readonly colours: boolean; readonly columns: number | undefined };
	readonly version: string;
	/** To standard output; resolves when it takes more. */
	readonly write: (text: string) => void | Promise<void>;
	readonly complain: (text: string) => void;
	readonly signal: AbortSignal;
	readonly nowMs: () => number;
	/** What `bgpmesh apiserver` runs. */
	readonly apiServer?: RunApiServer;
	/** What `bgpmesh apply` and `bgpmesh get` reach. */
	readonly cluster?: ClusterAccess;
	/** What `bgpmesh doctor` looks at. */
	readonly checkHost?: CheckHost;
	/** What `bgpmesh cleanup` runs. */
	readonly cleanUp?: CleanUp;
}

/** Runs `bgpmesh`; the answer is the exit code. */
export async function main(process: Process): Promise<number> {
	const { environment, write, complain } = process;
	let exitCode: number = ExitCode.done;
	const parser = yargs()
		// Messages are in English, as all others are; yargs would take those of LC_ALL.
		.locale('en')
		.scriptName('bgpmesh')
		.usage('$0 VERB\n\nLook at and steer the BGP daemon of this node, bgpmeshd.')
		.option('socket', {
			type: 'string',
			requiresArg: true,
			default: environment['BGPMESH_SOCKET'] ?? defaultSocket,
			describe: "the daemon's control socket",
			global: true,
		})
		.option('json', { type: 'boolean', default: false, describe: 'the answer of the daemon, as JSON', global: true })
		.strict()
		.demandCommand(1, 'which verb?')
		.version(process.version)
		.help()
		.alias('help', 'h')
		.wrap(Math.min(120, process.terminal.columns ?? 100))
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
		const unknown = unknownVerb(process.arguments);
		if (unknown !== undefined) throw new UsageError(unknown);
		if (first === undefined) {
			complain(`${await parser.getHelp()}\n`);
			return ExitCode.usage;
		}
		await parser.parseAsync(withStandardInput(process.arguments), {}, (_error, _options, output) => {
			if (output !== '') void write(`${output}\n`);
		});
		return exitCode;
	} catch (error) {
		complain(`bgpmesh: ${error instanceof Error ? error.message : String(error)}\nTry: bgpmesh --help\n`);
		return ExitCode.usage;
	}
}

/** The error for a first word that is no verb, with the verb that is close to it. */
function unknownVerb([first]: readonly string[]): string | undefined {
	if (first === undefined || first.startsWith('-')) return undefined;
	const names = verbs.map(({ command }) => command.split(' ')[0] ?? '');
	if (names.includes(first)) return undefined;
	const meant = nearest(first, names);
	return `there is no verb '${first}'${meant === undefined ? '' : `. Did you mean ${meant}?`}`;
}

async function run(entry: VerbEntry, options: GlobalOptions, process: Process): Promise<number> {
	const { terminal, environment, write, complain, signal, nowMs, apiServer, cluster, checkHost, cleanUp } = process;
	const colours = terminal.colours && (environment['NO_COLOR'] ?? '') === '';
	const screen: Screen = { colours, columns: terminal.columns, nowMs: nowMs() };
	const dependencies: VerbDependencies = {
		daemon: new ControlClient(options.socket),
		screen,
		write,
		complain,
		signal,
		apiServer,
		cluster,
		checkHost,
		cleanUp,
	};
	try {
		const verb = await entry.load();
		const outcome = await verb.run(options, dependencies);
		return outcome === 'done' ? ExitCode.done : ExitCode.notAsAsked;
	} catch (error) {
		if (error instanceof UsageError) throw error;
		if (error instanceof NoDaemonError) {
			tell(options, write, complain, {
				code: 'no-daemon',
				message: error.message,
				hint: noDaemonHint(error),
				details: undefined,
			});
			return ExitCode.noDaemon;
		}
		if (error instanceof ClusterAccessError) {
			tell(options, write, complain, { code: 'cluster', message: error.message, hint: undefined, details: undefined });
			return ExitCode.notAsAsked;
		}
		if (error instanceof CutOffError) {
			tell(options, write, complain, {
				code: 'cut-off',
				message: error.message,
				hint: 'The daemon stopped, or its log has the reason.',
				details: undefined,
			});
			return ExitCode.notAsAsked;
		}
		if (!(error instanceof ControlError)) throw error;
		tell(options, write, complain, error);
		return ExitCode.notAsAsked;
	}
}

function tell(
	{ json }: GlobalOptions,
	write: Process['write'],
	complain: Process['complain'],
	error: Pick<ControlError, 'code' | 'message' | 'hint' | 'details'>,
): void {
	const { message, hint } = error;
	if (json) void write(`${JSON.stringify(errorAnswer(error))}\n`);
	else complain(`bgpmesh: ${message}\n${hint === undefined ? '' : `${hint}\n`}`);
}

function noDaemonHint({ code, socket }: NoDaemonError): string {
	if (code === 'EACCES') return `You may not use it: ask with sudo, or be in the group of ${socket}.`;
	return 'Is it running? systemctl status bgpmeshd. If its socket is elsewhere: --socket PATH or BGPMESH_SOCKET.';
}

/** `-f -` as one argument: the parser takes a lone dash for no value. */
function withStandardInput(given: readonly string[]): string[] {
	return given.flatMap((argument, index) => {
		const isFile = (text: string | undefined) => text === '-f' || text === '--filename';
		if (argument === '-' && isFile(given[index - 1])) return [];
		return isFile(argument) && given[index + 1] === '-' ? [`${argument}=-`] : [argument];
	});
}
