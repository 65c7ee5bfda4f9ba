import type { LintView } from '../control/index.ts';
import type { Clock, Logger, PrefixKey, Random } from '../core/index.ts';
import { Allocator, conflictRetry, type IpamStore, type UnreadableResource } from '../ipam/index.ts';
import {
	ApiClient,
	type ApiLayout,
	type CalicoKinds,
	calicoKinds,
	KubernetesIpamStore,
	loadCredentials,
	type ServerAddresses,
	selectorMatchesIfReadable,
	serverStateOf,
} from '../kubernetes/index.ts';
import type { AddressHandlers } from './address-service.ts';
import { host } from './addresses/host.ts';
import { AddressDetector, type AddressFinding, type DetectionMethods } from './addresses/keeper.ts';
import { clusterAddresses } from './cluster-addresses.ts';
import { lintCluster } from './cluster-lint.ts';
import { connect } from './connect.ts';
import { type ClusterCopies, clusterCopies, watchBlock } from './copies.ts';
import { podsOfNode, untilPodsEnded } from './ending-pods.ts';
import { FollowedResources } from './followed-resources.ts';
import { type GarbageCollectionMode, GarbageService } from './garbage-service.ts';
import { HeldAddresses } from './held-addresses.ts';
import { HostFelix } from './host-felix.ts';
import { type HostLocalLedger, openLedger } from './host-local-ledger.ts';
import { storeForHost } from './host-store.ts';
import { type LastKnown, LastKnownWriter, lastKnownFile, writeLastKnown } from './last-known.ts';
import { NodeDuties, type NodeDutiesDependencies } from './node-duties.ts';
import type { NodeStatusSources } from './node-status.ts';
import { NodeStatusReporter } from './node-status-reporter.ts';
import { until, within } from './patience.ts';
import { PodAnnotations } from './pod-annotations.ts';
import type { KindRefusal } from './refusals.ts';
import type { AddressMode, ClusterState } from './state.ts';
import { passwordIn, StateFollower } from './state-follower.ts';

export interface ClusterOptions extends Pick<NodeDutiesDependencies, 'awaitsNetwork'> {
	readonly node: string;
	readonly kubeconfig: string | undefined;
	/** Addresses of the API server, in place of the one in the credentials. */
	readonly serverAddresses?: ServerAddresses;
	/** Folder of the last known state; `undefined`: none, and a start waits for the API server. */
	readonly stateDirectory: string | undefined;
	/** The source of pod addresses; for `host-local` with the folder of assigned addresses. */
	readonly addressMode: AddressMode;
	readonly addressDirectory: string | undefined;
	/** Mode and grace period of the garbage collection of addresses. */
	readonly garbageCollection: { readonly mode: GarbageCollectionMode; readonly graceMs: number };
	/** The detection methods for the node's own addresses. */
	readonly addressDetection: DetectionMethods;
}

export interface ClusterDependencies {
	readonly log: Logger;
	readonly clock: Clock;
	readonly random: Random;
	/** True if Calico's Felix runs as a service of this host, without a pod. */
	readonly felixRunsOnHost: () => Promise<boolean>;
}

const patienceMs = 5000;
const lastWritesMs = 2000;
/** A pod has 30 s to end unless its specification has another time, and the daemon 60 s. */
const endingPodsMs = 35_000;

/** One node's view of the cluster: follows its desired state, and runs the node's duties. */
export class Cluster {
	readonly allocator: Allocator;
	readonly addresses: AddressHandlers;
	readonly #options: ClusterOptions;
	readonly #dependencies: ClusterDependencies;
	readonly #client: ApiClient;
	readonly #store: KubernetesIpamStore;
	readonly #kinds: CalicoKinds;
	readonly #copies: ClusterCopies;
	readonly #followed: FollowedResources;
	/** The addresses of this node's pods in their annotations. */
	readonly podAnnotations: PodAnnotations;
	readonly duties: Pick<NodeDuties, 'perform' | 'setNetworkProblem' | 'stop'>;
	readonly #reporter: NodeStatusReporter;
	readonly #garbage: GarbageService;
	readonly #follower: StateFollower;
	readonly #held: HeldAddresses;
	readonly #detector: AddressDetector;
	readonly #hostFelix: HostFelix;
	readonly #layout: ApiLayout;
	/** True if it starts with the last known state of an earlier process. */
	readonly #restored: boolean;
	#keeper: LastKnownWriter | undefined;
	#announced: ReadonlySet<PrefixKey> = new Set();

	private constructor(
		options: ClusterOptions,
		dependencies: ClusterDependencies,
		client: ApiClient,
		layout: ApiLayout,
		ledger: HostLocalLedger | undefined,
		lastKnown: LastKnown | undefined,
	) {
		const { node } = options;
		const { log, clock, random, felixRunsOnHost } = dependencies;
		const kinds = calicoKinds(layout);
		this.#options = options;
		this.#dependencies = dependencies;
		this.#kinds = kinds;
		this.#client = client;
		this.#copies = clusterCopies({ node, client, kinds, log, clock, random });
		const { waitedFor, felixConfigurations, blocks, statusRequests } = this.#copies;
		const { nodes, pods } = waitedFor;
		this.#store = new KubernetesIpamStore({ client, layout, node, nodes, log, clock, random });
		this.#followed = new FollowedResources({
			copies: this.#copies,
			store: this.#store,
			layout,
			mode: options.addressMode,
			blocksListed: () => this.#follower.refresh(),
		});
		this.#detector = new AddressDetector({ node, nodes, methods: options.addressDetection, host, log });
		this.#hostFelix = new HostFelix({
			...{ clock, log, felixRunsOnHost },
			changed: () => this.#follower.touch(),
		});
		this.#held = new HeldAddresses({
			node,
			store: this.#store,
			isOwn: (block) => this.#follower.hasBlock(block),
			watch: (block, changed) => watchBlock({ client, kinds, log, clock, random }, block, changed),
			changed: () => this.#follower.touch(),
			clock,
			log,
		});
		this.allocator = new Allocator({
			observer: this.#held,
			node,
			store: this.#store,
			clock,
			random,
			retry: conflictRetry(random),
			log,
			selectorMatches: selectorMatchesIfReadable,
		});
		this.podAnnotations = new PodAnnotations({ client, pods, clock, random, log });
		const retry = conflictRetry(random);
		const { mode, graceMs } = options.garbageCollection;
		this.#garbage = new GarbageService({
			node,
			mode,
			graceMs,
			client,
			store: this.#store,
			allocator: this.allocator,
			retry,
			clock,
			random,
			log,
		});
		this.addresses = clusterAddresses({
			node,
			mode: options.addressMode,
			ledger,
			client,
			store: this.#store,
			allocator: this.allocator,
			garbage: this.#garbage,
			nodes,
			pods,
			released: () => void this.duties.perform(),
			announced: () => this.#announced,
			clock,
			log,
		});
		this.duties = new NodeDuties({
			awaitsNetwork: options.awaitsNetwork === true,
			node,
			client,
			nodes,
			pools: this.#store.poolInformer,
			addresses: this.#detector,
			allocator: this.allocator,
			store: this.#store,
			mode: options.addressMode,
			withdrawn: (cidr) => until(() => !this.#announced.has(cidr), patienceMs, clock),
			clock,
			log,
		});
		this.#reporter = new NodeStatusReporter({
			node,
			client,
			kind: kinds.nodeStatuses,
			requests: statusRequests,
			clock,
			log,
		});
		this.#follower = new StateFollower({
			node,
			copies: {
				...waitedFor,
				felixConfigurations,
				clusterInformations: this.#store.clusterInformer,
				pools: this.#store.poolInformer,
				claims: this.#store.claims,
				blocks,
			},
			mode: options.addressMode,
			heldAddresses: () => this.#held.addresses,
			felixOnHost: () => this.#hostFelix.runs,
			changed: () => {
				void this.#followed.followBlocks();
				if (this.#followed.isComplete) this.#keeper?.changed();
				void this.duties.perform();
			},
			clock,
			log,
		});
		this.#layout = layout;
		this.#restored = lastKnown !== undefined;
		this.#followed.restore(lastKnown);
		const file = lastKnownFile(options.stateDirectory, node);
		if (file !== undefined)
			this.#keeper = new LastKnownWriter(
				() => writeLastKnown(file, node, client.server, this.#followed.known()),
				clock,
				log,
			);
	}

	/**
	 * Connects. While the API server is away it waits, unless an earlier process stored a last
	 * known state. @throws Error for unreadable credentials
	 */
	static async open(options: ClusterOptions, dependencies: ClusterDependencies): Promise<Cluster> {
		const client = new ApiClient(
			await loadCredentials(options.kubeconfig, options.serverAddresses),
			dependencies.random,
		);
		const ledger = await openLedger(options.addressMode, options.addressDirectory, dependencies.log);
		const { layout, lastKnown } = await connect({ ...options, ...dependencies, client });
		return new Cluster(options, dependencies, client, layout, ledger, lastKnown);
	}

	/**
	 * Follows the cluster. Resolves with the first complete state that has an address for this
	 * node.
	 */
	async start(): Promise<ClusterState> {
		const followed = this.#followed;
		await this.#hostFelix.start();
		followed.start();
		const listed = followed.listed().then(() => {
			this.#keeper?.changed();
			this.#garbage.start();
			if (this.#options.addressMode === 'blocks') this.#held.start();
			return this.duties.perform();
		});
		if (!this.#restored) await listed;
		// On a node with Felix, the routes that Felix programs must be known before our first
		// route.
		const felixListed = followed.felixListed();
		if (followed.runsFelix || this.#hostFelix.runs)
			await within(felixListed, patienceMs, this.#dependencies.clock).catch(() => undefined);
		const blocks = followed.followBlocks();
		if (!this.#restored) await blocks;
		return this.#follower.start();
	}

	/** Subscribes to states after the first: there is one listener. */
	onChanges(listener: (state: ClusterState) => void): void {
		this.#follower.onChanges(listener);
	}

	/** The present state. */
	state(): ClusterState {
		return this.#follower.read();
	}

	/**
	 * Contradictions in the present resources. @throws ControlError while the API server is away
	 */
	lint(): Promise<LintView> {
		return lintCluster({
			client: this.#client,
			kinds: this.#kinds,
			copies: { ...this.#copies.waitedFor, pools: this.#store.poolInformer },
			store: this.#store,
			password: (key) => passwordIn(this.#copies.waitedFor.secrets, key),
		});
	}

	/** The node's own prefixes in BGP, for `ipam check`. */
	setAnnounced(prefixes: ReadonlySet<PrefixKey>): void {
		this.#announced = prefixes;
	}

	/** Start of the API server's outage, in milliseconds since 1970; `undefined`: it responds. */
	awaySinceMs(): number | undefined {
		const { log, clock } = this.#dependencies;
		return serverStateOf(this.#client, log, clock).awaySinceMs;
	}

	/** Totals of the garbage collection since the start, and whether this node is the collector. */
	get garbage(): GarbageService['total'] {
		return this.#garbage.total;
	}

	/** The results of the address detection, by family. */
	get addressFindings(): readonly AddressFinding[] {
		return this.#detector.findings;
	}

	/** Unusable resources, and contradictions between resources, as text. */
	get problems(): readonly string[] {
		return [...this.#detector.problems, ...this.#follower.problems];
	}

	/** Address resources that could not be read at their last read. */
	get unreadable(): readonly UnreadableResource[] {
		return this.#store.unreadable();
	}

	/** Allocation for a host that is no node, such as the virtual host of load balancers. */
	allocatorOf(host: string): { readonly allocator: Allocator; readonly store: IpamStore } {
		const { clock, random, log } = this.#dependencies;
		const store = storeForHost(this.#store, host);
		const retry = conflictRetry(random);
		const allocator = new Allocator({
			...{ node: host, store, clock, random, retry, log },
			selectorMatches: selectorMatchesIfReadable,
		});
		return { allocator, store };
	}

	/** The API client, for components that follow further resources. */
	get client(): ApiClient {
		return this.#client;
	}

	get server(): string {
		return this.#client.server;
	}

	/** The layout of the resources. */
	get layout(): ApiLayout {
		return this.#layout;
	}

	/** True until the API server responds: the state comes from an earlier process. */
	get fromLastKnown(): boolean {
		return this.#restored && !this.#followed.isAnswered;
	}

	/**
	 * Kinds that the API server does not let this node read, with the server's message and the lost
	 * function.
	 */
	get refusals(): readonly KindRefusal[] {
		return this.#followed.refusals;
	}

	/** Starts to report this node's status in CalicoNodeStatus resources. */
	report(sources: () => NodeStatusSources): void {
		this.#copies.statusRequests.start();
		this.#reporter.start(sources);
	}

	/**
	 * Before `stop`, while requests are still served: waits for the release of the addresses of pods
	 * in deletion, at most 35 s.
	 */
	async untilPodsEnded(): Promise<void> {
		const { clock, log } = this.#dependencies;
		const pods = () => podsOfNode(this.#client, this.#options.node, clock);
		// Without the API server nothing is released, and the shutdown is not delayed.
		const held = () => (this.awaySinceMs() === undefined ? this.#held.addresses : new Set<string>());
		await untilPodsEnded({ pods, held, clock, log }, endingPodsMs);
	}

	/** `leaving`: no restart is expected, and the Node's condition is set. */
	async stop(leaving: boolean): Promise<void> {
		this.#follower.stop();
		this.#hostFelix.stop();
		this.#held.stop();
		const { clock, log } = this.#dependencies;
		// A server that does not respond must not delay the shutdown.
		await within(
			Promise.all([this.duties.stop(leaving && this.awaySinceMs() === undefined), this.#reporter.stop()]),
			lastWritesMs,
			clock,
		).catch((error: unknown) =>
			log.warn('node condition not updated at shutdown', {
				error: error instanceof Error ? error.message : String(error),
			}),
		);
		this.#followed.stop();
		await this.#garbage.stop();
		await this.#keeper?.stop();
	}
}
