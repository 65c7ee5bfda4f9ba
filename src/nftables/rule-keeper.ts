import type { Backoff, Clock, Logger, Random, Timer } from '../core/index.ts';
import { backoffMs } from '../core/index.ts';
import type { LoadRules } from '../linux/index.ts';

const retry: Backoff = { firstMs: 1000, mostMs: 60_000 };

/**
 * Keeps one ruleset loaded: the latest text counts, one load at a time, failures are tried again.
 * Stopping leaves it in place.
 */
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
	#reason: string | undefined;
	#stopped = false;

	constructor(
		name: string,
		{ load, clock, random, log }: { load: LoadRules; clock: Clock; random: Random; log: Logger },
	) {
		this.#name = name;
		this.#load = load;
		this.#clock = clock;
		this.#random = random;
		this.#log = log;
	}

	/**
	 * `needed` is `false` where the rules only clear away what is probably not there: a failure then
	 * has no effect.
	 */
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

	/** Why the rules are not loaded, in nft's words; `undefined`: they are, or nothing is needed. */
	get problem(): string | undefined {
		return this.#needed && this.#wanted !== this.#loaded ? this.#reason : undefined;
	}

	/** The rules do something, and are loaded. */
	get state(): { readonly needed: boolean; readonly loaded: boolean } {
		return { needed: this.#needed && this.#wanted !== undefined, loaded: this.#wanted === this.#loaded };
	}

	async whenIdle(): Promise<void> {
		while (this.#running !== undefined) await this.#running;
	}

	#kick(): void {
		if (this.#running !== undefined || this.#stopped) return;
		this.#timer?.cancel();
		this.#running = this.#run().then((isLoaded) => {
			this.#running = undefined;
			// Rules may have been set since the last comparison.
			if (isLoaded && this.#wanted !== this.#loaded) this.#kick();
		});
	}

	/** `false`: it failed, and a timer is set. */
	async #run(): Promise<boolean> {
		while (!this.#stopped && this.#wanted !== undefined && this.#wanted !== this.#loaded) {
			const rules = this.#wanted;
			try {
				await this.#load(rules);
				this.#loaded = rules;
				this.#attempt = 0;
				this.#complained = '';
				this.#reason = undefined;
				this.#log.debug('nftables rules loaded', { rules: this.#name });
			} catch (error) {
				this.#failed(error instanceof Error ? error.message : String(error));
				return false;
			}
		}
		return true;
	}

	#failed(reason: string): void {
		this.#reason = reason;
		// Once for each reason: on a machine without nftables it stays so.
		if (this.#needed && reason !== this.#complained) {
			this.#log.warn('nftables rules are not in place', { rules: this.#name, reason });
			this.#complained = reason;
		}
		this.#attempt++;
		this.#timer = this.#clock.after(backoffMs(retry, this.#attempt, this.#random), () => this.#kick());
	}
}
