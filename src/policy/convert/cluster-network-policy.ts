import { isObject, type JsonObject, textAt } from '../../json/index.ts';
import type { Selector } from '../../selector/index.ts';
import { type Conversion, conjunction, type PolicyProblem, SetCollector, selectAll, systemLabels } from '../model.ts';
import { type PolicyKind, type PortRange, ProtocolNumber, policyKey, type Rule, type SideMatch } from '../rules.ts';
import {
	arrayOf,
	FieldError,
	inherited,
	integer,
	isPod,
	labelSelector,
	net,
	objectsOf,
	optionalObject,
	optionalText,
	podsSelector,
	problemOf,
	textsOf,
} from './fields.ts';
import { metadataOf } from './metadata.ts';

/** What differs between the kinds of cluster-wide policy of sig-network. */
interface Dialect {
	readonly kind: PolicyKind;
	readonly tier: string;
	readonly actions: Readonly<Record<string, Rule['action']>>;
	/**
	 * Most that `spec.priority` may be; `undefined`: the kind has none, there is one object of it.
	 */
	readonly mostPriority: number | undefined;
	readonly ports: (rule: JsonObject, path: string) => readonly ProtocolMatch[] | undefined;
}

/** A protocol with ports; `ports` absent: all of them. */
interface ProtocolMatch {
	readonly protocol: number;
	readonly ports?: PortRange | string;
}

/** ClusterNetworkPolicy, policy.networking.k8s.io/v1alpha2. */
export function fromClusterNetworkPolicy(raw: JsonObject): Conversion {
	const tier = isObject(raw['spec']) ? raw['spec']['tier'] : undefined;
	if (tier !== 'Admin' && tier !== 'Baseline') {
		return {
			type: 'refused',
			problems: [{ type: 'refused', field: 'spec.tier', problem: 'expected Admin or Baseline' }],
		};
	}
	return convert(raw, {
		kind: 'cluster-network-policy',
		tier: tier === 'Admin' ? 'kube-admin' : 'kube-baseline',
		actions: { Accept: 'allow', Deny: 'deny', Pass: 'pass' },
		mostPriority: 1000,
		ports: protocolsOf,
	});
}

/** AdminNetworkPolicy, policy.networking.k8s.io/v1alpha1. */
export const fromAdminNetworkPolicy = (raw: JsonObject): Conversion =>
	convert(raw, {
		kind: 'admin-network-policy',
		tier: 'kube-admin',
		actions: { Allow: 'allow', Deny: 'deny', Pass: 'pass' },
		mostPriority: 1000,
		ports: portsOf,
	});

/** BaselineAdminNetworkPolicy, policy.networking.k8s.io/v1alpha1. */
export const fromBaselineAdminNetworkPolicy = (raw: JsonObject): Conversion =>
	convert(raw, {
		kind: 'baseline-admin-network-policy',
		tier: 'kube-baseline',
		actions: { Allow: 'allow', Deny: 'deny' },
		mostPriority: undefined,
		ports: portsOf,
	});

function convert(raw: JsonObject, dialect: Dialect): Conversion {
	const { name, generation } = metadataOf(raw);
	try {
		const spec = optionalObject(raw, 'spec', '') ?? {};
		const order =
			dialect.mostPriority === undefined ? 0 : integer(spec['priority'], 0, dialect.mostPriority, 'spec.priority');
		const subject = subjectOf(optionalObject(spec, 'subject', 'spec') ?? {}, 'spec.subject');
		const converter = new RuleConverter(dialect, subject);
		const [ingress, egress] = (['ingress', 'egress'] as const).map((direction) =>
			objectsOf(spec, direction, 'spec').flatMap((rule, index) =>
				converter.rule(direction, rule, `${direction}[${index}]`),
			),
		);
		// A direction without rules does not count: an empty list isolates nothing.
		return {
			type: 'policy',
			policy: {
				key: policyKey(dialect.kind, undefined, name),
				kind: dialect.kind,
				name,
				generation,
				tier: dialect.tier,
				order,
				staged: false,
				selector: subject,
				stage: 'normal',
				applyOnForward: false,
				...(ingress === undefined || ingress.length === 0 ? {} : { ingress }),
				...(egress === undefined || egress.length === 0 ? {} : { egress }),
				sets: converter.sets.sets,
				problems: converter.problems,
			},
		};
	} catch (error) {
		if (error instanceof FieldError) return { type: 'refused', problems: [problemOf('refused', error)] };
		throw error;
	}
}

/** Pods of namespaces, or pods by their own labels, too. */
function subjectOf(subject: JsonObject, path: string): Selector {
	const namespaces = optionalObject(subject, 'namespaces', path);
	const pods = optionalObject(subject, 'pods', path);
	if ((namespaces === undefined) === (pods === undefined)) throw new FieldError(path, 'expected namespaces or pods');
	return namespaces === undefined
		? podPeer(pods ?? {}, `${path}.pods`)
		: namespacePeer(namespaces, `${path}.namespaces`);
}

const namespacePeer = (namespaces: JsonObject, path: string): Selector =>
	conjunction(isPod, inherited(labelSelector(namespaces, path), systemLabels.namespacePrefix));

const podPeer = (pods: JsonObject, path: string): Selector =>
	podsSelector(
		optionalObject(pods, 'podSelector', path) ?? {},
		optionalObject(pods, 'namespaceSelector', path) ?? {},
		selectAll,
		{ pods: `${path}.podSelector`, namespaces: `${path}.namespaceSelector` },
	);

class RuleConverter {
	readonly sets = new SetCollector();
	readonly problems: PolicyProblem[] = [];
	readonly #dialect: Dialect;
	readonly #subject: Selector;

	constructor(dialect: Dialect, subject: Selector) {
		this.#dialect = dialect;
		this.#subject = subject;
	}

	/**
	 * A rule that cannot be read: an allow is left out, anything else denies everything. API
	 * documentation of `action`.
	 */
	rule(direction: 'ingress' | 'egress', rule: JsonObject, origin: string): readonly Rule[] {
		const name = textAt(rule, 'action') ?? '';
		const action = Object.hasOwn(this.#dialect.actions, name) ? this.#dialect.actions[name] : undefined;
		try {
			if (action === undefined) throw new FieldError(`spec.${origin}.action`, 'this action does not exist here');
			return this.#convert(direction, rule, action, origin);
		} catch (error) {
			if (!(error instanceof FieldError)) throw error;
			this.problems.push(problemOf('fails-closed', error));
			return action === 'allow' ? [] : [{ action: 'deny', source: {}, destination: {}, origin }];
		}
	}

	#convert(direction: 'ingress' | 'egress', rule: JsonObject, action: Rule['action'], origin: string): Rule[] {
		const peersName = direction === 'ingress' ? 'from' : 'to';
		const peers = objectsOf(rule, peersName, `spec.${origin}`);
		if (peers.length === 0) throw new FieldError(`spec.${origin}.${peersName}`, 'expected at least one peer');
		const protocols = this.#dialect.ports(rule, `spec.${origin}`);
		return peers.flatMap((peer, index): Rule[] => {
			const at = `${origin}.${peersName}[${index}]`;
			const { side, selector } = this.#peer(direction, peer, `spec.${at}`);
			const owner = direction === 'ingress' ? this.#subject : selector;
			return (protocols ?? [undefined]).map((match): Rule => {
				const ports = this.#ports(match, owner ?? selectAll);
				return {
					action,
					...(match === undefined ? {} : { protocol: match.protocol }),
					source: direction === 'ingress' ? side : {},
					destination: direction === 'ingress' ? ports : { ...side, ...ports },
					origin: at,
				};
			});
		});
	}

	#ports(match: ProtocolMatch | undefined, owner: Selector): SideMatch {
		if (match?.ports === undefined) return {};
		return typeof match.ports === 'string'
			? { ports: { ranges: [], sets: [this.sets.namedPort(owner, match.protocol, match.ports)] } }
			: { ports: { ranges: [match.ports], sets: [] } };
	}

	#peer(direction: 'ingress' | 'egress', peer: JsonObject, path: string): { side: SideMatch; selector?: Selector } {
		const [member, ...others] = Object.keys(peer).filter((key) => peer[key] !== undefined && peer[key] !== null);
		if (member === undefined || others.length > 0) throw new FieldError(path, 'expected exactly one kind of peer');
		if (member === 'namespaces' || member === 'pods') {
			const object = optionalObject(peer, member, path) ?? {};
			const selector =
				member === 'pods' ? podPeer(object, `${path}.pods`) : namespacePeer(object, `${path}.namespaces`);
			return { side: { sets: [this.sets.selector(selector)] }, selector };
		}
		if (member === 'networks' && direction === 'egress') {
			const nets = textsOf(peer, 'networks', path).map((text, index) => net(text, `${path}.networks[${index}]`));
			if (nets.length === 0) throw new FieldError(`${path}.networks`, 'expected at least one network');
			return { side: { nets } };
		}
		throw new FieldError(`${path}.${member}`, 'this kind of peer is not supported');
	}
}

const transports = { tcp: ProtocolNumber.TCP, udp: ProtocolNumber.UDP, sctp: ProtocolNumber.SCTP } as const;

/** `protocols` of v1alpha2; absent: every protocol. */
function protocolsOf(rule: JsonObject, path: string): readonly ProtocolMatch[] | undefined {
	if (rule['protocols'] === undefined || rule['protocols'] === null) return undefined;
	const protocols = objectsOf(rule, 'protocols', path);
	if (protocols.length === 0) throw new FieldError(`${path}.protocols`, 'expected at least one protocol');
	return protocols.flatMap((entry, index): ProtocolMatch[] => {
		const at = `${path}.protocols[${index}]`;
		const [member, ...others] = Object.keys(entry).filter((key) => entry[key] !== undefined && entry[key] !== null);
		if (member === undefined || others.length > 0) throw new FieldError(at, 'expected exactly one protocol');
		if (member === 'destinationNamedPort') {
			const name = optionalText(entry, member, at) ?? '';
			return Object.values(transports).map((protocol) => ({ protocol, ports: name }));
		}
		if (member !== 'tcp' && member !== 'udp' && member !== 'sctp')
			throw new FieldError(`${at}.${member}`, 'this protocol is not supported');
		const match = optionalObject(entry, member, at) ?? {};
		for (const key of Object.keys(match))
			if (key !== 'destinationPort') throw new FieldError(`${at}.${member}.${key}`, 'this match is not supported');
		const port = optionalObject(match, 'destinationPort', `${at}.${member}`);
		return [
			{
				protocol: transports[member],
				...(port === undefined ? {} : { ports: portOf(port, `${at}.${member}.destinationPort`) }),
			},
		];
	});
}

function portOf(port: JsonObject, path: string): PortRange {
	const range = optionalObject(port, 'range', path);
	if (range !== undefined) return rangeOf(range, `${path}.range`);
	const number = integer(port['number'], 1, 65_535, `${path}.number`);
	return { first: number, last: number };
}

function rangeOf(range: JsonObject, path: string): PortRange {
	const first = integer(range['start'], 1, 65_535, `${path}.start`);
	return { first, last: integer(range['end'], first, 65_535, `${path}.end`) };
}

/** `ports` of v1alpha1; absent: every protocol. */
function portsOf(rule: JsonObject, path: string): readonly ProtocolMatch[] | undefined {
	if (rule['ports'] === undefined || rule['ports'] === null) return undefined;
	if (arrayOf(rule, 'ports', path).length === 0) throw new FieldError(`${path}.ports`, 'expected at least one port');
	return objectsOf(rule, 'ports', path).flatMap((entry, index): ProtocolMatch[] => {
		const at = `${path}.ports[${index}]`;
		const named = optionalText(entry, 'namedPort', at);
		if (named !== undefined) return Object.values(transports).map((protocol) => ({ protocol, ports: named }));
		const single = optionalObject(entry, 'portNumber', at);
		const range = optionalObject(entry, 'portRange', at);
		const given = single ?? range;
		if (given === undefined) throw new FieldError(at, 'expected portNumber, portRange or namedPort');
		const name = (optionalText(given, 'protocol', at) ?? 'TCP').toLowerCase();
		if (name !== 'tcp' && name !== 'udp' && name !== 'sctp') throw new FieldError(at, 'expected TCP, UDP or SCTP');
		if (single === undefined) return [{ protocol: transports[name], ports: rangeOf(given, `${at}.portRange`) }];
		const number = integer(single['port'], 1, 65_535, `${at}.portNumber.port`);
		return [{ protocol: transports[name], ports: { first: number, last: number } }];
	});
}
