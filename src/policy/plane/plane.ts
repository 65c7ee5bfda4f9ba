import {
	type Backoff,
	backoffMs,
	type Clock,
	type DataPlane,
	type Logger,
	type PlaneDifference,
	type PlaneFailure,
	type PlaneView,
	type Random,
	type Timer,
} from '../../core/index.ts';
import type { PolicyCalculator } from '../calculation/calculator.ts';
import { type NodePolicy, type NodePolicyChange, noPolicyChange } from '../rules.ts';

/** What a kind of kernel has to do for policy: nftables or eBPF. */
export interface PolicyKernel {
	readonly name: string;
	/** Reads back what is there and writes the difference. @throws Error with the kernel's words */
	sync(policy: NodePolicy): Promise<{ readonly added: number; readonly removed: number }>;
	/**
	 * Writes a difference to what the last successful call left. @throws Error; then only `sync` may
	 * follow
	 */
	apply(change: NodePolicyChange, policy: NodePolicy): Promise<void>;
	/**
	 * It acts at interfaces, which come and go without a change of policy: `apply` without a change
	 * looks for them.
	 */
	readonly followsInterfaces?: boolean;
}

export interface PolicyPlaneDependencies {
	readonly calculator: PolicyCalculator;
	/** `undefined`: policies are computed and shown, and not enforced. */
	readonly kernel: PolicyKernel | undefined;
	/** Sources that must be complete before anything is written. */
	readonly sources: readonly string[];
	/**
	 * What the calculator has is about to be written; the result is called once the kernel has it.
	 */
	readonly onTaken?: () => () => void;
	/** The kernel refused; `view` has the reason. */
	readonly onFailed?: () => void;
	readonly clock: Clock;
	readonly random: Random;
	readonly log: Logger;
}

const retryBackoff: Backoff = { firstMs: 100, mostMs: 10_000 };

/**
 * Policy in the kernel: collects what the calculator computes and hands it on as one change at a
 * time. Nothing is written before every source is complete, so that a half-read cluster neither
 * opens nor closes anything; what an earlier process left stays in force until then.
 */
export class PolicyPlane implements DataPlane<void> {
	readonly name = 'policy';
	readonly #dependencies: PolicyPlaneDependencies;
	readonly #waitingFor: Set<string>;
	/** What waits to be programmed, in the order of `programmed` calls. */
	#waiters: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];
	/** The kernel's state is not known: the next write reads it back. */
	#mustSync = true;
	#dirty = false;
	#working: Promise<void> | undefined;
	#stopped = false;
	#failures = 0;
	#failure: PlaneFailure | undefined;
	#retry: Timer | undefined;
	#programmedAtMs: number | undefined;

	constructor(dependencies: PolicyPlaneDependencies) {
		this.#dependencies = dependencies;
		this.#waitingFor = new Set(dependencies.sources);
	}

	/** The state comes by the calculator; `touch` reports that there is something new. */
	apply(): void {
		this.touch();
	}

	inSync(source: string): void {
		if (this.#waitingFor.delete(source)) this.touch();
	}

	get isComplete(): boolean {
		return this.#waitingFor.size === 0;
	}

	/** Policies reach the kernel. */
	get isEnforcing(): boolean {
		return this.#dependencies.kernel !== undefined;
	}

	/** Wall clock of the last write that succeeded; `undefined`: none yet. */
	get programmedAtMs(): number | undefined {
		return this.#programmedAtMs;
	}

	/** The calculator has something new. Changes of one turn of the event loop go together. */
	touch(): void {
		this.#dirty = true;
		this.#begin();
	}

	/** Others changed what the kernel holds: it is read back and put right. */
	resync(): void {
		this.#mustSync = true;
		this.touch();
	}

	/**
	 * Resolves when everything that the calculator has been given up to now stands in the kernel.
	 * @throws Error at `stop`
	 */
	programmed(): Promise<void> {
		if (!this.isEnforcing) return Promise.resolve();
		return new Promise((resolve, reject) => {
			this.#waiters.push({ resolve, reject });
			this.touch();
		});
	}

	view(): PlaneView {
		const { calculator, kernel } = this.#dependencies;
		const { policies, sets, workloads, hosts } = calculator.state;
		const desired = policies.size + sets.size + workloads.size + hosts.size;
		const settled = kernel !== undefined && this.isComplete && !this.#mustSync;
		const differences: PlaneDifference[] =
			this.#failure === undefined ? [] : [{ subject: this.#failure.subject, state: 'failed' }];
		return {
			name: this.name,
			enabled: kernel !== undefined,
			inSync: this.isComplete,
			waitingFor: [...this.#waitingFor],
			desired,
			installed: settled ? desired : 0,
			differences,
			failures: this.#failure === undefined ? [] : [this.#failure],
		};
	}

	async whenIdle(): Promise<void> {
		while (this.#working !== undefined) await this.#working;
	}

	async stop(): Promise<void> {
		this.#stopped = true;
		this.#retry?.cancel();
		await this.whenIdle();
		for (const { reject } of this.#waiters.splice(0)) reject(new Error('the daemon stops'));
	}

	#begin(): void {
		if (this.#working !== undefined || this.#stopped || this.#retry !== undefined || !this.isComplete) return;
		this.#working = this.#work().finally(() => {
			this.#working = undefined;
			if (this.#dirty) this.#begin();
		});
	}

	async #work(): Promise<void> {
		// What else comes in this turn of the event loop belongs to the same change.
		await new Promise((resolve) => setImmediate(resolve));
		const { calculator, kernel, clock, random, log, onTaken } = this.#dependencies;
		this.#dirty = false;
		const waiters = this.#waiters.splice(0);
		const change = calculator.takeChange();
		const onProgrammed = onTaken?.();
		try {
			if (kernel !== undefined) {
				if (this.#mustSync) {
					const { added, removed } = await kernel.sync(calculator.state);
					if (added + removed > 0) log.info('network policy read back and corrected', { added, removed });
				} else if (change !== undefined) await kernel.apply(change, calculator.state);
				else if (kernel.followsInterfaces === true && waiters.length > 0)
					await kernel.apply(noPolicyChange, calculator.state);
			}
			this.#mustSync = false;
			this.#failures = 0;
			this.#failure = undefined;
			this.#programmedAtMs = clock.wallMs();
			for (const { resolve } of waiters) resolve();
			onProgrammed?.();
		} catch (error) {
			this.#mustSync = true;
			this.#failures++;
			const reason = error instanceof Error ? error.message : String(error);
			this.#failure = { subject: 'network policy', reason };
			log.error('network policy not written', { reason, attempt: this.#failures });
			this.#dependencies.onFailed?.();
			this.#waiters.unshift(...waiters);
			this.#dirty = true;
			this.#retry = clock.after(backoffMs(retryBackoff, this.#failures, random), () => {
				this.#retry = undefined;
				this.#begin();
			});
		}
	}
}
