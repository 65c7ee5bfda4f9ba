import type { Clock, Logger, PrefixKey, Random, Timer } from '../../core/index.ts';
import { affinityLabels } from '../../ipam/index.ts';
import { type JsonObject, textAt } from '../../json/index.ts';
import type { ApiClient, ResourceKind } from '../client/api-client.ts';
import { ApiError } from '../client/errors.ts';
import { isNewer, type ResourceChange } from '../informer/copy.ts';
import { Informer } from '../informer/informer.ts';
import type { Resource } from '../model/resource.ts';

export interface ClaimLabelsDependencies {
	readonly client: ApiClient;
	/** BlockAffinity in the cluster's layout. */
	readonly kind: ResourceKind;
	/** The node whose affinities get labels. */
	readonly node: string;
	readonly log: Logger;
	readonly clock: Clock;
	readonly random: Random;
	/** The informer of this node's labelled affinities, which all other components use. */
	readonly claims: Informer;
}

/**
 * Minimum time since the last write of an affinity, in seconds. Calico writes an affinity twice in
 * a row; a write of ours in between would cause a conflict, and Calico would start again.
 */
const quietSeconds = 5;

/** Retry delay after a failure, in seconds. */
const retrySeconds = 30;

/**
 * Finds this node's affinities without labels, which older Calico (for example v3.28) writes; such
 * a version may have run on this node before, or may still run. Unlabelled affinities count at
 * once, and get labels: those of the first list immediately, as present Calico does at its start
 * ("UpgradeHost"); later ones after their writer has finished.
 */
export class ClaimLabels {
	readonly #dependencies: ClaimLabelsDependencies;
	readonly #unlabelled: Informer;
	readonly #timers = new Map<string, Timer>();
	/** Serializes the work: our own write removes an affinity from the unlabelled list, too. */
	#work: Promise<void> = Promise.resolve();
	#stopped = false;

	constructor(dependencies: ClaimLabelsDependencies) {
		const { node, claims: _, ...common } = dependencies;
		this.#dependencies = dependencies;
		// Affinities of other nodes can be many, and their contents are not used here.
		const prune = (object: JsonObject): JsonObject =>
			isOf(object, node)
				? object
				: {
						metadata: {
							name: textAt(object, 'metadata', 'name') ?? '',
							resourceVersion: textAt(object, 'metadata', 'resourceVersion') ?? '',
						},
					};
		this.#unlabelled = new Informer({ ...common, labelSelector: `!${hostLabel}`, prune });
		this.#unlabelled.onChanges((changes) => this.#follow(changes));
	}

	/** Starts the informer of labelled affinities after the unlabelled ones have got labels. */
	start(): void {
		this.#unlabelled.start();
		this.#unlabelled.onSynced(() => {
			void this.#work.then(() => {
				if (!this.#stopped) this.#dependencies.claims.start();
			});
		});
	}

	/** Waits for this node's affinities, labelled or not. @throws NotListedError */
	async listed(patienceMs: number): Promise<void> {
		await this.#unlabelled.listed(patienceMs);
		await this.#dependencies.claims.listed(patienceMs);
	}

	stop(): void {
		this.#stopped = true;
		this.#unlabelled.stop();
		for (const timer of this.#timers.values()) timer.cancel();
	}

	#follow(changes: readonly ResourceChange[]): void {
		const { node, claims } = this.#dependencies;
		for (const { type, resource } of changes) {
			const { name, raw } = resource;
			if (!isOf(raw, node)) continue;
			if (type === 'removed') this.#enqueue(() => this.#forget(resource));
			else if (!this.#unlabelled.synced) this.#enqueue(() => this.#label(name));
			else {
				claims.absorb(raw);
				this.#later(name, quietSeconds);
			}
		}
	}

	#enqueue(step: () => Promise<void> | void): void {
		this.#work = this.#work.then(step);
	}

	#later(name: string, seconds: number): void {
		this.#timers.get(name)?.cancel();
		if (this.#stopped) return;
		const timer = this.#dependencies.clock.after(seconds * 1000, () => {
			this.#timers.delete(name);
			this.#enqueue(() => this.#label(name));
		});
		this.#timers.set(name, timer);
	}

	/** Forgets a removed affinity, unless it left the list because it has labels now. */
	#forget({ name, resourceVersion }: Resource): void {
		this.#timers.get(name)?.cancel();
		const known = this.#dependencies.claims.items.get(name);
		if (known === undefined || hostLabel in known.labels || isNewer(known.resourceVersion, resourceVersion)) return;
		this.#dependencies.claims.forget(name, known.resourceVersion);
	}

	async #label(name: string): Promise<void> {
		const { client, kind, node, log, claims } = this.#dependencies;
		const raw = this.#unlabelled.items.get(name)?.raw;
		if (this.#stopped || raw === undefined) return;
		// The oldest affinities have no type. The labels need only the family of the CIDR.
		const type = textAt(raw, 'spec', 'type') === 'virtual' ? 'virtual' : 'host';
		const labels = affinityLabels(node, type, (textAt(raw, 'spec', 'cidr') ?? '') as PrefixKey);
		try {
			claims.absorb(await client.patch(kind, name, { metadata: { labels } }, 'application/merge-patch+json'));
			log.info('claim has got the labels it is found by', { claim: name });
		} catch (error) {
			if (error instanceof ApiError && error.code === 404) return;
			log.warn('could not label a claim of this node', {
				claim: name,
				reason: error instanceof Error ? error.message : String(error),
			});
			this.#later(name, retrySeconds);
		}
	}
}

const hostLabel = 'projectcalico.org/hostname-hash';

const isOf = (object: JsonObject, node: string): boolean => textAt(object, 'spec', 'node') === node;
