import type { Clock, Logger } from '../core/index.ts';

/** A service of the host starts and ends rarely; a look reads the names of all processes. */
const betweenLooksMs = 60_000;

export interface HostFelixDependencies {
	readonly clock: Clock;
	readonly log: Logger;
	/** Looks for Felix among the processes of this host. */
	readonly felixRunsOnHost: () => Promise<boolean>;
	/** Called when the result of a look differs from the one before. */
	readonly changed: () => void;
}

/** Whether Felix runs as a service of this host, looked up at the start and then every minute. */
export class HostFelix {
	readonly #dependencies: HostFelixDependencies;
	#runs = false;
	#timer: { cancel(): void } | undefined;
	#stopped = false;

	constructor(dependencies: HostFelixDependencies) {
		this.#dependencies = dependencies;
	}

	/** The result of the last look. */
	get runs(): boolean {
		return this.#runs;
	}

	/** Looks once, and from then on every minute. */
	async start(): Promise<void> {
		await this.#look();
		if (this.#stopped) return;
		this.#timer = this.#dependencies.clock.after(betweenLooksMs, () => void this.start());
	}

	stop(): void {
		this.#stopped = true;
		this.#timer?.cancel();
	}

	async #look(): Promise<void> {
		const { felixRunsOnHost, log, changed } = this.#dependencies;
		const runs = await felixRunsOnHost().catch(() => this.#runs);
		if (runs === this.#runs) return;
		this.#runs = runs;
		log.info(runs ? 'felix runs as a service of this host' : 'felix ended on this host');
		changed();
	}
}
