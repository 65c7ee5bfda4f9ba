import { spawn } from 'node:child_process';
import koffi from 'koffi';
import { systemEnvironment } from '../environment.ts';
import { libc } from '../libc.ts';
import { NetlinkProtocol, openNetlinkFd } from '../netlink/socket.ts';

/** Loads a ruleset as one transaction. @throws Error with the loader's message */
export type LoadRules = (rules: string) => Promise<void>;

/** nftables is missing: neither the library nor the command is installed. */
export class NftablesMissingError extends Error {
	override readonly name = 'NftablesMissingError';
}

/** A ruleset that nftables refused: its message, which names the rule or element. */
export class RulesetError extends Error {
	override readonly name = 'RulesetError';
}

/** Runs `nft -f -`. @throws NftablesMissingError, RulesetError */
export const loadByNft: LoadRules = (rules) =>
	new Promise((resolve, reject) => {
		const child = spawn('nft', ['-f', '-'], {
			stdio: ['pipe', 'ignore', 'pipe'],
			env: systemEnvironment(),
		});
		let output = '';
		child.stderr.setEncoding('utf8').on('data', (text: string) => {
			output += text;
		});
		child.once('error', (error: NodeJS.ErrnoException) =>
			reject(error.code === 'ENOENT' ? new NftablesMissingError('the command nft is not installed') : error),
		);
		child.once('close', (code) =>
			code === 0 ? resolve() : reject(new RulesetError(firstError(output) ?? `nft ended with ${code}`)),
		);
		// It exited before it read all input: 'close' has the reason.
		child.stdin.once('error', () => {});
		child.stdin.end(rules);
	});

/** The line that names the error; the rest repeats our text. */
function firstError(output: string): string | undefined {
	return output.split('\n').find((line) => line.includes('Error:')) ?? output.split('\n')[0];
}

/** The functions of libnftables.so.1 used for loading. */
interface Libnftables {
	make(flags: number): unknown;
	free(context: unknown): void;
	bufferError(context: unknown): number;
	bufferOutput(context: unknown): number;
	run(context: unknown, text: string): Promise<number>;
	errorText(context: unknown): string;
}

let library: Libnftables | undefined | 'missing';

function libnftables(): Libnftables | undefined {
	if (library === undefined) library = load() ?? 'missing';
	return library === 'missing' ? undefined : library;
}

function load(): Libnftables | undefined {
	try {
		const from = koffi.load('libnftables.so.1');
		const run = from.func('int nft_run_cmd_from_buffer(void *context, const char *text)');
		return {
			make: from.func('void *nft_ctx_new(uint32_t flags)'),
			free: from.func('void nft_ctx_free(void *context)'),
			bufferError: from.func('int nft_ctx_buffer_error(void *context)'),
			bufferOutput: from.func('int nft_ctx_buffer_output(void *context)'),
			errorText: from.func('const char *nft_ctx_get_error_buffer(void *context)'),
			run: (context, text) =>
				new Promise((resolve, reject) => {
					run.async(context, text, (error: unknown, result: number) => (error ? reject(error) : resolve(result)));
				}),
		};
	} catch {
		return undefined;
	}
}

/** The library exits the process if the kernel has no netfilter socket, so this is tried first. */
function hasNetfilterSocket(): boolean {
	try {
		libc().close(openNetlinkFd({ protocol: NetlinkProtocol.netfilter }));
		return true;
	} catch {
		return false;
	}
}

/** The library is not thread-safe: one load at a time in this process. */
let last: Promise<unknown> = Promise.resolve();

/**
 * Loads through libnftables in this process, on a thread of libuv's pool; in the network namespace
 * of the caller's thread. Without the library, or without a netfilter socket, by the command `nft`.
 * @throws NftablesMissingError, RulesetError
 */
export const loadRuleset: LoadRules = (rules) => {
	const nft = libnftables();
	if (nft === undefined || !hasNetfilterSocket()) return loadByNft(rules);
	// Created at once: its socket belongs to the caller's current namespace.
	const context = nft.make(0);
	nft.bufferError(context);
	nft.bufferOutput(context);
	const work = last.then(async () => {
		try {
			if ((await nft.run(context, rules)) === 0) return;
			throw new RulesetError(firstError(nft.errorText(context)) ?? 'nftables refused the ruleset');
		} finally {
			nft.free(context);
		}
	});
	last = work.catch(() => undefined);
	return work;
};
