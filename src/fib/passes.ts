import type { Backoff, Clock, Logger } from '../core/index.ts';
import { DumpInterruptedError } from '../linux/index.ts';
import type { Pending } from './pending.ts';
import { afterEvents, Timers } from './timers.ts';

export interface PassesDependencies {
	readonly pending: Pending;
	/** One pass over what is pending. @throws if the kernel cannot be read or written */
	readonly pass: () => Promise<void>;
	/** Milliseconds until a refused route is due again; `undefined`: none is refused. */
	readonly retryInMs: () => number | undefined;
	readonly auditSeconds: number;
	/** Of passes that failed. */
	readonly retry: Backoff;
	readonly clock: Clock;
	readonly log: Logger;
}

/** A table that changes during more passes in a row, some ten seconds, is worth a warning. */
const normalInterruptions = 10;
/** A burst of changes is short: the pass after an interrupted one does not wait for longer. */
const mostInterruptedDelayMs = 1000;

/**
 * When the kernel is compared with the desired state: at once for changes, after bursts of events,
 * regularly as an audit, and again after a failure. Passes never overlap.
 */
export class Passes {
	readonly #dependencies: PassesDependencies;
	readonly #timers: Timers<'audit' | 'event' | 'retry'>;
	#running: Promise<void> | undefined;
	#isStarted = false;
	#isStopped = false;
	/** Passes that failed since the last complete one. */
	#failures = 0;
	/** The last of them that failed for the same reason: interrupted dumps. */
	#interruptions = 0;
	/** Duration of the last pass with an audit. */
	#auditPassMs = 0;
	/** When events started a pass the last time; monotonic. */
	#eventsAtMs = Number.NEGATIVE_INFINITY;

	constructor(dependencies: PassesDependencies) {
		this.#dependencies = dependencies;
		this.#timers = new Timers(dependencies.clock);
	}

	get isStarted(): boolean {
		return this.#isStarted;
	}

	/** Resolves at the end of the passes in progress; `undefined`: none is. */
	get running(): Promise<void> | undefined {
		return this.#running;
	}

	start(): void {
		this.#isStarted = true;
		this.#armAudit();
		this.request();
	}

	/** Resolves when no pass is in progress; none follows. */
	async stop(): Promise<void> {
		this.#isStopped = true;
		this.#timers.stop();
		await this.#running;
	}

	/** Starts passes unless one is in progress. Before `start`, changes are only collected. */
	request(): void {
		if (this.#running !== undefined || this.#isStopped || !this.#isStarted) return;
		this.#running = this.#runAll().finally(() => {
			this.#running = undefined;
			this.#armRetry();
			// New work may have arrived after the last check.
			if (this.#failures === 0 && !this.#dependencies.pending.isEmpty) this.request();
		});
	}

	/** Starts passes for events of the kernel: soon for the first one, then once for each burst. */
	requestAfterEvents(): void {
		if (this.#timers.isArmed('event')) return;
		const { clock } = this.#dependencies;
		this.#timers.arm('event', afterEvents(this.#auditPassMs, clock.monotonicMs() - this.#eventsAtMs), () => {
			this.#eventsAtMs = clock.monotonicMs();
			this.request();
		});
	}

	async #runAll(): Promise<void> {
		const { pending, pass, clock, log } = this.#dependencies;
		// Collects the changes of one turn.
		await new Promise((resolve) => setImmediate(resolve));
		while (!this.#isStopped && !pending.isEmpty) {
			try {
				const startedAtMs = clock.monotonicMs();
				const withAudit = pending.wantsAudit;
				await pass();
				if (withAudit) this.#auditPassMs = clock.monotonicMs() - startedAtMs;
				this.#failures = 0;
				this.#interruptions = 0;
			} catch (error) {
				this.#failures++;
				this.#interruptions = error instanceof DumpInterruptedError ? this.#interruptions + 1 : 0;
				pending.wantAudit();
				pending.wantForeign();
				// Interrupted: no error as long as it ends. Many pods are created or deleted at once.
				const isNormal = this.#interruptions > 0 && this.#interruptions <= normalInterruptions;
				log[isNormal ? 'debug' : 'warn']('the kernel could not be read or written', {
					error: error instanceof Error ? error.message : String(error),
				});
				return;
			}
		}
	}

	#armAudit(): void {
		const { pending, auditSeconds } = this.#dependencies;
		this.#timers.arm('audit', auditSeconds * 1000, () => {
			pending.wantAudit();
			pending.wantForeign();
			this.#armAudit();
			this.request();
		});
	}

	/** After a refusal the known state may be wrong: read the kernel before the retry. */
	#armRetry(): void {
		if (this.#isStopped) return;
		const { pending, retry, retryInMs } = this.#dependencies;
		if (this.#failures > 0) {
			const mostMs = this.#interruptions > 0 ? mostInterruptedDelayMs : retry.mostMs;
			const delayMs = Math.min(mostMs, retry.firstMs * 2 ** Math.min(this.#failures, 20));
			this.#timers.arm('retry', delayMs, () => this.request());
			return;
		}
		const dueInMs = retryInMs();
		if (dueInMs === undefined) return;
		this.#timers.arm('retry', dueInMs, () => {
			pending.wantAudit();
			this.request();
		});
	}
}
