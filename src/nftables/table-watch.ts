import type { Clock, Logger, Timer } from '../core/index.ts';

export interface TableWatchDependencies {
	/** `false`: others changed the table. */
	readonly isIntact: () => Promise<boolean>;
	/** Reads the table back and puts it right. */
	readonly repair: () => void;
	readonly clock: Clock;
	readonly log: Logger;
}

/** A reload of another firewall that flushes everything is noticed within this time. */
const intervalMs = 5000;

/**
 * Looks whether others changed a table of ours: `nft flush ruleset`, which firewalls do at a
 * reload, takes every table.
 */
export class TableWatch {
	readonly #table: string;
	readonly #dependencies: TableWatchDependencies;
	#timer: Timer | undefined;
	#stopped = false;

	constructor(table: string, dependencies: TableWatchDependencies) {
		this.#table = table;
		this.#dependencies = dependencies;
		this.#next();
	}

	stop(): void {
		this.#stopped = true;
		this.#timer?.cancel();
	}

	#next(): void {
		if (this.#stopped) return;
		this.#timer = this.#dependencies.clock.after(intervalMs, () => void this.#look().finally(() => this.#next()));
	}

	async #look(): Promise<void> {
		const { isIntact, repair, log } = this.#dependencies;
		try {
			if (await isIntact()) return;
			log.warn('nftables table was changed by others, it is put right', { table: this.#table });
			repair();
		} catch (error) {
			log.debug('nftables table not checked', { table: this.#table, reason: String(error) });
		}
	}
}
