import { hostPrefix, parseAddress } from '../core/index.ts';
import { evaluate as selects } from '../selector/index.ts';
import type { PolicyCalculator } from './calculation/calculator.ts';
import { profile, profileKey, toPolicy } from './calculation/local-endpoints.ts';
import { orderTiers, type WorkloadStacks, workloadStacks } from './calculation/stack.ts';
import type { Packet } from './evaluate.ts';
import { type Journey, journey, type Place } from './journey.ts';
import type { PolicyModel, SetDefinition } from './model.ts';
import type { HostEndpoint, IpSet, NodePolicy, Policy, PolicyKey, SetId, WorkloadEndpoint } from './rules.ts';

/** One end of a question. */
export type TraceEnd =
	/** `NAMESPACE/NAME`. */
	| { readonly type: 'pod'; readonly name: string }
	/** A pod that need not exist, on this node. */
	| {
			readonly type: 'hypothetical';
			readonly namespace: string;
			readonly labels: Readonly<Record<string, string>>;
			readonly serviceAccount?: string;
	  }
	/** Canonical. */
	| { readonly type: 'address'; readonly address: string }
	| { readonly type: 'node'; readonly name: string }
	/** The interface of a HostEndpoint, by its name. */
	| { readonly type: 'host'; readonly name: string };

/** An end that was found. */
export interface ResolvedEnd {
	/** What people call it: `prod/web`, `node-a`, `203.0.113.7`. */
	readonly name: string;
	readonly place: Place;
	/** Canonical; absent: a node that is known by name only. */
	readonly address: string;
	readonly endpoint?: WorkloadEndpoint;
	/** Of a host endpoint: the interface that the connection uses at that node. */
	readonly interfaceName?: string;
}

/** An end that does not exist, or that has no address yet. */
export class UnknownEndError extends Error {
	override readonly name = 'UnknownEndError';
}

/** Stand-ins for the address of a pod that does not exist (RFC 5737, RFC 3849). */
const hypotheticalAddress = { ipv4: '192.0.2.1', ipv6: '2001:db8::1' } as const;
const hypotheticalName = 'hypothetical';

/**
 * Answers questions about any two ends of the cluster with a set of policies: the ones in force, or
 * others (`policy plan`). Endpoints of other nodes are computed on demand; host endpoints are those
 * of this node.
 */
export class PolicyTracer {
	readonly #calculator: PolicyCalculator;
	readonly #models: ReadonlyMap<PolicyKey, PolicyModel>;
	readonly #sets = new Map<SetId, IpSet>();
	readonly #policies = new Map<PolicyKey, Policy>();
	readonly #stacks = new Map<string, WorkloadStacks>();
	/** Sets that contain the hypothetical pod, by its address. */
	#hypothetical: { readonly address: string; readonly labels: Readonly<Record<string, string>> } | undefined;

	constructor(calculator: PolicyCalculator, models: ReadonlyMap<PolicyKey, PolicyModel>) {
		this.#calculator = calculator;
		this.#models = models;
	}

	/**
	 * Finds an end. `family` decides between the addresses of a pod with two. @throws UnknownEndError
	 */
	resolve(end: TraceEnd, family: 'ipv4' | 'ipv6' = 'ipv4'): ResolvedEnd {
		switch (end.type) {
			case 'pod':
				return this.#pod(end.name, family);
			case 'hypothetical': {
				const labels = this.#calculator.effectiveLabels(end);
				const address = hypotheticalAddress[family];
				this.#hypothetical = { address, labels };
				const endpoint = this.#endpoint(hypotheticalName, end.namespace, labels, [address]);
				const place: Place = { type: 'pod', key: hypotheticalName, node: this.#calculator.node };
				return { name: `a pod in ${end.namespace}`, place, address, endpoint };
			}
			case 'address': {
				const [pod] = this.#calculator.podsAt(end.address);
				if (pod !== undefined) return this.#pod(pod, end.address.includes(':') ? 'ipv6' : 'ipv4');
				const node = this.#calculator.nodeAt(end.address);
				const place: Place = node === undefined ? { type: 'outside' } : { type: 'node', node };
				return { name: node ?? end.address, place, address: end.address };
			}
			case 'node': {
				const address = this.#calculator
					.nodeAddresses(end.name)
					.find((one) => one.includes(':') === (family === 'ipv6'));
				if (address === undefined)
					throw new UnknownEndError(`node ${end.name} is not known, or has no ${family} address`);
				return { name: end.name, place: { type: 'node', node: end.name }, address };
			}
			case 'host':
				return this.#host(end.name, family);
			default:
				return end satisfies never;
		}
	}

	/** What each side does to a connection from one end to the other. */
	journey(from: ResolvedEnd, to: ResolvedEnd, probe: Omit<Packet, 'source' | 'destination'>, uplink: string): Journey {
		const packet: Packet = { source: parseAddress(from.address), destination: parseAddress(to.address), ...probe };
		const nodes = new Map<string, NodePolicy>();
		for (const { place, endpoint } of [from, to]) {
			if (place.type === 'outside') continue;
			const known = nodes.get(place.node) ?? this.#node(place.node);
			const workloads = new Map(known.workloads);
			if (endpoint !== undefined) workloads.set(endpoint.key, endpoint);
			nodes.set(place.node, { ...known, workloads });
		}
		const named = new Map(
			[to, from].map(({ place, interfaceName }) => [place.type === 'outside' ? '' : place.node, interfaceName]),
		);
		return journey(from.place, to.place, packet, { nodes, uplinkOf: (node) => named.get(node) ?? uplink });
	}

	#host(name: string, family: 'ipv4' | 'ipv6'): ResolvedEnd {
		const host = this.#calculator.hostEndpoint(name);
		if (host === undefined) throw new UnknownEndError(`host endpoint ${name} is not known`);
		const { node, addresses, interfaceName } = host;
		const address = addresses.find((one) => one.includes(':') === (family === 'ipv6'));
		if (address === undefined) throw new UnknownEndError(`host endpoint ${name} has no ${family} address`);
		return {
			...{ name, place: { type: 'node', node } as const, address },
			...(interfaceName === undefined || interfaceName === '*' ? {} : { interfaceName }),
		};
	}

	#pod(name: string, family: 'ipv4' | 'ipv6'): ResolvedEnd {
		const item = this.#calculator.pod(name);
		if (item?.namespace === undefined)
			throw new UnknownEndError(`pod ${name} is not known: it does not exist, has ended, or has its node's network`);
		const addresses = item.nets.map((net) => net.slice(0, net.lastIndexOf('/')));
		const address = addresses.find((one) => one.includes(':') === (family === 'ipv6')) ?? addresses[0];
		if (address === undefined) throw new UnknownEndError(`pod ${name} has no address yet`);
		const labels = this.#calculator.effectiveLabels({
			namespace: item.namespace,
			labels: item.labels,
			...(item.serviceAccount === undefined ? {} : { serviceAccount: item.serviceAccount }),
		});
		const place: Place = { type: 'pod', key: name, node: item.node ?? '' };
		return { name, place, address, endpoint: this.#endpoint(name, item.namespace, labels, addresses) };
	}

	#endpoint(
		key: string,
		namespace: string,
		labels: Readonly<Record<string, string>>,
		addresses: readonly string[],
	): WorkloadEndpoint {
		const matching = [...this.#models.values()].filter((model) => selects(model.selector, labels));
		const cacheKey = `${namespace} ${matching.map((model) => model.key).join(' ')}`;
		const stacks =
			this.#stacks.get(cacheKey) ??
			workloadStacks(orderTiers(matching, this.#calculator.tiers), [profileKey(`kns.${namespace}`)]);
		this.#stacks.set(cacheKey, stacks);
		for (const model of matching) {
			this.#policies.set(model.key, toPolicy(model));
			for (const definition of model.sets.values()) this.#materialize(definition);
		}
		const own = profileKey(`kns.${namespace}`);
		this.#policies.set(own, profile(own));
		return { type: 'workload', key, interfaceName: '', addresses, ...stacks };
	}

	#materialize(definition: SetDefinition): void {
		const made = this.#sets.get(definition.id) ?? this.#calculator.materialize(definition);
		const pod = this.#hypothetical;
		if (definition.type !== 'selector' || pod === undefined || !selects(definition.selector, pod.labels)) {
			this.#sets.set(definition.id, made);
			return;
		}
		this.#sets.set(definition.id, {
			id: made.id,
			type: made.type,
			meaning: made.meaning,
			members: new Set([...made.members, hostPrefix(pod.address)]),
		});
	}

	/** A node's host endpoints are known for this node alone. */
	#node(node: string): NodePolicy {
		const { state } = this.#calculator;
		// The hypothetical pod may have come after sets were made: look again.
		if (this.#hypothetical !== undefined)
			for (const model of this.#models.values())
				if (this.#policies.has(model.key)) for (const definition of model.sets.values()) this.#materialize(definition);
		const isOwn = node === this.#calculator.node;
		return {
			node,
			settings: state.settings,
			workloads: new Map(),
			hosts: isOwn ? state.hosts : new Map<string, HostEndpoint>(),
			policies: isOwn ? new Map([...state.policies, ...this.#policies]) : this.#policies,
			sets: isOwn ? new Map([...state.sets, ...this.#sets]) : this.#sets,
		};
	}
}
