import { ControlError } from '../../control/index.ts';
import type { Clock, Logger, Random, Timer } from '../../core/index.ts';
import { type JsonObject, objectAt, textAt } from '../../json/index.ts';
import { type ApiClient, type ApiLayout, Informer, type Resource } from '../../kubernetes/index.ts';
import type { PodEndpoint } from '../../node/index.ts';
import {
	bpfEnabledOf,
	defaultNodeSettings,
	type PodFacts,
	PolicyCalculator,
	PolicyFeed,
	type PolicyKernel,
	PolicyPlane,
	type PolicyProblem,
	PolicyProgress,
	settingsFromFelix,
	toPodFacts,
} from '../../policy/index.ts';
import { boundGarbage } from './heap.ts';
import { boundHeapGrowth } from './heap-growth.ts';
import { type FollowedKind, followedKinds, sliceKind } from './kinds.ts';
import { policyNameOf } from './names.ts';

export interface PolicySideDependencies {
	readonly node: string;
	/** `undefined`: resources are read only from files. */
	readonly cluster: { readonly client: ApiClient; readonly layout: ApiLayout } | undefined;
	/** `undefined`: policies are computed and shown, and not enforced. */
	readonly kernel: PolicyKernel | undefined;
	/** Addresses of this host, and their interfaces. */
	readonly hostInterfaces: ReadonlyMap<string, string>;
	/**
	 * The kernel has a generation of a policy that it did not have before, began to refuse, or
	 * stopped to.
	 */
	readonly onProgress?: () => void;
	/** `bpfEnabled` of FelixConfiguration, at each change of one; `undefined`: not set. */
	readonly onDataplane?: (bpfEnabled: boolean | undefined) => void;
	readonly clock: Clock;
	readonly random: Random;
	readonly log: Logger;
}

/** Time that a container waits for its policy before the runtime has to retry. */
const securedWithinMs = 30_000;
const filesSource = 'files';

/**
 * Network policy at this node: follows the resources, computes, and passes the result to the plane.
 */
export class PolicySide {
	readonly calculator: PolicyCalculator;
	readonly feed: PolicyFeed;
	readonly plane: PolicyPlane;
	/** Which generation of each policy is in the kernel. */
	readonly progress = new PolicyProgress();
	readonly #dependencies: PolicySideDependencies;
	readonly #informers: Informer[] = [];
	readonly #waitingFor = new Set<string>();
	readonly #felix = new Map<string, JsonObject>();
	#felixProblems: readonly PolicyProblem[] = [];
	#ofFiles = new Map<string, JsonObject>();
	#followsSlices = false;
	#failed = false;
	/** Ends the bound of the heap that holds while the first lists are read. */
	#endBound = (): void => {};
	/**
	 * Addresses that this node assigned, until the pod's status contains them. By `NAMESPACE/NAME`.
	 */
	readonly #given = new Map<string, readonly string[]>();
	/**
	 * Pods of this node that the watch reported before they had an address. By `NAMESPACE/NAME`.
	 */
	readonly #unaddressed = new Map<string, PodFacts>();
	/** UIDs of the cluster's Nodes. By name. */
	readonly #nodes = new Map<string, string | undefined>();
	/** Called when a pod of this node is known. By `NAMESPACE/NAME`. */
	readonly #awaited = new Map<string, Set<() => void>>();

	constructor(dependencies: PolicySideDependencies) {
		const { node, cluster, kernel, hostInterfaces, clock, random, log } = dependencies;
		this.#dependencies = dependencies;
		this.calculator = new PolicyCalculator({ node, settings: defaultNodeSettings, hostInterfaces });
		this.feed = new PolicyFeed(this.calculator);
		const kinds = cluster === undefined ? [] : followedKinds(cluster.layout);
		const sources = [
			filesSource,
			...kinds.map(({ source }) => source),
			...(cluster === undefined ? [] : [sliceKind.source]),
		];
		for (const source of sources) this.#waitingFor.add(source);
		this.plane = new PolicyPlane({
			...{ calculator: this.calculator, kernel, sources, clock, random, log },
			onTaken: () => {
				const programmed = this.progress.taken();
				return () => {
					const isNew = programmed(new Date(clock.wallMs()).toISOString());
					if (isNew || this.#failed) dependencies.onProgress?.();
					this.#failed = false;
				};
			},
			onFailed: () => {
				if (!this.#failed) dependencies.onProgress?.();
				this.#failed = true;
			},
		});
		for (const kind of kinds) this.#follow(kind);
	}

	/** Copies of resources, for health. */
	get informers(): readonly Informer[] {
		return this.#informers;
	}

	/** UIDs of the cluster's Nodes by name; without a cluster none. */
	get nodes(): ReadonlyMap<string, string | undefined> {
		return this.#nodes;
	}

	/** Of FelixConfiguration. */
	get settingsProblems(): readonly PolicyProblem[] {
		return this.#felixProblems;
	}

	/** Starts to follow. `objects` are those of the resource files. */
	start(objects: readonly JsonObject[]): void {
		if (this.#informers.length > 0) this.#endBound = boundHeapGrowth();
		this.setFiles(objects);
		for (const informer of this.#informers) informer.start();
	}

	/** The objects of the resource files, all of them. */
	setFiles(objects: readonly JsonObject[]): void {
		const key = (raw: JsonObject) =>
			`${String(raw['apiVersion'])} ${String(raw['kind'])} ` +
			`${JSON.stringify(objectAt(raw, 'metadata')['namespace'])} ` +
			`${String(objectAt(raw, 'metadata')['name'])}`;
		const after = new Map(objects.map((raw) => [key(raw), raw]));
		for (const [id, raw] of this.#ofFiles) if (!after.has(id)) this.#put(raw, false);
		for (const raw of after.values()) this.#put(raw, true);
		this.#ofFiles = after;
		this.#complete(filesSource);
		this.plane.touch();
	}

	/** Resolves when the policy of a new pod is in the kernel. @throws ControlError on timeout */
	async secured({ pod, addresses }: PodEndpoint): Promise<void> {
		if (!this.plane.isEnforcing || pod === undefined) return;
		const key = `${pod.namespace}/${pod.name}`;
		this.#given.set(key, addresses);
		// The watch may have reported the pod before it had an address.
		const known = this.#unaddressed.get(key);
		if (known !== undefined) {
			this.calculator.setPod({ ...known, addresses });
			this.plane.touch();
		}
		const { clock } = this.#dependencies;
		let timer: Timer | undefined;
		const tooLate = new Promise<never>((_, reject) => {
			timer = clock.after(securedWithinMs, () =>
				reject(
					new ControlError(
						503,
						'no-policy',
						`the policy of pod ${key} does not stand after ${securedWithinMs / 1000} s`,
						'bgpmesh policy status shows what is waited for',
					),
				),
			);
		});
		try {
			await Promise.race([this.#known(key).then(() => this.plane.programmed()), tooLate]);
		} finally {
			timer?.cancel();
		}
	}

	/** Stops following; enforced policy stays. */
	stop(): void {
		this.#endBound();
		for (const informer of this.#informers) informer.stop();
	}

	/** The watch has reported a pod of this node. */
	#known(key: string): Promise<void> {
		if (this.calculator.pod(key)?.node === this.calculator.node) return Promise.resolve();
		return new Promise((resolve) => {
			const waiting = this.#awaited.get(key) ?? new Set();
			this.#awaited.set(key, waiting.add(resolve));
		});
	}

	#follow({ source, kind, prune, mayLack }: FollowedKind): void {
		const { cluster, clock, random, log } = this.#dependencies;
		if (cluster === undefined) return;
		if (source === 'pods') boundGarbage();
		const informer = new Informer({
			...{ client: cluster.client, kind, clock, random, log, firstList: 'any', prune, keep: 'versions' },
			...(mayLack === true ? { mayLack, without: `network policy by ${kind.kind}` } : {}),
		});
		informer.onChanges((changes) => {
			for (const { type, resource } of changes) {
				const present = type !== 'removed';
				const raw = present ? { ...resource.raw, kind: kind.kind, apiVersion: kind.apiVersion } : shell(kind, resource);
				this.#follows(source, raw, present);
				this.#put(raw, present);
			}
			this.plane.touch();
		});
		informer.onAnswered(() => this.#complete(source));
		this.#informers.push(informer);
	}

	/** Keeps which version of a policy arrived. */
	#follows(source: string, raw: JsonObject, present: boolean): void {
		if (raw['kind'] === 'Node') {
			const { name, uid } = objectAt(raw, 'metadata');
			if (present) this.#nodes.set(String(name), typeof uid === 'string' ? uid : undefined);
			else this.#nodes.delete(String(name));
			return;
		}
		const policy = policyNameOf(raw);
		if (policy === undefined) return;
		const { generation } = objectAt(raw, 'metadata');
		const version = textAt(raw, 'metadata', 'resourceVersion') ?? '';
		if (present) this.progress.seen(source, policy, typeof generation === 'number' ? generation : 0, version);
		else this.progress.gone(policy);
	}

	#put(raw: JsonObject, present: boolean): void {
		if (raw['kind'] === 'FelixConfiguration') this.#setFelix(raw, present);
		else if (raw['kind'] === 'Pod') this.#putPod(raw, present);
		else if (present) this.feed.put(raw);
		else this.feed.remove(raw);
		this.#followSlicesIfUsed();
	}

	#putPod(raw: JsonObject, present: boolean): void {
		const { namespace, name } = objectAt(raw, 'metadata');
		const key = `${String(namespace)}/${String(name)}`;
		const pod = present ? toPodFacts(raw) : undefined;
		if (pod === undefined) {
			this.#given.delete(key);
			this.#unaddressed.delete(key);
			this.calculator.removePod(key);
			return;
		}
		const given = this.#given.get(key);
		if (pod.addresses.length > 0) this.#given.delete(key);
		if (pod.addresses.length === 0 && pod.node === this.calculator.node) this.#unaddressed.set(key, pod);
		else this.#unaddressed.delete(key);
		this.calculator.setPod(pod.addresses.length === 0 && given !== undefined ? { ...pod, addresses: given } : pod);
		if (pod.node !== this.calculator.node) return;
		for (const resolve of this.#awaited.get(key) ?? []) resolve();
		this.#awaited.delete(key);
	}

	#setFelix(raw: JsonObject, present: boolean): void {
		const name = String(objectAt(raw, 'metadata')['name']);
		if (present) this.#felix.set(name, raw);
		else this.#felix.delete(name);
		const { node, onDataplane } = this.#dependencies;
		const [cluster, own] = [this.#felix.get('default'), this.#felix.get(`node.${node}`)];
		const { settings, problems } = settingsFromFelix(defaultNodeSettings, cluster, own);
		this.#felixProblems = problems;
		onDataplane?.(bpfEnabledOf(cluster, own));
		this.calculator.setSettings(settings);
	}

	#complete(source: string): void {
		this.#waitingFor.delete(source);
		if (this.#waitingFor.size <= 1) this.#endBound();
		// Policies are known: are services needed?
		if (this.#waitingFor.size === 1 && this.#waitingFor.has(sliceKind.source)) {
			this.#followSlicesIfUsed();
			if (!this.#followsSlices) this.#waitingFor.delete(sliceKind.source);
			if (!this.#followsSlices) this.plane.inSync(sliceKind.source);
		}
		this.plane.inSync(source);
	}

	/** Thousands of objects: a cluster whose rules reference no service does not need them here. */
	#followSlicesIfUsed(): void {
		if (this.#followsSlices || this.#dependencies.cluster === undefined || !this.feed.usesServices) return;
		this.#followsSlices = true;
		this.#follow(sliceKind);
		this.#informers.at(-1)?.start();
	}
}

/** The remaining data of a removed object in the copy. */
const shell = ({ kind, apiVersion }: FollowedKind['kind'], resource: Resource): JsonObject => ({
	kind,
	apiVersion,
	metadata: {
		name: resource.name,
		...(resource.namespace === undefined ? {} : { namespace: resource.namespace }),
	},
});
