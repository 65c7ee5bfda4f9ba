import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The top of the repository. */
export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

/** Exit status as a shell reports it: the code, or 128 and the number of the signal. */
export const statusOf = (code, signal) => (signal === null ? code : 128 + (constants.signals[signal] ?? 0));

/**
 * Runs a command to its end and returns its exit status; `stdout: 'capture'` collects standard
 * output and error as text instead of showing them. A command that cannot be started has status
 * 127.
 */
export function run(command, args, { stdout = 'inherit', env = process.env, cwd = root, input } = {}) {
	return new Promise((done) => {
		const captured = stdout === 'capture';
		const child = spawn(command, args, {
			cwd,
			env,
			stdio: [input === undefined ? 'ignore' : 'pipe', captured ? 'pipe' : 2, captured ? 'pipe' : 2],
		});
		let text = '';
		child.stdout?.on('data', (chunk) => (text += chunk));
		child.stderr?.on('data', (chunk) => (text += chunk));
		child.stdin?.end(input);
		child.on('error', (error) => done({ status: 127, text: String(error) }));
		child.on('close', (code, signal) => done({ status: statusOf(code, signal), text }));
	});
}

/**
 * Passes the terminal to a command until it ends, and returns its exit status. Ctrl-C reaches the
 * command (it shares our process group) and a SIGTERM sent to us is passed on; this process waits
 * until the command has cleaned up.
 */
export function handOver(command, args, { env = process.env } = {}) {
	return new Promise((done) => {
		const child = spawn(command, args, { cwd: root, env, stdio: 'inherit' });
		const stay = () => {};
		const passOn = (signal) => child.kill(signal);
		process.on('SIGINT', stay);
		process.on('SIGTERM', passOn);
		process.on('SIGHUP', passOn);
		child.on('error', () => done(127));
		child.on('close', (code, signal) => {
			process.off('SIGINT', stay);
			process.off('SIGTERM', passOn);
			process.off('SIGHUP', passOn);
			done(statusOf(code, signal));
		});
	});
}
