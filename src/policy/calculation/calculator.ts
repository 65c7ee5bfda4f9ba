import { hostPrefix, inOnePiece, type PrefixKey, podInterfaceName } from '../../core/index.ts';
import type { ProfileModel } from '../convert/profile.ts';
import type { EndpointSliceFacts, HostEndpointFacts, NamedPort, NetworkSetFacts } from '../convert/resources.ts';
import type { PodFacts } from '../endpoints.ts';
import { nodesSet, type PolicyModel, type SetDefinition, type TierModel } from '../model.ts';
import type { IpSet, NodePolicy, NodePolicyChange, NodeSettings, PolicyKey } from '../rules.ts';
import { AddressClaims } from './address-claims.ts';
import { LocalEndpoints, type LocalItem, profileKey } from './local-endpoints.ts';
import { MembershipIndex, type SelectableItem } from './members.ts';

export interface CalculatorOptions {
	/** Name of this node: its pods and host endpoints get policy. */
	readonly node: string;
	readonly settings: NodeSettings;
	/** Interfaces of this host by address, for host endpoints that name addresses only. */
	readonly hostInterfaces?: ReadonlyMap<string, string>;
	/** Interface prefix of pods, Calico's `interfacePrefix`. */
	readonly interfacePrefix?: string;
}

/** Where a host endpoint is. */
export interface HostEnd {
	readonly node: string;
	readonly interfaceName?: string;
	/** Canonical, of both families, the most specific first. */
	readonly addresses: readonly string[];
}

/**
 * The policy of one node, kept up to date: facts in, one `NodePolicyChange` for all of them out. A
 * change of a pod recomputes the sets whose selectors can match its labels; a change of a policy
 * the endpoints of this node that it selects. Policies that select no local endpoint cost their
 * model only, and their sets nothing.
 */
export class PolicyCalculator {
	readonly #options: CalculatorOptions;
	readonly #members = new MembershipIndex();
	readonly #local: LocalEndpoints;
	readonly #claims = new AddressClaims();
	/** Pods that lost an address to another pod that claims it; few. By key. */
	readonly #contested = new Map<string, PodFacts>();
	/** One list for all pods that name the same ports. */
	readonly #portLists = new Map<string, readonly NamedPort[]>();
	/** Names that very many pods share, one text for all of them. */
	readonly #names = new Map<string, string>();
	readonly #hosts = new Map<string, HostEndpointFacts>();
	/** Labels that profiles give to host endpoints. */
	readonly #profileLabels = new Map<string, Readonly<Record<string, string>>>();
	#settings: NodeSettings;
	#settingsChanged = true;

	constructor(options: CalculatorOptions) {
		this.#options = options;
		this.#settings = options.settings;
		this.#local = new LocalEndpoints(this.#members);
		this.#members.acquire(nodesSet);
	}

	/** Adds or changes a pod. */
	setPod(pod: PodFacts): void {
		const key = this.#members.index.item(podKey(pod.key))?.key ?? inOnePiece(podKey(pod.key));
		const rank = pod.ending ? 'ending' : 'live';
		const affected = new Set<string>();
		const nets = pod.addresses.map(hostPrefix);
		for (const net of nets) for (const other of this.#claims.claim(net, key, rank)) affected.add(other);
		for (const net of this.#claimedBy(key))
			if (!nets.includes(net)) for (const other of this.#claims.release(net, key)) affected.add(other);
		this.#putPod(key, pod, nets);
		this.#settleClaims(affected);
		if (pod.node === this.#options.node) this.#local.put(localPod(pod, this.#options.interfacePrefix));
		else this.#local.delete(key);
	}

	/** Removes a pod, by `NAMESPACE/NAME`; one that is not there is fine. */
	removePod(name: string): void {
		const key = podKey(name);
		if (this.#members.index.item(key) === undefined) return;
		const affected = new Set<string>();
		for (const net of this.#claimedBy(key)) for (const other of this.#claims.release(net, key)) affected.add(other);
		this.#contested.delete(key);
		this.#members.index.delete(key);
		this.#local.delete(key);
		this.#settleClaims(affected);
	}

	/** Labels of a namespace; `undefined`: it is gone. */
	setNamespace(name: string, labels: Readonly<Record<string, string>> | undefined): void {
		this.#members.index.setParent(name, undefined, labels);
		this.#local.setParent(name, undefined, labels);
	}

	/** Labels of a service account; `undefined`: it is gone. */
	setServiceAccount(namespace: string, name: string, labels: Readonly<Record<string, string>> | undefined): void {
		this.#members.index.setParent(namespace, name, labels);
		this.#local.setParent(namespace, name, labels);
	}

	setNetworkSet({ name, namespace, labels, nets }: NetworkSetFacts): void {
		const key = setKey(namespace, name);
		this.#members.index.put({ key, labels, nets, ports: [], ...(namespace === undefined ? {} : { namespace }) });
	}

	removeNetworkSet(namespace: string | undefined, name: string): void {
		this.#members.index.delete(setKey(namespace, name));
	}

	setHostEndpoint(host: HostEndpointFacts): void {
		this.#hosts.set(host.name, host);
		const key = hostKey(host.name);
		const nets = host.expectedAddresses.map(hostPrefix);
		// Of profiles with the same label the first one has it.
		const inherited = host.profiles.toReversed().map((name) => this.#profileLabels.get(name));
		const labels = Object.assign({}, ...inherited, host.labels) as Readonly<Record<string, string>>;
		this.#members.index.put({ key, labels, nets, ports: host.ports });
		const interfaceName = host.interfaceName ?? this.#interfaceOf(host.expectedAddresses);
		if (host.node !== this.#options.node || interfaceName === undefined) this.#local.delete(key);
		else
			this.#local.put({
				type: 'host',
				key,
				name: host.name,
				labels,
				interfaceName,
				profiles: host.profiles,
			});
	}

	removeHostEndpoint(name: string): void {
		this.#hosts.delete(name);
		this.#members.index.delete(hostKey(name));
		this.#local.delete(hostKey(name));
	}

	setProfile(profile: ProfileModel): void {
		this.#local.setProfile(profile);
		this.#setProfileLabels(profile.name, profile.labels);
	}

	/** Host endpoints that name it have a profile without rules and labels then. */
	removeProfile(name: string): void {
		this.#local.removeProfile(profileKey(name));
		this.#setProfileLabels(name, undefined);
	}

	#setProfileLabels(name: string, labels: Readonly<Record<string, string>> | undefined): void {
		if (labels === undefined) this.#profileLabels.delete(name);
		else this.#profileLabels.set(name, labels);
		for (const host of this.#hosts.values()) if (host.profiles.includes(name)) this.setHostEndpoint(host);
	}

	setPolicy(policy: PolicyModel): void {
		this.#local.setPolicy(policy);
	}

	removePolicy(key: PolicyKey): void {
		this.#local.removePolicy(key);
	}

	setTier(tier: TierModel): void {
		this.#local.setTier(tier);
	}

	/** A built-in tier stays. */
	removeTier(name: string): void {
		this.#local.removeTier(name);
	}

	setSlice(slice: EndpointSliceFacts): void {
		this.#members.setSlice(slice);
	}

	removeSlice(slice: Pick<EndpointSliceFacts, 'namespace' | 'service' | 'name'>): void {
		this.#members.removeSlice(slice);
	}

	/** Canonical addresses of a node, tunnels included; none: it is gone. */
	setNode(name: string, addresses: readonly string[]): void {
		this.#members.setNode(name, addresses);
	}

	setSettings(settings: NodeSettings): void {
		if (JSON.stringify(settings) === JSON.stringify(this.#settings)) return;
		this.#settings = settings;
		this.#settingsChanged = true;
	}

	/**
	 * Everything that changed since the last call; the first one is the whole state. `undefined`:
	 * nothing changed.
	 */
	takeChange(): NodePolicyChange | undefined {
		// Endpoints first: they decide which policies, and these which sets, are in use.
		const endpoints = this.#local.takeChanges();
		const sets = this.#members.takeChanges();
		const change: NodePolicyChange = {
			...sets,
			...endpoints,
			...(this.#settingsChanged ? { settings: this.#settings } : {}),
		};
		this.#settingsChanged = false;
		const changed = Object.values(change).some((part) => !Array.isArray(part) || part.length > 0);
		return changed ? change : undefined;
	}

	/** The state after the last `takeChange`, live: maps change with the next one. */
	get state(): NodePolicy {
		return {
			node: this.#options.node,
			policies: this.#local.policies,
			sets: this.#members.sets,
			workloads: this.#local.workloads,
			hosts: this.#local.hosts,
			settings: this.#settings,
		};
	}

	/**
	 * Labels of a pod, its own and inherited ones, as selectors see them; of one that may not exist.
	 */
	effectiveLabels(pod: Pick<PodFacts, 'namespace' | 'labels' | 'serviceAccount'>): Readonly<Record<string, string>> {
		return this.#members.index.effectiveLabels({ key: '', orchestrated: true, ...pod });
	}

	/** A pod of the cluster, by `NAMESPACE/NAME`. */
	pod(name: string): SelectableItem | undefined {
		return this.#members.index.item(podKey(name));
	}

	/** Names of the pods that claim an address; usually one. */
	podsAt(address: string): readonly string[] {
		return this.#claims.claimants(hostPrefix(address)).map((key) => key.slice(podKey('').length));
	}

	/** The node that has an address. */
	nodeAt(address: string): string | undefined {
		return this.#members.nodeAt(address);
	}

	/** Canonical addresses of a node. */
	nodeAddresses(name: string): readonly string[] {
		return this.#members.nodeAddresses(name);
	}

	/**
	 * A host endpoint of any node: its interface, where one is known, and its addresses, else those
	 * of the node; `undefined`: there is none of that name.
	 */
	hostEndpoint(name: string): HostEnd | undefined {
		const host = this.#hosts.get(name);
		if (host === undefined) return undefined;
		const { node } = host;
		const interfaceName =
			host.interfaceName ?? (node === this.node ? this.#interfaceOf(host.expectedAddresses) : undefined);
		const ofInterface =
			node === this.node
				? [...(this.#options.hostInterfaces ?? [])].flatMap(([address, device]) =>
						device === interfaceName ? [address] : [],
					)
				: [];
		const addresses = [...host.expectedAddresses, ...ofInterface, ...this.nodeAddresses(node)];
		return { node, addresses, ...(interfaceName === undefined ? {} : { interfaceName }) };
	}

	/** One pod, by name, for each combination of labels, namespace and service account. */
	*kindsOfPods(): Iterable<string> {
		for (const { key, nets } of this.#members.index.representatives())
			if (key.startsWith(podKey('')) && nets.length > 0) yield key.slice(podKey('').length);
	}

	/** A set that a rule refers to, whether it is in use on this node or not. */
	materialize(definition: SetDefinition): IpSet {
		return this.#members.materialize(definition);
	}

	/** Tiers of the cluster, by name. */
	get tiers(): ReadonlyMap<string, TierModel> {
		return this.#local.tiers;
	}

	get node(): string {
		return this.#options.node;
	}

	/** Sizes, for metrics. */
	get counts(): { readonly items: number; readonly labelClasses: number; readonly policies: number } {
		const { itemCount, classCount } = this.#members.index;
		return { items: itemCount, labelClasses: classCount, policies: this.#local.policyCount };
	}

	/** `claimed`: the texts that are in the table of claims, one for both. */
	#putPod(key: string, pod: PodFacts, claimed: readonly PrefixKey[]): void {
		const nets = claimed.filter((net) => this.#claims.holds(net, key));
		if (nets.length < claimed.length) this.#contested.set(key, pod);
		else this.#contested.delete(key);
		const before = this.#members.index.item(key);
		this.#members.index.put({
			key,
			labels: pod.labels,
			node: this.#shared(pod.node),
			namespace: this.#shared(pod.namespace),
			...(pod.serviceAccount === undefined ? {} : { serviceAccount: this.#shared(pod.serviceAccount) }),
			orchestrated: true,
			nets: before !== undefined && sameList(before.nets, nets) ? before.nets : nets,
			ports: this.#sharedPorts(pod.ports),
		});
	}

	/** Re-reads what other claimants of an address hold. */
	#settleClaims(keys: ReadonlySet<string>): void {
		for (const key of keys) {
			const pod = this.#contested.get(key) ?? this.#restore(key);
			if (pod !== undefined) this.#putPod(key, pod, pod.addresses.map(hostPrefix));
		}
	}

	#claimedBy(key: string): readonly PrefixKey[] {
		return this.#contested.get(key)?.addresses.map(hostPrefix) ?? this.#members.index.item(key)?.nets ?? [];
	}

	/** The facts of a pod that was uncontested until now, from its item. */
	#restore(key: string): PodFacts | undefined {
		const item = this.#members.index.item(key);
		if (item?.namespace === undefined) return undefined;
		return {
			key: key.slice(podKey('').length),
			namespace: item.namespace,
			name: '',
			node: item.node ?? '',
			labels: item.labels,
			...(item.serviceAccount === undefined ? {} : { serviceAccount: item.serviceAccount }),
			addresses: addressesOf(item),
			ports: item.ports,
			ending: false,
		};
	}

	#sharedPorts(ports: readonly NamedPort[]): readonly NamedPort[] {
		const text = ports.map(({ name, protocol, port }) => `${name},${protocol},${port}`).join(' ');
		const shared = this.#portLists.get(text);
		if (shared !== undefined) return shared;
		this.#portLists.set(text, ports);
		return ports;
	}

	#shared(name: string): string {
		const known = this.#names.get(name);
		if (known !== undefined) return known;
		this.#names.set(name, name);
		return name;
	}

	#interfaceOf(addresses: readonly string[]): string | undefined {
		for (const address of addresses) {
			const name = this.#options.hostInterfaces?.get(address);
			if (name !== undefined) return name;
		}
		return undefined;
	}
}

const podKey = (name: string): string => `pod ${name}`;
const hostKey = (name: string): string => `host ${name}`;
const setKey = (namespace: string | undefined, name: string): string =>
	namespace === undefined ? `set ${name}` : `set ${namespace}/${name}`;

const addressesOf = (item: SelectableItem | undefined): readonly string[] =>
	(item?.nets ?? []).map((net: PrefixKey) => net.slice(0, net.lastIndexOf('/')));

function localPod(pod: PodFacts, prefix: string | undefined): LocalItem {
	return {
		type: 'workload',
		key: podKey(pod.key),
		name: pod.key,
		labels: pod.labels,
		namespace: pod.namespace,
		...(pod.serviceAccount === undefined ? {} : { serviceAccount: pod.serviceAccount }),
		orchestrated: true,
		interfaceName: podInterfaceName(pod.namespace, pod.name, prefix),
		addresses: pod.addresses,
		profiles: [`kns.${pod.namespace}`],
	};
}

const sameList = (left: readonly string[], right: readonly string[]): boolean =>
	left.length === right.length && left.every((item, index) => item === right[index]);
