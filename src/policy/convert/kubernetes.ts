import type { JsonObject } from '../../json/index.ts';
import type { Selector } from '../../selector/index.ts';
import {
	type Conversion,
	conjunction,
	kubernetesPolicyOrder,
	labelIs,
	type PolicyProblem,
	SetCollector,
	systemLabels,
} from '../model.ts';
import { type PortMatch, type PortRange, ProtocolNumber, policyKey, type Rule, type SideMatch } from '../rules.ts';
import {
	FieldError,
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

/**
 * Kubernetes NetworkPolicy (networking.k8s.io/v1) and Calico's StagedKubernetesNetworkPolicy, which
 * has the same fields. All rules are allows: a rule that cannot be read is left out, which only
 * narrows what is allowed.
 */
export function fromKubernetesPolicy(raw: JsonObject, staged = false): Conversion {
	const metadata = metadataOf(raw);
	const kind = staged ? 'staged-kubernetes-network-policy' : 'kubernetes-network-policy';
	const namespace = metadata.namespace ?? 'default';
	const ownNamespace = labelIs(systemLabels.namespace, namespace);
	try {
		const spec = optionalObject(raw, 'spec', '') ?? {};
		const subject = conjunction(
			isPod,
			ownNamespace,
			labelSelector(optionalObject(spec, 'podSelector', 'spec') ?? {}, 'spec.podSelector'),
		);
		const types = textsOf(spec, 'policyTypes', 'spec');
		const egressRules = objectsOf(spec, 'egress', 'spec');
		for (const [index, type] of types.entries())
			if (type !== 'Ingress' && type !== 'Egress')
				throw new FieldError(`spec.policyTypes[${index}]`, 'expected Ingress or Egress');
		const applies = {
			ingress: types.length === 0 || types.includes('Ingress'),
			egress: types.length === 0 ? egressRules.length > 0 : types.includes('Egress'),
		};
		const converter = new RuleConverter({ namespace: ownNamespace, subject });
		const ingress = applies.ingress ? converter.rules('ingress', objectsOf(spec, 'ingress', 'spec')) : undefined;
		const egress = applies.egress ? converter.rules('egress', egressRules) : undefined;
		return {
			type: 'policy',
			policy: {
				key: policyKey(kind, namespace, metadata.name),
				kind,
				namespace,
				name: metadata.name,
				generation: metadata.generation,
				tier: 'default',
				order: kubernetesPolicyOrder,
				staged,
				selector: subject,
				stage: 'normal',
				applyOnForward: false,
				...(ingress === undefined ? {} : { ingress }),
				...(egress === undefined ? {} : { egress }),
				sets: converter.sets.sets,
				problems: converter.problems,
			},
		};
	} catch (error) {
		if (error instanceof FieldError) return { type: 'refused', problems: [problemOf('refused', error)] };
		throw error;
	}
}

/** Ports of one protocol: all of them, or numbers and names. */
interface ProtocolPorts {
	all: boolean;
	readonly ranges: PortRange[];
	readonly names: string[];
}

class RuleConverter {
	readonly sets = new SetCollector();
	readonly problems: PolicyProblem[] = [];
	readonly #scope: { readonly namespace: Selector; readonly subject: Selector };

	constructor(scope: { namespace: Selector; subject: Selector }) {
		this.#scope = scope;
	}

	rules(direction: 'ingress' | 'egress', rules: readonly JsonObject[]): readonly Rule[] {
		return rules.flatMap((rule, index) => {
			const origin = `${direction}[${index}]`;
			try {
				return this.#rule(direction, rule, origin);
			} catch (error) {
				if (!(error instanceof FieldError)) throw error;
				this.problems.push(problemOf('fails-closed', error));
				return [];
			}
		});
	}

	/** One rule for each peer and protocol. */
	#rule(direction: 'ingress' | 'egress', rule: JsonObject, origin: string): Rule[] {
		const peersName = direction === 'ingress' ? 'from' : 'to';
		const peers = objectsOf(rule, peersName, `spec.${origin}`).map((peer, index) => {
			const at = `${origin}.${peersName}[${index}]`;
			return { at, selector: this.#peerSelector(peer, `spec.${at}`), nets: peerNets(peer, `spec.${at}`) };
		});
		const ports = protocolPorts(objectsOf(rule, 'ports', `spec.${origin}`), `spec.${origin}.ports`);
		return (peers.length === 0 ? [undefined] : peers).flatMap((peer) => {
			const peerSide: SideMatch = {
				...(peer?.selector === undefined ? {} : { sets: [this.sets.selector(peer.selector)] }),
				...peer?.nets,
			};
			const common = { action: 'allow' as const, origin: peer?.at ?? origin };
			if (ports === undefined) {
				return direction === 'ingress'
					? { ...common, source: peerSide, destination: {} }
					: { ...common, source: {}, destination: peerSide };
			}
			// Named ports belong to the destination: the peer's pods for egress, the policy's own for
			// ingress.
			const owner = direction === 'ingress' ? this.#scope.subject : peer?.selector;
			return [...ports].map(([protocol, match]): Rule => {
				const portMatch = match.all ? {} : { ports: this.#portMatch(protocol, match, owner) };
				return direction === 'ingress'
					? { ...common, protocol, source: peerSide, destination: portMatch }
					: { ...common, protocol, source: {}, destination: { ...peerSide, ...portMatch } };
			});
		});
	}

	#peerSelector(peer: JsonObject, path: string): Selector | undefined {
		const pods = optionalObject(peer, 'podSelector', path);
		const namespaces = optionalObject(peer, 'namespaceSelector', path);
		const block = optionalObject(peer, 'ipBlock', path);
		if (pods === undefined && namespaces === undefined) {
			if (block === undefined) throw new FieldError(path, 'expected podSelector, namespaceSelector or ipBlock');
			return undefined;
		}
		if (block !== undefined) throw new FieldError(`${path}.ipBlock`, 'not together with a selector');
		return podsSelector(pods, namespaces, this.#scope.namespace, {
			pods: `${path}.podSelector`,
			namespaces: `${path}.namespaceSelector`,
		});
	}

	#portMatch(protocol: number, { ranges, names }: ProtocolPorts, owner: Selector | undefined): PortMatch {
		return { ranges, sets: names.map((name) => this.sets.namedPort(owner ?? { type: 'all' }, protocol, name)) };
	}
}

function peerNets(peer: JsonObject, path: string): Pick<SideMatch, 'nets' | 'notNets'> {
	const block = optionalObject(peer, 'ipBlock', path);
	if (block === undefined) return {};
	const cidr = optionalText(block, 'cidr', `${path}.ipBlock`);
	if (cidr === undefined) throw new FieldError(`${path}.ipBlock.cidr`, 'expected a CIDR');
	const except = textsOf(block, 'except', `${path}.ipBlock`).map((text, index) =>
		net(text, `${path}.ipBlock.except[${index}]`),
	);
	return { nets: [net(cidr, `${path}.ipBlock.cidr`)], ...(except.length === 0 ? {} : { notNets: except }) };
}

/** Ports by protocol; `undefined`: no ports given, every protocol. */
function protocolPorts(ports: readonly JsonObject[], path: string): Map<number, ProtocolPorts> | undefined {
	if (ports.length === 0) return undefined;
	const result = new Map<number, ProtocolPorts>();
	for (const [index, port] of ports.entries()) {
		const at = `${path}[${index}]`;
		const protocol = portProtocol(optionalText(port, 'protocol', at), at);
		const entry = result.get(protocol) ?? { all: false, ranges: [], names: [] };
		result.set(protocol, entry);
		const number = port['port'];
		if (number === undefined || number === null) {
			if (port['endPort'] !== undefined && port['endPort'] !== null)
				throw new FieldError(`${at}.endPort`, 'not without port');
			// All ports of the protocol: numbered ones beside it add nothing.
			entry.all = true;
		} else if (typeof number === 'string' && !/^\d+$/.test(number)) {
			entry.names.push(number);
		} else {
			const first = integer(Number(number), 0, 65_535, `${at}.port`);
			const end = port['endPort'];
			const last = end === undefined || end === null ? first : integer(end, first, 65_535, `${at}.endPort`);
			entry.ranges.push({ first, last });
		}
	}
	return result;
}

function portProtocol(name: string | undefined, path: string): number {
	switch (name) {
		case undefined:
		case 'TCP':
			return ProtocolNumber.TCP;
		case 'UDP':
			return ProtocolNumber.UDP;
		case 'SCTP':
			return ProtocolNumber.SCTP;
		default:
			throw new FieldError(`${path}.protocol`, 'expected TCP, UDP or SCTP');
	}
}
