import type { Logger } from '../../core/index.ts';
import {
	emptyHandover,
	type HandoverKernel,
	type HandoverMemo,
	type HandoverNode,
	type HandoverService,
	handoverStep,
} from '../../services/index.ts';

export interface ServiceHandoverDependencies {
	readonly node: string;
	/** The time in which connections end; 0: they are not handed over. */
	readonly drainSeconds: () => number;
	readonly log: Logger;
}

/**
 * Hands connections over that a router moves between nodes: the other nodes' packets find their
 * pods while a node drains, and while a new one gets its share.
 */
export class ServiceHandover {
	readonly #dependencies: ServiceHandoverDependencies;
	#kernel: HandoverKernel | undefined;
	#state = emptyHandover;
	#kept = '[]';
	#nodes: ReadonlyMap<string, HandoverNode> | undefined;
	#memo: HandoverMemo = new WeakMap();
	#last: Promise<void> = Promise.resolve();

	constructor(kernel: HandoverKernel | undefined, dependencies: ServiceHandoverDependencies) {
		this.#kernel = kernel;
		this.#dependencies = dependencies;
	}

	/** The time by which windows are open at all nodes after a change, in milliseconds. */
	get leadMs(): number {
		return this.#kernel === undefined || this.#dependencies.drainSeconds() === 0 ? 0 : leadMs;
	}

	/** This node programs Services from now on. */
	use(kernel: HandoverKernel): void {
		this.#kernel = kernel;
	}

	/** Services or nodes may have changed. Writes are in order; a failure is logged. */
	refresh(services: Iterable<HandoverService>, nodes: ReadonlyMap<string, HandoverNode>): void {
		const kernel = this.#kernel;
		const { node, drainSeconds, log } = this.#dependencies;
		if (kernel === undefined || drainSeconds() === 0) return;
		const seconds = drainSeconds() + sessionSeconds;
		if (nodes !== this.#nodes) this.#memo = new WeakMap();
		this.#nodes = nodes;
		const { state, windows } = handoverStep(this.#state, node, services, nodes, this.#memo);
		const isSame = state.frontends === this.#state.frontends && this.#kept !== '';
		this.#state = state;
		const kept = isSame ? this.#kept : JSON.stringify(state.frontends);
		const isChanged = kept !== this.#kept;
		this.#kept = kept;
		if (!isChanged && windows.length === 0) return;
		this.#last = this.#last
			.then(async () => {
				if (isChanged) await kernel.keep(state.frontends);
				if (windows.length > 0) await kernel.open(windows, seconds);
			})
			.catch((error: unknown) => {
				// The next change writes the whole list again.
				this.#kept = '';
				log.warn('connections that routers move between nodes are not handed over', {
					error: error instanceof Error ? error.message : String(error),
				});
			});
		if (windows.length > 0)
			log.info('connections handed over', {
				addresses: windows.map(({ address, port }) => `${address} ${port}`).slice(0, 5),
				seconds,
			});
	}
}

const leadMs = 1000;
/** A node whose endpoints are ready may need this time until its sessions are established. */
const sessionSeconds = 30;
