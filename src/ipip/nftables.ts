import { spawn } from 'node:child_process';
import type { Backoff, Clock, Logger, Random, Timer } from '../core/index.ts';
import { backoffMs } from '../core/index.ts';
import { systemEnvironment } from '../linux/index.ts';

/** Loads a ruleset as one transaction. @throws Error with the loader's own words */
export type LoadRules = (rules: string) => Promise<void>;

/** No nftables here: the command is missing. */
export class NftablesMissingError extends Error {
	override readonly name = 'NftablesMissingError';
}

/** Runs `nft -f -`. @throws NftablesMissingError, Error with what nft said */
export const loadByNft: LoadRules = (rules) =>
	new Promise((resolve, reject) => {
		const child = spawn('nft', ['-f', '-'], {
			stdio: ['pipe', 'ignore', 'pipe'],
			env: systemEnvironment(),
		});
		let said = '';
		child.stderr.setEncoding('utf8').on('data', (text: string) => {
			said += text;
		});
		child.once('error', (error: NodeJS.ErrnoException) =>
			reject(error.code === 'ENOENT' ? new NftablesMissingError('the command nft is not installed') : error),
		);
		child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(firstError(said) ?? `nft ended with ${code}`))));
		// Ended before it read everything: 'close' tells why.
		child.stdin.once('error', () => {});
		child.stdin.end(rules);
	});

/** The line that says what is wrong; the rest repeats our text. */
function firstError(said: string): string | undefined {
	return said.split('\n').find((line) => line.includes('Error:')) ?? said.split('\n')[0];
}

const retry: Backoff = { firstMs: 1000, mostMs: 60_000 };

/** Keeps one ruleset loaded: the latest text counts, one load at a time, failures are tried again. Stopping leaves it in place. */
export class RuleKeeper {
	readonly #name: string;
	readonly #load: LoadRules;
	readonly #clock: Clock;
	readonly #random: Random;
	readonly #log: Logger;
	#wanted: string | undefined;
	#needed = true;
	#loaded: string | undefined;
	#running: Promise<void> | undefined;
	#timer: Timer | undefined;
	#attempt = 0;
	#complained = '';
	#stopped = false;

	constructor(name: string, { load, clock, random, log }: { load: LoadRules; clock: Clock; random: Random; log: Logger }) {
		this.#name = name;
		this.#load = load;
		this.#clock = clock;
		this.#random = random;
		this.#log = log;
	}

	/** `needed` is `false` where the rules only clear away what is probably not there: a failure then harms nobody. */
	set(rules: string, needed = true): void {
		this.#wanted = rules;
		this.#needed = needed;
		this.#kick();
	}

	async stop(): Promise<void> {
		this.#stopped = true;
		this.#timer?.cancel();
		await this.#running;
	}

	async whenIdle(): Promise<void> {
		await this.#running;
	}

	#kick(): void {
		if (this.#running !== undefined || this.#stopped) return;
		this.#timer?.cancel();
		this.#running = this.#run().finally(() => {
			this.#running = undefined;
		});
	}

	async #run(): Promise<void> {
		while (!this.#stopped && this.#wanted !== undefined && this.#wanted !== this.#loaded) {
			const rules = this.#wanted;
			try {
				await this.#load(rules);
				this.#loaded = rules;
				this.#attempt = 0;
				this.#complained = '';
				this.#log.debug('nftables rules loaded', { rules: this.#name });
			} catch (error) {
				this.#failed(error instanceof Error ? error.message : String(error));
				return;
			}
		}
	}

	#failed(reason: string): void {
		// Once for each reason: on a machine without nftables it stays so.
		if (this.#needed && reason !== this.#complained) {
			this.#log.warn('nftables rules are not in place', { rules: this.#name, reason });
			this.#complained = reason;
		}
		this.#attempt++;
		this.#timer = this.#clock.after(backoffMs(retry, this.#attempt, this.#random), () => this.#kick());
	}
}
