import {
	type Clock,
	hostPrefix,
	type Logger,
	type PrefixKey,
	parseAddress,
	parsePrefix,
	prefixContains,
} from '../core/index.ts';
import { textAt } from '../json/index.ts';
import { type Informer, type Resource, type SecretKey, toWorkload } from '../kubernetes/index.ts';
import { secretNamespaces } from './copies.ts';
import { type AddressMode, type ClusterInformers, type ClusterState, ProblemLog, readState } from './state.ts';

export interface StateFollowerDependencies {
	readonly node: string;
	readonly copies: ClusterInformers & { readonly secrets: readonly Informer[] };
	readonly mode: AddressMode;
	/** Addresses in use on this node. */
	readonly heldAddresses: () => ReadonlySet<string>;
	/** True if Felix runs as a service of this host. */
	readonly felixOnHost: () => boolean;
	/** Called after each batch of changes. */
	readonly changed: () => void;
	readonly clock: Clock;
	readonly log: Logger;
}

/** Changes within this time, in milliseconds, are processed together. */
const settleMs = 50;

/**
 * Computes the state of this node from the copies of the cluster's resources, after each batch of
 * changes.
 */
export class StateFollower {
	readonly #dependencies: StateFollowerDependencies;
	readonly #log: ProblemLog;
	#problems: readonly string[] = [];
	#last: ClusterState | undefined;
	#listener: ((state: ClusterState) => void) | undefined;
	#timer: { cancel(): void } | undefined;
	#stopped = false;

	constructor(dependencies: StateFollowerDependencies) {
		this.#dependencies = dependencies;
		this.#log = new ProblemLog(dependencies.log);
	}

	/** Problems of the last state, or the reason why a later one could not be read. */
	get problems(): readonly string[] {
		return this.#problems;
	}

	/** The present state. */
	read(): ClusterState {
		const { node, copies, mode, heldAddresses, felixOnHost } = this.#dependencies;
		const password = (key: SecretKey) => passwordIn(copies.secrets, key);
		const state = readState(node, copies, password, mode, {
			lastConfiguration: this.#last?.configuration,
			knownPools: this.#last?.knownPools ?? [],
			heldAddresses: heldAddresses(),
			felixOnHost: felixOnHost(),
		});
		this.#last = state;
		return state;
	}

	/** Subscribes to later states: there is one listener. */
	onChanges(listener: (state: ClusterState) => void): void {
		this.#listener = listener;
	}

	/** Returns the present state, and follows the copies from now on. */
	start(): ClusterState {
		const first = this.read();
		this.#setProblems(first.problems);
		const { pods, secrets, ...others } = this.#dependencies.copies;
		for (const copy of [...Object.values(others), ...secrets]) copy.onChanges(() => this.#changed());
		pods.onChanges((changes) => {
			// Relevant pods: Calico's agent (it affects this node's routes), pods with borrowed
			// addresses, and all pods if some are BGP peers.
			const arePeers = [...others.bgpPeers.items.values()].some((resource) =>
				textAt(resource.raw, 'spec', 'localWorkloadSelector'),
			);
			if (arePeers || changes.some(({ resource }) => this.#matters(resource))) this.#changed();
		});
		return first;
	}

	/** Schedules a new read without a change of a copy. */
	refresh(): void {
		this.#changed();
	}

	stop(): void {
		this.#stopped = true;
		this.#timer?.cancel();
	}

	/** True for Calico's agent, and for a pod with an address outside this node's blocks. */
	#matters(pod: Resource): boolean {
		if (pod.labels['k8s-app'] === 'calico-node' || this.#dependencies.mode !== 'blocks') return true;
		const blocks = (this.#last?.blocks ?? []).map((cidr) => parsePrefix(cidr));
		const borrowed = new Set(this.#last?.borrowed);
		// A finished pod has no addresses here, but its earlier address may still be announced.
		const addresses = toWorkload(pod)?.addresses;
		if (addresses === undefined) return borrowed.size > 0;
		return addresses.some(
			(address) =>
				borrowed.has(hostPrefix(address)) || !blocks.some((block) => prefixContains(block, parseAddress(address))),
		);
	}

	/** True for a confirmed block of this node in the last state. */
	hasBlock(cidr: PrefixKey): boolean {
		return this.#last?.blocks.includes(cidr) === true;
	}

	/** Schedules a new read. */
	touch(): void {
		this.#changed();
	}

	#changed(): void {
		if (this.#timer !== undefined || this.#stopped) return;
		this.#timer = this.#dependencies.clock.after(settleMs, () => {
			this.#timer = undefined;
			this.#follow();
			this.#dependencies.changed();
		});
	}

	/**
	 * If the state can not be read, the last one remains in force; the next change triggers a new
	 * read.
	 */
	#follow(): void {
		try {
			const state = this.read();
			this.#setProblems(state.problems);
			this.#listener?.(state);
		} catch (error) {
			const reason = error instanceof Error ? error.message : String(error);
			this.#dependencies.log.error('the state of the cluster can not be read, the last one stays in force', {
				error: error instanceof Error ? (error.stack ?? reason) : reason,
			});
			this.#problems = [`the resources of the cluster can not be read, the last state stays in force: ${reason}`];
		}
	}

	#setProblems(problems: readonly string[]): void {
		this.#problems = problems;
		this.#log.tell(problems);
	}
}

/** A key of a Secret in Calico's namespaces; `undefined`: absent. */
export function passwordIn(secrets: readonly Informer[], { name, key }: SecretKey): string | undefined {
	for (const { items } of secrets)
		for (const namespace of secretNamespaces) {
			const encoded = textAt(items.get(`${namespace}/${name}`)?.raw, 'data', key);
			if (encoded !== undefined) return Buffer.from(encoded, 'base64').toString('latin1');
		}
	return undefined;
}
