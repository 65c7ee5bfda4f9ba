import { ControlError, type LintView } from '../../control/index.ts';
import type { Clock, Logger, PrefixKey, Random } from '../../core/index.ts';
import { Allocator, conflictRetry, type UnreadableResource } from '../../ipam/index.ts';
import {
	ApiClient,
	ApiError,
	type ApiLayout,
	type CalicoKinds,
	type Credentials,
	calicoKinds,
	detectLayout,
	type Informer,
	isRunningFelix,
	KubernetesIpamStore,
	lint,
	loadCredentials,
	NoCalicoResourcesError,
	type ResourceKind,
	type SecretKey,
	selectorMatchesIfReadable,
	textAt,
	toResource,
} from '../../kubernetes/index.ts';
import { type AddressHandlers, addressService } from './address-service.ts';
import { type ClusterCopies, clusterCopies, secretNamespaces } from './copies.ts';
import { type GarbageCollectionMode, GarbageService } from './garbage-service.ts';
import { type HostLocalLedger, openLedger } from './host-local-ledger.ts';
import { hostLocalService, podRanges } from './host-local-service.ts';
import { ipamService } from './ipam-service.ts';
import { type LastKnown, LastKnownWriter, lastKnownFile, namedSecrets, readLastKnown, writeLastKnown } from './last-known.ts';
import { NodeDuties } from './node-duties.ts';
import type { NodeStatusSources } from './node-status.ts';
import { NodeStatusReporter } from './node-status-reporter.ts';
import { until, within } from './patience.ts';
import { type KindRefusal, kindRefusals, listedOrDoneWithout } from './refusals.ts';
import { withTemporaryErrors } from './server-errors.ts';
import { type AddressMode, type ClusterState, ProblemLog, readState } from './state.ts';

export interface ClusterOptions {
	readonly node: string;
	readonly kubeconfig: string | undefined;
	/** Where the last known state is kept; `undefined`: nowhere, and a start waits for the API server. */
	readonly stateDirectory: string | undefined;
	/** Where the addresses of pods come from; with `host-local` the folder of what was given. */
	readonly addressMode: AddressMode;
	readonly addressDirectory: string | undefined;
	/** Who takes abandoned addresses back, and after how long. */
	readonly garbageCollection: { readonly mode: GarbageCollectionMode; readonly graceMs: number };
	readonly log: Logger;
	readonly clock: Clock;
	readonly random: Random;
}

/** Changes that arrive together are one change, in milliseconds. */
const settleMs = 50;
const retryMs = 5000;
const patienceMs = 5000;
const goodbyeMs = 2000;

/** What a cluster wants of this node, followed; and what this node does in the cluster. */
export class Cluster {
	readonly allocator: Allocator;
	readonly addresses: AddressHandlers;
	readonly #options: ClusterOptions;
	readonly #client: ApiClient;
	readonly #store: KubernetesIpamStore;
	readonly #kinds: CalicoKinds;
	readonly #informers: ClusterCopies['waitedFor'];
	/** Who programs which routes: it is not waited for, since a cluster without Calico may lack it. */
	readonly #felixConfigurations: Informer;
	readonly #duties: NodeDuties;
	readonly #statusRequests: Informer;
	readonly #reporter: NodeStatusReporter;
	readonly #garbage: GarbageService;
	readonly #problems: ProblemLog;
	readonly #layout: ApiLayout;
	/** It begins with what an earlier process knew. */
	readonly #restored: boolean;
	#keeper: LastKnownWriter | undefined;
	#listener: ((state: ClusterState) => void) | undefined;
	#timer: { cancel(): void } | undefined;
	#announced: ReadonlySet<PrefixKey> = new Set();
	#stopped = false;

	private constructor(options: ClusterOptions, client: ApiClient, layout: ApiLayout, ledger: HostLocalLedger | undefined, lastKnown: LastKnown | undefined) {
		const { node, log, clock, random } = options;
		const kinds = calicoKinds(layout);
		this.#options = options;
		this.#kinds = kinds;
		this.#client = client;
		const { waitedFor, felixConfigurations, statusRequests } = clusterCopies({ node, client, kinds, log, clock, random });
		const { nodes } = waitedFor;
		this.#informers = waitedFor;
		this.#felixConfigurations = felixConfigurations;
		this.#store = new KubernetesIpamStore({ client, layout, node, nodes, log, clock, random });
		this.allocator = new Allocator({ node, store: this.#store, clock, random, retry: conflictRetry(random), log, selectorMatches: selectorMatchesIfReadable });
		const retry = conflictRetry(random);
		const { mode, graceMs } = options.garbageCollection;
		this.#garbage = new GarbageService({ node, mode, graceMs, client, store: this.#store, allocator: this.allocator, retry, clock, random, log });
		this.addresses = withTemporaryErrors({
			...this.#garbage.handlers,
			...(ledger === undefined
				? addressService({
						node,
						allocator: this.allocator,
						store: this.#store,
						client,
						pods: this.#informers.pods,
						released: () => void this.#duties.perform(),
						log,
					})
				: hostLocalService({ node, ledger, ranges: () => podRanges(nodes, node), log })),
			...ipamService({ node, allocator: this.allocator, store: this.#store, client, mode: options.addressMode, clock, announced: () => this.#announced }),
		});
		this.#duties = new NodeDuties({
			node,
			client,
			nodes,
			pools: this.#store.poolInformer,
			allocator: this.allocator,
			store: this.#store,
			mode: options.addressMode,
			withdrawn: (cidr) => until(() => !this.#announced.has(cidr), patienceMs, clock),
			clock,
			log,
		});
		this.#statusRequests = statusRequests;
		this.#reporter = new NodeStatusReporter({ node, client, kind: kinds.nodeStatuses, requests: statusRequests, clock, log });
		this.#problems = new ProblemLog(log);
		this.#layout = layout;
		this.#restored = lastKnown !== undefined;
		for (const [name, informer] of this.#copies()) informer.restore(lastKnown?.objects[name] ?? []);
		const file = lastKnownFile(options.stateDirectory, node);
		if (file !== undefined) this.#keeper = new LastKnownWriter(() => writeLastKnown(file, node, client.server, this.#known()), clock, log);
	}

	/** Connects; where the API server is away, waits for it and says so: the kernel's routes stay meanwhile. @throws Error about credentials that can't be read */
	static async open(options: ClusterOptions): Promise<Cluster> {
		const credentials: Credentials = await loadCredentials(options.kubeconfig);
		const client = new ApiClient(credentials, options.random);
		const ledger = await openLedger(options.addressMode, options.addressDirectory, options.log);
		const file = lastKnownFile(options.stateDirectory, options.node);
		let known = file === undefined ? undefined : await readLastKnown(file, options.node, client.server, options.log);
		for (;;) {
			try {
				const detected = detectLayout(client);
				return new Cluster(options, client, await (known === undefined ? detected : within(detected, patienceMs, options.clock)), ledger, undefined);
			} catch (error) {
				if (error instanceof NoCalicoResourcesError) known = undefined;
				const isRefused = error instanceof ApiError && (error.code === 401 || error.code === 403);
				const reason = error instanceof Error ? error.message : String(error);
				if (known !== undefined) {
					options.log.warn('the API server is away: beginning with what was known last', { server: credentials.server, reason, file });
					return new Cluster(options, client, known.layout, ledger, known);
				}
				if (isRefused) options.log.error('the API server refuses this node, trying again', { server: credentials.server, code: error.code, reason });
				else options.log.warn('waiting for the API server', { server: credentials.server, reason });
				await new Promise<void>((resolve) => options.clock.after(retryMs, resolve));
			}
		}
	}

	/** Follows the cluster: resolves with the first complete state that has an address for this node; later ones go to `listener`. */
	async start(listener: (state: ClusterState) => void): Promise<ClusterState> {
		const { secrets, ...single } = this.#informers;
		const { bgpPeers } = single;
		const all = [...Object.values(single), ...secrets, this.#store.claims, this.#store.poolInformer];
		const felix = [this.#felixConfigurations, this.#store.clusterInformer];
		for (const informer of [...Object.values(single), ...secrets, this.#felixConfigurations]) informer.start();
		this.#store.start();
		const synced = Promise.all(all.map(listedOrDoneWithout)).then(() => {
			this.#keeper?.changed();
			this.#garbage.start();
			return this.#duties.perform();
		});
		if (!this.#restored) await synced;
		// Where Felix runs, what it programs must be known before our first route.
		const known = Promise.all(felix.map(listedOrDoneWithout));
		if ([...single.pods.items.values()].some(isRunningFelix)) await within(known, patienceMs, this.#options.clock).catch(() => undefined);
		const first = this.state();
		this.#problems.tell(first.problems);
		this.#listener = listener;
		for (const informer of [...all, ...felix].filter((candidate) => candidate !== single.pods)) informer.onChanges(() => this.#changed());
		single.pods.onChanges((changes) => {
			// Of pods only Calico's own agent matters to this node's routes, and where pods are peers, these.
			const arePeers = [...bgpPeers.items.values()].some((resource) => textAt(resource.raw, 'spec', 'localWorkloadSelector'));
			if (arePeers || changes.some(({ resource }) => resource.labels['k8s-app'] === 'calico-node')) this.#changed();
		});
		return first;
	}

	/** As of now. */
	state(): ClusterState {
		const { nodes, pods, bgpConfigurations, bgpPeers, bgpFilters } = this.#informers;
		return readState(
			this.#options.node,
			{
				nodes,
				pods,
				bgpConfigurations,
				bgpPeers,
				bgpFilters,
				felixConfigurations: this.#felixConfigurations,
				clusterInformations: this.#store.clusterInformer,
				pools: this.#store.poolInformer,
				claims: this.#store.claims,
			},
			(key) => this.#password(key),
			this.#options.addressMode,
		);
	}

	/** What contradicts itself in the resources as they are now. @throws ControlError while the API server is away */
	async lint(): Promise<LintView> {
		const { nodes, bgpConfigurations, bgpPeers, bgpFilters } = this.#informers;
		const list = async (kind: ResourceKind) => (await this.#client.list(kind)).items.map(toResource);
		const items = (informer: Informer) => [...informer.items.values()];
		try {
			const [felixConfigurations, clusterInformations] = await Promise.all([list(this.#kinds.felixConfigurations), list(this.#kinds.clusterInformations)]);
			const resources = {
				nodes: items(nodes),
				pools: items(this.#store.poolInformer),
				bgpConfigurations: items(bgpConfigurations),
				bgpPeers: items(bgpPeers),
				bgpFilters: items(bgpFilters),
				felixConfigurations,
				clusterInformations,
			};
			return {
				checked: { nodes: resources.nodes.length, pools: resources.pools.length, peers: resources.bgpPeers.length, filters: resources.bgpFilters.length },
				findings: lint({ ...resources, password: (key) => this.#password(key) }),
			};
		} catch (error) {
			throw new ControlError(503, 'no-apiserver', `the API server did not answer: ${error instanceof Error ? error.message : String(error)}`);
		}
	}

	/** What BGP announces of this node's own, for `ipam check`. */
	setAnnounced(prefixes: ReadonlySet<PrefixKey>): void {
		this.#announced = prefixes;
	}

	/** Since when the API server is away; `undefined`: it answers. */
	awaySinceMs(): number | undefined {
		const since = this.#copies().flatMap(([, { failingSinceMs }]) => (failingSinceMs === undefined ? [] : [failingSinceMs]));
		return since.length === 0 ? undefined : Math.min(...since);
	}

	/** What this node has taken back since its start, and whether it is the one that does. */
	get garbage(): GarbageService['total'] {
		return this.#garbage.total;
	}

	/** Resources of addresses that are there and can't be read, as seen last. */
	get unreadable(): readonly UnreadableResource[] {
		return this.#store.unreadable();
	}

	get server(): string {
		return this.#client.server;
	}

	/** The layout of the resources. */
	get layout(): ApiLayout {
		return this.#layout;
	}

	/** The API server has not answered yet: what is known is of an earlier process. */
	get fromLastKnown(): boolean {
		return this.#restored && !this.#copies().every(([, { synced, refusal }]) => synced || refusal !== undefined);
	}

	/** Kinds that the API server does not let this node read, what it says, and what is missing without them. */
	get refusals(): readonly KindRefusal[] {
		const { secrets, ...single } = this.#informers;
		const all = [...Object.values(single), ...secrets, this.#felixConfigurations, this.#statusRequests, ...this.#store.informers];
		return kindRefusals(all, this.#store.namespaces);
	}

	/** Answers those who ask about this node by a CalicoNodeStatus, from now on. */
	report(sources: () => NodeStatusSources): void {
		this.#statusRequests.start();
		this.#reporter.start(sources);
	}

	/** `leaving`: the daemon ends for good as far as it knows, and the Node says so. */
	async stop(leaving: boolean): Promise<void> {
		this.#stopped = true;
		this.#timer?.cancel();
		const { clock, log } = this.#options;
		// Nobody waits for a server that does not answer.
		await within(Promise.all([this.#duties.stop(leaving && this.awaySinceMs() === undefined), this.#reporter.stop()]), goodbyeMs, clock).catch(
			(error: unknown) => log.warn('could not say goodbye to the API server', { error: error instanceof Error ? error.message : String(error) }),
		);
		const { secrets, ...single } = this.#informers;
		for (const informer of [...Object.values(single), ...secrets, this.#felixConfigurations, this.#statusRequests]) informer.stop();
		this.#store.stop();
		await this.#garbage.stop();
		await this.#keeper?.stop();
	}

	/** The copies that the state is read from. */
	#copies(): readonly (readonly [string, Informer])[] {
		const { nodes, bgpConfigurations, bgpPeers, bgpFilters, secrets } = this.#informers;
		const named = { nodes, bgpConfigurations, bgpPeers, bgpFilters, pools: this.#store.poolInformer, claims: this.#store.claims };
		return [...Object.entries(named), ...secrets.map((informer, index) => [`secrets-${secretNamespaces[index] ?? ''}`, informer] as const)];
	}

	#known(): LastKnown {
		const raw = ({ items }: Informer) => [...items.values()].map((resource) => resource.raw);
		const users = [...raw(this.#informers.bgpPeers), ...raw(this.#informers.bgpConfigurations)];
		const kept = ([name, informer]: readonly [string, Informer]) =>
			[name, name.startsWith('secrets-') ? namedSecrets(raw(informer), users) : raw(informer)] as const;
		return { layout: this.#layout, objects: Object.fromEntries(this.#copies().map(kept)) };
	}

	#changed(): void {
		if (this.#timer !== undefined || this.#stopped) return;
		this.#timer = this.#options.clock.after(settleMs, () => {
			this.#timer = undefined;
			const state = this.state();
			if (this.#copies().every(([, { synced }]) => synced)) this.#keeper?.changed();
			this.#problems.tell(state.problems);
			this.#listener?.(state);
			void this.#duties.perform();
		});
	}

	#password({ name, key }: SecretKey): string | undefined {
		for (const informer of this.#informers.secrets) {
			for (const namespace of secretNamespaces) {
				const encoded = textAt(informer.items.get(`${namespace}/${name}`)?.raw, 'data', key);
				if (encoded !== undefined) return Buffer.from(encoded, 'base64').toString('latin1');
			}
		}
		return undefined;
	}
}
