import type { Clock, Logger, PrefixKey, Random, Timer } from '../../core/index.ts';
import { affinityLabels } from '../../ipam/index.ts';
import type { ApiClient, ResourceKind } from '../client/api-client.ts';
import { ApiError } from '../client/errors.ts';
import { Informer, isNewer, type ResourceChange } from '../informer/informer.ts';
import { type JsonObject, textAt } from '../json/index.ts';
import type { Resource } from '../model/resource.ts';

export interface ClaimLabelsOptions {
	readonly client: ApiClient;
	/** BlockAffinity in the cluster's layout. */
	readonly kind: ResourceKind;
	/** Whose claims get their labels. */
	readonly node: string;
	readonly log: Logger;
	readonly clock: Clock;
	readonly random: Random;
	/** This node's claims as all else sees them: the informer of those that have the labels. */
	readonly claims: Informer;
}

/** So long nobody else may have written a claim: Calico writes one twice in a row, and a write of ours in between would make it begin again. */
const quietSeconds = 5;

/** After a refusal. */
const retrySeconds = 30;

/**
 * Finds this node's claims that lack the labels by which claims are found, as Calico writes them before it had these labels (v3.28, say): it may have
 * run here before, or run on still. They count at once, and get their labels: those of the first list at once, as Calico of today does when it
 * starts ("UpgradeHost"); later ones when their writer is done with them.
 */
export class ClaimLabels {
	readonly #options: ClaimLabelsOptions;
	readonly #unlabelled: Informer;
	readonly #timers = new Map<string, Timer>();
	/** One thing after another: a claim leaves this list by our own write, too. */
	#work: Promise<void> = Promise.resolve();
	#stopped = false;

	constructor(options: ClaimLabelsOptions) {
		const { node, claims: _, ...common } = options;
		this.#options = options;
		// Of other nodes' there may be many, and none of what they say counts here.
		const prune = (object: JsonObject): JsonObject =>
			isOf(object, node)
				? object
				: { metadata: { name: textAt(object, 'metadata', 'name') ?? '', resourceVersion: textAt(object, 'metadata', 'resourceVersion') ?? '' } };
		this.#unlabelled = new Informer({ ...common, labelSelector: `!${hostLabel}`, prune });
		this.#unlabelled.onChanges((changes) => this.#follow(changes));
	}

	/** Starts the informer of the others as soon as those without labels have got them. */
	start(): void {
		this.#unlabelled.start();
		this.#unlabelled.onSynced(() => {
			void this.#work.then(() => {
				if (!this.#stopped) this.#options.claims.start();
			});
		});
	}

	/** Waits for this node's claims, labelled or not. @throws NotListedError */
	async listed(patienceMs: number): Promise<void> {
		await this.#unlabelled.listed(patienceMs);
		await this.#options.claims.listed(patienceMs);
	}

	stop(): void {
		this.#stopped = true;
		this.#unlabelled.stop();
		for (const timer of this.#timers.values()) timer.cancel();
	}

	#follow(changes: readonly ResourceChange[]): void {
		const { node, claims } = this.#options;
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
		const timer = this.#options.clock.after(seconds * 1000, () => {
			this.#timers.delete(name);
			this.#enqueue(() => this.#label(name));
		});
		this.#timers.set(name, timer);
	}

	/** It is gone, unless it is gone from the list because it has its labels now. */
	#forget({ name, resourceVersion }: Resource): void {
		this.#timers.get(name)?.cancel();
		const known = this.#options.claims.items.get(name);
		if (known === undefined || hostLabel in known.labels || isNewer(known.resourceVersion, resourceVersion)) return;
		this.#options.claims.forget(name, known.resourceVersion);
	}

	async #label(name: string): Promise<void> {
		const { client, kind, node, log, claims } = this.#options;
		const raw = this.#unlabelled.items.get(name)?.raw;
		if (this.#stopped || raw === undefined) return;
		// The oldest have no type. Of the CIDR the labels need the family alone.
		const type = textAt(raw, 'spec', 'type') === 'virtual' ? 'virtual' : 'host';
		const labels = affinityLabels(node, type, (textAt(raw, 'spec', 'cidr') ?? '') as PrefixKey);
		try {
			claims.absorb(await client.patch(kind, name, { metadata: { labels } }, 'application/merge-patch+json'));
			log.info('claim has got the labels it is found by', { claim: name });
		} catch (error) {
			if (error instanceof ApiError && error.code === 404) return;
			log.warn('could not label a claim of this node', { claim: name, reason: error instanceof Error ? error.message : String(error) });
			this.#later(name, retrySeconds);
		}
	}
}

const hostLabel = 'projectcalico.org/hostname-hash';

const isOf = (object: JsonObject, node: string): boolean => textAt(object, 'spec', 'node') === node;
