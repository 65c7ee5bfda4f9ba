/**
 * A script inside a guest checks statements in order and prints one line of JSON for each; the test
 * outside reads them.
 */
import { execFile, spawn } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { ExecutionContext } from 'ava';
import { type GuestKernel, type GuestOptions, runInGuest } from '../../lab/guest/index.ts';
import { systemEnvironment } from '../../src/linux/index.ts';

/** A kernel without hardware support is slow. */
const patienceMs = 240_000;
const leastPings = 20;

/** Runs a command to its end; `output` is both of its streams if it fails. */
export async function run(command: string, ...args: string[]): Promise<{ code: number; output: string }> {
	try {
		const { stdout } = await promisify(execFile)(command, args, { encoding: 'utf8', env: systemEnvironment() });
		return { code: 0, output: stdout };
	} catch (error) {
		const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
		return { code, output: `${stdout}${stderr}` };
	}
}

/** The output of a command. @throws Error if it fails */
export async function must(command: string, ...args: string[]): Promise<string> {
	const { code, output } = await run(command, ...args);
	if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}: ${output}`);
	return output;
}

/** Waits until `holds` resolves with true. @throws Error after four minutes */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
	const deadline = Date.now() + patienceMs;
	while (!(await holds())) {
		if (Date.now() > deadline) throw new Error(`${what}: not within ${patienceMs / 1000} s`);
		await pause(500);
	}
}

/** @throws Error if the values differ */
export function equal<T>(actual: T, expected: T): void {
	const [left, right] = [JSON.stringify(actual), JSON.stringify(expected)];
	if (left !== right) throw new Error(`${left} where ${right} is expected`);
}

/** @throws Error with `what` if it does not hold */
export function holds(what: string, value: boolean): void {
	if (!value) throw new Error(what);
}

/**
 * Ten pings a second while `act` runs; `words`: the command and what it needs besides, the address
 * last. @throws Error if fewer than 20 were sent
 */
export async function pingDuring(
	words: readonly string[],
	act: () => Promise<void>,
): Promise<{ readonly sent: number; readonly lost: number }> {
	const [command = '', ...args] = words;
	const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], env: systemEnvironment() });
	let output = '';
	child.stdout.setEncoding('utf8').on('data', (text: string) => {
		output += text;
	});
	const ended = new Promise((resolve) => child.once('exit', resolve));
	try {
		await pause(2000);
		await act();
		await pause(2000);
	} finally {
		child.kill('SIGINT');
		await ended;
	}
	// The last one may be on its way.
	const sent = Number(/(\d+) packets transmitted/.exec(output)?.[1] ?? 0) - 1;
	if (sent < leastPings) throw new Error(`only ${sent} pings were sent: ${output.slice(-2000)}`);
	const answered = new Set([...output.matchAll(/icmp_seq=(\d+) ttl/g)].map(([, sequence]) => Number(sequence)));
	const lost = Array.from({ length: sent }, (_, index) => index + 1).filter((sequence) => !answered.has(sequence));
	return { sent, lost: lost.length };
}

/** A statement; what it returns is shown beside its title. */
export type Statement = () => Promise<string | undefined>;

/**
 * Checks the statements and prints them, up to the first that does not hold. `trouble`: what helps to
 * understand a failure.
 */
export async function printStatements(
	statements: Readonly<Record<string, Statement>>,
	trouble: () => Promise<string>,
): Promise<void> {
	for (const [title, check] of Object.entries(statements)) {
		const row: { title: string; seen?: string; problem?: string } = { title };
		try {
			const seen = await check();
			if (seen !== undefined) row.seen = seen;
		} catch (error) {
			row.problem = `${String(error)}\n${await trouble()}`;
		}
		console.log(JSON.stringify(row));
		// What follows needs what failed.
		if (row.problem !== undefined) break;
	}
}

/** Runs the script in a guest; fails the test unless all of `count` statements hold. */
export async function testStatements(
	t: ExecutionContext,
	kernel: GuestKernel,
	options: GuestOptions,
	count: number,
): Promise<void> {
	const text = { stdout: '', stderr: '' };
	const { exitCode } = await runInGuest(kernel, {
		...options,
		onOutput: (stream, chunk) => {
			text[stream] += Buffer.from(chunk).toString();
		},
	});
	const rows = text.stdout
		.split('\n')
		.filter((line) => line !== '')
		.map((line) => JSON.parse(line) as { readonly title: string; readonly seen?: string; readonly problem?: string });
	for (const { title, seen = '', problem } of rows) t.log(problem === undefined ? '✔' : '✘', title, problem ?? seen);
	t.is(exitCode, 0, text.stderr);
	for (const { title, problem } of rows) t.is(problem, undefined, title);
	t.is(rows.length, count, text.stderr);
}
