import { resolve as resolvePath } from 'node:path';
import { parseArgs } from 'node:util';
import { ConfigError, defaultConfigFile, loadConfig } from '../config/index.ts';
import { SocketInUseError } from '../control/index.ts';
import { isJournal, notifySystemd, watchdogIntervalMs } from '../linux/index.ts';
import { Daemon } from './daemon.ts';
import { createLog, type DaemonLog } from './log.ts';
import { nodeName } from './node-name.ts';

const usage = `bgpmeshd [--config FILE]

The BGP daemon of a node. It stays in the foreground and logs to standard error.

  --config FILE   configuration file (${defaultConfigFile}; docs/reference/configuration.md)
  --version       print the version
  --help          print this

Signals: SIGHUP reads the configuration again. SIGTERM and SIGINT end every session with a CEASE and
leave the kernel's routes in place. SIGUSR2 ends without a message, so that neighbours bridge the time
until the next start (graceful restart).
Exit codes: 0 stopped as asked, 1 could not go on, 2 wrong usage or configuration.
`;

const stderrDescriptor = 2;

export const ExitCode = { stopped: 0, failed: 1, usage: 2 } as const;

/** The inputs of `main` from the process. */
export interface Process {
	readonly arguments: readonly string[];
	readonly version: string;
	readonly stdout: NodeJS.WritableStream;
	readonly stderr: NodeJS.WritableStream;
}

/** Runs `bgpmeshd` until a signal ends it; returns the exit code. */
export async function main({ arguments: given, version, stdout, stderr }: Process): Promise<number> {
	const file = configFileOf(given);
	if (file.type === 'print') stdout.write(file.what === 'version' ? `${version}\n` : usage);
	if (file.type === 'print') return ExitCode.stopped;
	if (file.type === 'wrong') {
		stderr.write(`bgpmeshd: ${file.message}\nTry: bgpmeshd --help\n`);
		return ExitCode.usage;
	}
	let log: DaemonLog | undefined;
	process.once('uncaughtException', (error) => {
		const text = error.stack ?? error.message;
		if (log === undefined) stderr.write(`bgpmeshd: ${text}\n`);
		else log.error('unexpected error, ending', { error: text });
		process.exit(ExitCode.failed);
	});
	try {
		const config = await loadConfig(file.name);
		log = createLog(config.log.level, config.log.format, stderr, { journal: isJournal(stderrDescriptor) });
		// NODENAME, as in Calico's manifests: the downward API provides the Node's name, which may
		// differ from the host's.
		const node = nodeName(config.node);
		const daemon = new Daemon({ configFile: file.name, config, node, version, log });
		process.on('unhandledRejection', (reason) => daemon.rejected(reason));
		log.info('starting', { node, version, pid: process.pid, config: file.name });
		const ended = untilStopped(daemon, log);
		const started = daemon.start().then(() => 'started' as const);
		// A signal may arrive while the start waits.
		const first = await Promise.race([started, ended]);
		if (first !== 'started') {
			started.catch(() => undefined);
			await daemon.stop('', false);
			log.info('stopped while starting', { signal: first.signal });
			await log.end();
			return ExitCode.stopped;
		}
		log.info('ready', { socket: config.control.socket });
		const heart = tellServiceManager(log, `READY=1\nSTATUS=AS ${config.bgp?.asNumber ?? ''}, node ${node}`);
		const { signal, graceful } = await ended;
		log.info('stopping', { signal });
		tellServiceManager(log, 'STOPPING=1');
		clearInterval(heart);
		// The sockets that kept the process alive are closed now; pending work must not be cut off.
		const alive = setInterval(() => undefined, 1000);
		await daemon.stop(`bgpmeshd on ${node} is stopping`, graceful);
		clearInterval(alive);
		log.info('stopped');
		await log.end();
		return ExitCode.stopped;
	} catch (error) {
		if (error instanceof ConfigError) {
			stderr.write(`${error.message}\n`);
			return ExitCode.usage;
		}
		const known = error instanceof SocketInUseError || (error instanceof Error && 'code' in error);
		const text = error instanceof Error ? (known ? error.message : (error.stack ?? error.message)) : String(error);
		if (log === undefined) stderr.write(`bgpmeshd: ${text}\n`);
		else {
			log.error('could not start', { error: text });
			await log.end();
		}
		return ExitCode.failed;
	}
}

type Asked =
	| { readonly type: 'run'; readonly name: string }
	| { readonly type: 'print'; readonly what: 'version' | 'help' }
	| { readonly type: 'wrong'; readonly message: string };

function configFileOf(given: readonly string[]): Asked {
	try {
		const { values } = parseArgs({
			args: [...given],
			options: { config: { type: 'string' }, version: { type: 'boolean' }, help: { type: 'boolean' } },
		});
		if (values.help === true) return { type: 'print', what: 'help' };
		if (values.version === true) return { type: 'print', what: 'version' };
		return { type: 'run', name: resolvePath(values.config ?? defaultConfigFile) };
	} catch (error) {
		return { type: 'wrong', message: error instanceof Error ? error.message : String(error) };
	}
}

interface Stop {
	readonly signal: string;
	readonly graceful: boolean;
}

/** Handles signals from now on; resolves at a signal that ends the daemon. */
function untilStopped(daemon: Daemon, log: DaemonLog): Promise<Stop> {
	process.on('SIGHUP', () => void reload(daemon, log));
	return new Promise((resolve) => {
		for (const signal of ['SIGTERM', 'SIGINT', 'SIGUSR2'] as const)
			process.on(signal, () => resolve({ signal, graceful: signal === 'SIGUSR2' }));
	});
}

async function reload(daemon: Daemon, log: DaemonLog): Promise<void> {
	const microseconds = process.hrtime.bigint() / 1000n;
	tellServiceManager(log, `RELOADING=1\nMONOTONIC_USEC=${microseconds}`);
	await daemon.reloadBySignal();
	tellServiceManager(log, 'READY=1');
}

/**
 * Sends the state, and with READY starts to feed the watchdog. A missing service manager does not
 * stop the daemon.
 */
function tellServiceManager(log: DaemonLog, state: string): NodeJS.Timeout | undefined {
	try {
		if (!notifySystemd(state) || !state.startsWith('READY=1\n')) return undefined;
		const everyMs = watchdogIntervalMs();
		return everyMs === undefined
			? undefined
			: setInterval(() => tellServiceManager(log, 'WATCHDOG=1'), everyMs).unref();
	} catch (error) {
		log.warn('the service manager does not listen', {
			state,
			error: error instanceof Error ? error.message : String(error),
		});
		return undefined;
	}
}
