/**
 * A second evaluator of policies, written from the API documentation: it reads resources directly,
 * for every packet anew, and shares no code with the conversion, the index and the representation.
 * Selectors of Calico's language are parsed by `src/selector`, whose vectors come from Calico's own
 * parser. It is slow on purpose.
 */
import { parseAddress, parsePrefix, prefixContains } from '../../src/core/index.ts';
import { evaluate, parseSelector } from '../../src/selector/index.ts';

// Resources are read without a schema, as written.
// biome-ignore lint/suspicious/noExplicitAny: the generator makes the objects
type Raw = any;

export interface OraclePacket {
	readonly source: string;
	readonly destination: string;
	readonly protocol: 'TCP' | 'UDP' | 'ICMP';
	readonly port: number;
}
type Action = 'allow' | 'deny' | 'pass';

/** An object with addresses. */
interface Entity {
	readonly labels: Record<string, string>;
	readonly namespace: string | undefined;
	readonly namespaceLabels: Record<string, string>;
	readonly account: string | undefined;
	readonly accountLabels: Record<string, string>;
	readonly isPod: boolean;
	readonly ports: readonly { name: string; protocol: string; containerPort: number }[];
}

interface OraclePolicy {
	readonly tier: string;
	readonly order: number;
	readonly sortKey: readonly [string, string, string];
	selects(pod: Entity, direction: 'ingress' | 'egress'): boolean;
	decide(direction: 'ingress' | 'egress', packet: OraclePacket): Action | undefined;
}

export class Oracle {
	readonly #objects: readonly Raw[];

	constructor(objects: readonly Raw[]) {
		this.#objects = objects;
	}

	/** Is the packet allowed by the policies of one pod in one direction? */
	allows(pod: Raw, direction: 'ingress' | 'egress', packet: OraclePacket): boolean {
		const subject = this.#podEntity(pod);
		const policies = this.#policies().filter((policy) => policy.selects(subject, direction));
		const tiers = this.#tiers();
		const names = [...new Set(policies.map(({ tier }) => tier))].sort((left, right) => {
			const [a, b] = [tiers.get(left), tiers.get(right)];
			if ((a === undefined) !== (b === undefined)) return a === undefined ? 1 : -1;
			const [x, y] = [a?.order ?? Number.POSITIVE_INFINITY, b?.order ?? Number.POSITIVE_INFINITY];
			return x === y ? (left < right ? -1 : 1) : x - y;
		});
		for (const name of names) {
			const inTier = policies.filter(({ tier }) => tier === name).sort(compare);
			let decided: Action | undefined;
			for (const policy of inTier) {
				decided = policy.decide(direction, packet);
				if (decided !== undefined) break;
			}
			decided ??= tiers.get(name)?.action ?? 'deny';
			if (decided !== 'pass') return decided === 'allow';
		}
		return true;
	}

	#all(kind: string, group?: string): Raw[] {
		return this.#objects.filter(
			(raw) => raw.kind === kind && (group === undefined || raw.apiVersion.startsWith(group)),
		);
	}

	#tiers(): Map<string, { order: number; action: Action }> {
		const tiers = new Map<string, { order: number; action: Action }>([
			['kube-admin', { order: 1000, action: 'pass' }],
			['default', { order: 1_000_000, action: 'deny' }],
			['kube-baseline', { order: 10_000_000, action: 'pass' }],
		]);
		for (const { metadata, spec } of this.#all('Tier'))
			tiers.set(metadata.name, {
				order: spec.order ?? Number.POSITIVE_INFINITY,
				action: spec.defaultAction === 'Pass' ? 'pass' : 'deny',
			});
		return tiers;
	}

	/** Pods that take part in policy. */
	pods(): Raw[] {
		return this.#all('Pod').filter(({ spec, status }) => !spec.hostNetwork && status.phase === 'Running');
	}

	#podEntity({ metadata, spec }: Raw): Entity {
		const { namespace } = metadata;
		const account = spec.serviceAccountName;
		return {
			labels: metadata.labels,
			namespace,
			namespaceLabels: this.#namespaceLabels(namespace),
			account,
			accountLabels: {
				...this.#all('ServiceAccount').find(
					(raw) => raw.metadata.namespace === namespace && raw.metadata.name === account,
				)?.metadata.labels,
				'projectcalico.org/name': account,
			},
			isPod: true,
			ports: spec.containers[0].ports,
		};
	}

	#namespaceLabels(namespace: string): Record<string, string> {
		const found = this.#all('Namespace').find((raw) => raw.metadata.name === namespace);
		return { ...found?.metadata.labels, 'projectcalico.org/name': namespace };
	}

	/** Everything whose addresses include this one. A terminating pod yields to a running one. */
	#at(address: string): Entity[] {
		const claimants = this.pods().filter(({ status }) => status.podIP === address);
		const live = claimants.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
		const sets = [...this.#all('NetworkSet'), ...this.#all('GlobalNetworkSet')].filter(({ spec }) =>
			spec.nets.some((net: string) => contains(net, address)),
		);
		return [
			...(live.length > 0 ? live : claimants).map((pod) => this.#podEntity(pod)),
			...sets.map(
				({ metadata }): Entity => ({
					labels: metadata.labels,
					namespace: metadata.namespace,
					namespaceLabels: metadata.namespace === undefined ? {} : this.#namespaceLabels(metadata.namespace),
					account: undefined,
					accountLabels: {},
					isPod: false,
					ports: [],
				}),
			),
		];
	}

	#policies(): OraclePolicy[] {
		return [
			...this.#all('NetworkPolicy', 'networking.k8s.io').map((raw) => this.#kubernetes(raw)),
			...this.#all('NetworkPolicy', 'projectcalico.org').map((raw) => this.#calico(raw)),
			...this.#all('GlobalNetworkPolicy').map((raw) => this.#calico(raw)),
			...this.#all('ClusterNetworkPolicy').map((raw) => this.#cluster(raw)),
		];
	}

	#kubernetes({ metadata, spec }: Raw): OraclePolicy {
		const types = spec.policyTypes ?? ['Ingress', ...((spec.egress ?? []).length > 0 ? ['Egress'] : [])];
		const isSubject = (entity: Entity) =>
			entity.isPod && entity.namespace === metadata.namespace && selected(spec.podSelector, entity.labels);
		const isPeer = (peer: Raw, entity: Entity) =>
			entity.isPod &&
			(peer.namespaceSelector === undefined
				? entity.namespace === metadata.namespace
				: selected(peer.namespaceSelector, entity.namespaceLabels)) &&
			selected(peer.podSelector ?? {}, entity.labels);
		return {
			tier: 'default',
			order: 1000,
			sortKey: [metadata.name, metadata.namespace, 'kubernetes-network-policy'],
			selects: (pod, direction) => isSubject(pod) && types.includes(direction === 'ingress' ? 'Ingress' : 'Egress'),
			decide: (direction, packet) => {
				const other = direction === 'ingress' ? packet.source : packet.destination;
				const allowed = (spec[direction] ?? []).some((rule: Raw) => {
					const peers = rule[direction === 'ingress' ? 'from' : 'to'] ?? [undefined];
					return peers.some((peer: Raw) => {
						const matches =
							peer === undefined ||
							(peer.ipBlock === undefined
								? this.#at(other).some((entity) => isPeer(peer, entity))
								: contains(peer.ipBlock.cidr, other) &&
									!(peer.ipBlock.except ?? []).some((net: string) => contains(net, other)));
						// A named port is one of the pod that receives.
						const owner = (entity: Entity) =>
							direction === 'ingress'
								? isSubject(entity)
								: peer === undefined || peer.ipBlock !== undefined || isPeer(peer, entity);
						return (
							matches &&
							(rule.ports === undefined ||
								rule.ports.some((port: Raw) =>
									this.#port(port.protocol ?? 'TCP', port.port, port.endPort, packet, owner),
								))
						);
					});
				});
				return allowed ? 'allow' : undefined;
			},
		};
	}

	#port(
		protocol: string,
		port: number | string | undefined,
		endPort: number | undefined,
		packet: OraclePacket,
		owner: (entity: Entity) => boolean,
	): boolean {
		if (protocol !== packet.protocol) return false;
		if (port === undefined) return true;
		if (typeof port === 'number') return packet.port >= port && packet.port <= (endPort ?? port);
		return this.#named(port, protocol, packet, owner);
	}

	#named(name: string, protocol: string, packet: OraclePacket, owner: (entity: Entity) => boolean): boolean {
		return this.#at(packet.destination).some(
			(entity) =>
				owner(entity) &&
				entity.ports.some((one) => one.name === name && one.protocol === protocol && one.containerPort === packet.port),
		);
	}

	#cluster({ metadata, spec }: Raw): OraclePolicy {
		const isPeer = (peer: Raw, entity: Entity) =>
			entity.isPod &&
			(peer.namespaces === undefined
				? selected(peer.pods.namespaceSelector, entity.namespaceLabels) &&
					selected(peer.pods.podSelector, entity.labels)
				: selected(peer.namespaces, entity.namespaceLabels));
		return {
			tier: spec.tier === 'Admin' ? 'kube-admin' : 'kube-baseline',
			order: spec.priority,
			sortKey: [metadata.name, '', 'cluster-network-policy'],
			selects: (pod, direction) => isPeer(spec.subject, pod) && (spec[direction] ?? []).length > 0,
			decide: (direction, packet) => {
				const other = direction === 'ingress' ? packet.source : packet.destination;
				for (const rule of spec[direction] ?? []) {
					const hit = rule[direction === 'ingress' ? 'from' : 'to'].some((peer: Raw) => {
						const matches =
							peer.networks === undefined
								? this.#at(other).some((entity) => isPeer(peer, entity))
								: peer.networks.some((net: string) => contains(net, other));
						const owner = (entity: Entity) =>
							direction === 'ingress'
								? isPeer(spec.subject, entity)
								: peer.networks !== undefined || isPeer(peer, entity);
						return (
							matches &&
							(rule.protocols === undefined ||
								rule.protocols.some((protocol: Raw) => this.#clusterProtocol(protocol, packet, owner)))
						);
					});
					if (hit) return rule.action === 'Accept' ? 'allow' : rule.action === 'Deny' ? 'deny' : 'pass';
				}
				return undefined;
			},
		};
	}

	#clusterProtocol(protocol: Raw, packet: OraclePacket, owner: (entity: Entity) => boolean): boolean {
		if (protocol.destinationNamedPort !== undefined)
			return this.#named(protocol.destinationNamedPort, packet.protocol, packet, owner);
		const given = packet.protocol === 'TCP' ? protocol.tcp : packet.protocol === 'UDP' ? protocol.udp : undefined;
		if (given === undefined) return false;
		const { number, range } = given.destinationPort ?? {};
		if (number !== undefined) return packet.port === number;
		return range === undefined || (packet.port >= range.start && packet.port <= range.end);
	}

	#calico({ kind, metadata, spec }: Raw): OraclePolicy {
		const [ingress, egress] = [spec.ingress ?? [], spec.egress ?? []];
		const types =
			spec.types ?? (egress.length === 0 ? ['Ingress'] : ingress.length === 0 ? ['Egress'] : ['Ingress', 'Egress']);
		const global = kind === 'GlobalNetworkPolicy';
		const isSubject = (entity: Entity) =>
			(global || entity.namespace === metadata.namespace) &&
			text(spec.selector, full(entity)) &&
			byNamespace(spec.namespaceSelector, entity) &&
			byAccount(spec.serviceAccountSelector, entity);
		return {
			tier: spec.tier ?? 'default',
			order: spec.order ?? Number.POSITIVE_INFINITY,
			sortKey: [metadata.name, metadata.namespace ?? '', global ? 'global-network-policy' : 'network-policy'],
			selects: (pod, direction) => isSubject(pod) && types.includes(direction === 'ingress' ? 'Ingress' : 'Egress'),
			decide: (direction, packet) => {
				for (const rule of direction === 'ingress' ? ingress : egress) {
					if (rule.action === 'Log') continue;
					// Named ports of the receiver: filtered by the rule's selector, else by the
					// policy's own endpoints.
					const positive = positiveOf(rule.destination, global ? undefined : metadata.namespace);
					const limited = !global || spec.namespaceSelector !== undefined;
					const owner = (entity: Entity) =>
						positive === undefined ? direction === 'egress' || !limited || isSubject(entity) : positive(entity);
					if (this.#calicoRule(rule, global ? undefined : metadata.namespace, packet, owner))
						return rule.action === 'Allow' ? 'allow' : rule.action === 'Deny' ? 'deny' : 'pass';
				}
				return undefined;
			},
		};
	}

	#calicoRule(
		rule: Raw,
		namespace: string | undefined,
		packet: OraclePacket,
		owner: (entity: Entity) => boolean,
	): boolean {
		if (rule.protocol !== undefined && rule.protocol !== packet.protocol) return false;
		if (rule.notProtocol === packet.protocol) return false;
		const side = (entity: Raw, address: string) => {
			const positive = positiveOf(entity, namespace);
			return (
				(entity.nets === undefined || entity.nets.some((net: string) => contains(net, address))) &&
				!(entity.notNets ?? []).some((net: string) => contains(net, address)) &&
				(positive === undefined || this.#at(address).some(positive)) &&
				(entity.notSelector === undefined || !this.#at(address).some((one) => text(entity.notSelector, full(one))))
			);
		};
		if (!side(rule.source, packet.source) || !side(rule.destination, packet.destination)) return false;
		const port = (one: number | string) => {
			const [first, last] = String(one).split(':');
			if (/^\d+$/.test(first ?? '')) return packet.port >= Number(first) && packet.port <= Number(last ?? first);
			return this.#named(String(one), packet.protocol, packet, owner);
		};
		const { ports, notPorts } = rule.destination;
		return (ports === undefined || ports.some(port)) && !(notPorts ?? []).some(port);
	}
}

const compare = (left: OraclePolicy, right: OraclePolicy): number =>
	left.order === right.order ? (left.sortKey.join('\0') < right.sortKey.join('\0') ? -1 : 1) : left.order - right.order;

const contains = (net: string, address: string): boolean => prefixContains(parsePrefix(net), parseAddress(address));

/** Kubernetes' label selector. */
function selected(selector: Raw, labels: Record<string, string>): boolean {
	return (
		Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value) &&
		(selector.matchExpressions ?? []).every(({ key, operator, values }: Raw) => {
			const value = labels[key];
			if (operator === 'Exists') return value !== undefined;
			if (operator === 'DoesNotExist') return value === undefined;
			return (value !== undefined && values.includes(value)) === (operator === 'In');
		})
	);
}

const text = (selector: string | undefined, labels: Record<string, string>): boolean =>
	selector === undefined || selector === '' || evaluate(parseSelector(selector), labels);

/** The labels that a plain selector matches: the generator's selectors use own labels only. */
const full = (entity: Entity): Record<string, string> => entity.labels;

function byNamespace(selector: string | undefined, entity: Entity): boolean {
	if (selector === undefined || selector === '') return true;
	if (selector === 'all()') return entity.namespace !== undefined;
	if (selector === 'global()') return entity.namespace === undefined;
	return evaluate(parseSelector(selector), entity.namespaceLabels);
}

const byAccount = (selector: string | undefined, entity: Entity): boolean =>
	selector === undefined || evaluate(parseSelector(selector), entity.accountLabels);

/** The combined selector of one side of a rule; `undefined`: none is given. */
function positiveOf(entity: Raw, namespace: string | undefined): ((one: Entity) => boolean) | undefined {
	const { selector, notSelector, namespaceSelector, serviceAccounts } = entity;
	const accounts = serviceAccounts?.names !== undefined || serviceAccounts?.selector !== undefined;
	const given = (one: string | undefined) => one !== undefined && one !== '';
	const scoped = given(selector) || given(notSelector) || accounts;
	if (!given(namespaceSelector) && !(scoped && namespace !== undefined) && !given(selector) && !accounts)
		return undefined;
	return (one) =>
		(given(namespaceSelector)
			? byNamespace(namespaceSelector, one)
			: !(scoped && namespace !== undefined) || one.namespace === namespace) &&
		(serviceAccounts?.names === undefined ||
			(one.account !== undefined && serviceAccounts.names.includes(one.account))) &&
		byAccount(serviceAccounts?.selector, one) &&
		text(selector, full(one));
}
