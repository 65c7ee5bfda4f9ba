import { type JsonObject, type JsonValue, textAt } from '../../json/index.ts';
import type { Selector } from '../../selector/index.ts';
import { conjunction, labelIs, type PolicyProblem, SetCollector, selectAll, systemLabels } from '../model.ts';
import {
	type Direction,
	type IcmpMatch,
	type PortMatch,
	type PortRange,
	ProtocolNumber,
	portProtocols,
	type Rule,
	type RuleAction,
	type SideMatch,
} from '../rules.ts';
import {
	arrayOf,
	FieldError,
	inherited,
	integer,
	net,
	objectsOf,
	optionalObject,
	optionalText,
	port,
	problemOf,
	protocol,
	ruleNamespaceSelector,
	selector,
	textsOf,
} from './fields.ts';

/** What a rule takes from its policy. */
export interface RuleScope {
	/** Of a namespaced policy. */
	readonly namespace: string | undefined;
	/**
	 * The endpoints of the policy, where these are workloads only: then a named port on their own
	 * side needs no other endpoints in its set. `undefined`: host endpoints, too, whose traffic may
	 * be addressed to others.
	 */
	readonly subject: Selector | undefined;
	/** `Pass` is valid; not in profiles. */
	readonly mayPass: boolean;
}

const actions: Readonly<Record<string, RuleAction>> = { allow: 'allow', deny: 'deny', pass: 'pass', log: 'log' };

/**
 * Rules of Calico's policies and profiles. Sets and problems are collected over all rules of a
 * policy.
 */
export class CalicoRuleConverter {
	readonly sets = new SetCollector();
	readonly problems: PolicyProblem[] = [];
	readonly #scope: RuleScope;

	constructor(scope: RuleScope) {
		this.#scope = scope;
	}

	/**
	 * A rule that cannot be enforced: an allow or log is left out, anything else denies everything.
	 */
	rules(direction: Direction, rules: readonly JsonObject[]): readonly Rule[] {
		return rules.flatMap((rule, index): Rule[] => {
			const origin = `${direction}[${index}]`;
			const name = textAt(rule, 'action')?.toLowerCase() ?? '';
			const action = Object.hasOwn(actions, name) ? actions[name] : undefined;
			try {
				if (action === undefined || (action === 'pass' && !this.#scope.mayPass))
					throw new FieldError(`spec.${origin}.action`, 'this action does not exist here');
				return [this.#rule(direction, rule, action, origin)];
			} catch (error) {
				if (!(error instanceof FieldError)) throw error;
				this.problems.push(problemOf('fails-closed', error));
				return action === 'allow' || action === 'log' ? [] : [{ action: 'deny', source: {}, destination: {}, origin }];
			}
		});
	}

	#rule(direction: Direction, rule: JsonObject, action: RuleAction, origin: string): Rule {
		const path = `spec.${origin}`;
		if (rule['http'] !== undefined && rule['http'] !== null)
			throw new FieldError(`${path}.http`, 'HTTP is not matched: there is no application layer proxy');
		const matches = protocolMatches(rule, path);
		const side = (name: 'source' | 'destination') =>
			this.#side(direction, name, optionalObject(rule, name, path) ?? {}, matches.protocol, `${path}.${name}`);
		const [source, destination] = [side('source'), side('destination')];
		return { action, ...oneFamily(matches, source, destination, path), ...matches, source, destination, origin };
	}

	#side(
		direction: Direction,
		name: 'source' | 'destination',
		entity: JsonObject,
		protocolNumber: number | undefined,
		path: string,
	): SideMatch {
		const nets = (member: string) =>
			textsOf(entity, member, path).map((text, at) => net(text, `${path}.${member}[${at}]`));
		const [positive, negative] = [nets('nets'), nets('notNets')];
		const selectors = this.#selectors(entity, path);
		const service = this.#service(direction, name, entity, path);
		// Named ports of the policy's own endpoints: the destination of ingress, the source of egress.
		const own = (direction === 'ingress') === (name === 'destination') ? this.#scope.subject : undefined;
		const owner = selectors.positive ?? own ?? selectAll;
		const ports = this.#ports(arrayOf(entity, 'ports', path), protocolNumber, owner, `${path}.ports`);
		const notPorts = this.#ports(arrayOf(entity, 'notPorts', path), protocolNumber, owner, `${path}.notPorts`);
		if (
			service !== undefined &&
			(positive.length > 0 || negative.length > 0 || ports !== undefined || notPorts !== undefined)
		)
			throw new FieldError(`${path}.services`, 'not together with nets or ports of the same side');
		const sets = [
			...(selectors.positive === undefined ? [] : [this.sets.selector(selectors.positive)]),
			...(service?.type === 'service-addresses' ? [service.id] : []),
		];
		return {
			...(positive.length === 0 ? {} : { nets: positive }),
			...(negative.length === 0 ? {} : { notNets: negative }),
			...(sets.length === 0 ? {} : { sets }),
			...(selectors.negative === undefined ? {} : { notSets: [this.sets.selector(selectors.negative)] }),
			...(ports === undefined ? {} : { ports }),
			...(notPorts === undefined ? {} : { notPorts }),
			...(service?.type === 'service-ports' ? { addressPortSets: [service.id] } : {}),
		};
	}

	/**
	 * One selector of namespaces, service accounts and labels together; the negative one stands
	 * alone.
	 */
	#selectors(entity: JsonObject, path: string): { positive?: Selector; negative?: Selector } {
		const text = optionalText(entity, 'selector', path) ?? '';
		const notText = optionalText(entity, 'notSelector', path) ?? '';
		const namespaces = optionalText(entity, 'namespaceSelector', path) ?? '';
		const accounts = accountsSelector(optionalObject(entity, 'serviceAccounts', path), `${path}.serviceAccounts`);
		const { namespace } = this.#scope;
		const scoped = text !== '' || notText !== '' || accounts !== undefined;
		const scope =
			namespaces !== ''
				? ruleNamespaceSelector(namespaces, `${path}.namespaceSelector`)
				: scoped && namespace !== undefined
					? labelIs(systemLabels.namespace, namespace)
					: undefined;
		const terms = [
			...(scope === undefined ? [] : [scope]),
			...(accounts === undefined ? [] : [accounts]),
			...(text === '' ? [] : [selector(text, `${path}.selector`)]),
		];
		return {
			...(terms.length === 0 ? {} : { positive: conjunction(...terms) }),
			...(notText === '' ? {} : { negative: selector(notText, `${path}.notSelector`) }),
		};
	}

	#ports(
		ports: readonly JsonValue[],
		protocolNumber: number | undefined,
		owner: Selector,
		path: string,
	): PortMatch | undefined {
		if (ports.length === 0) return undefined;
		if (protocolNumber === undefined || !portProtocols.has(protocolNumber))
			throw new FieldError(path, 'ports need protocol TCP, UDP, SCTP or UDPLite');
		const parsed = ports.map((value, index) => port(value, `${path}[${index}]`));
		return {
			ranges: parsed.filter((one): one is PortRange => typeof one !== 'string'),
			sets: parsed
				.filter((one) => typeof one === 'string')
				.map((one) => this.sets.namedPort(owner, protocolNumber, one)),
		};
	}

	#service(direction: Direction, side: 'source' | 'destination', entity: JsonObject, path: string) {
		const services = optionalObject(entity, 'services', path);
		if (services === undefined) return undefined;
		const at = `${path}.services`;
		if ((direction === 'egress') !== (side === 'destination'))
			throw new FieldError(at, 'only in the destination of egress rules and the source of ingress rules');
		for (const other of ['selector', 'notSelector', 'namespaceSelector', 'serviceAccounts'])
			if (entity[other] !== undefined && entity[other] !== null && entity[other] !== '')
				throw new FieldError(at, `not together with ${other}`);
		const name = optionalText(services, 'name', at) ?? '';
		if (name === '') throw new FieldError(`${at}.name`, 'expected the name of a service');
		const given = optionalText(services, 'namespace', at) ?? '';
		const namespace = given === '' ? this.#scope.namespace : given;
		if (namespace === undefined) throw new FieldError(`${at}.namespace`, 'needed in a global policy');
		const type = side === 'destination' ? 'service-ports' : 'service-addresses';
		return { type, id: this.sets.service(type, namespace, name) } as const;
	}
}

function accountsSelector(accounts: JsonObject | undefined, path: string): Selector | undefined {
	if (accounts === undefined) return undefined;
	const names = textsOf(accounts, 'names', path);
	const text = optionalText(accounts, 'selector', path) ?? '';
	if (names.length === 0 && text === '') return undefined;
	return conjunction(
		names.length === 0 ? selectAll : { type: 'in', label: systemLabels.serviceAccount, values: names },
		text === '' ? selectAll : inherited(selector(text, `${path}.selector`), systemLabels.serviceAccountPrefix),
	);
}

type ProtocolMatches = Pick<Rule, 'ipVersion' | 'protocol' | 'notProtocol' | 'icmp' | 'notIcmp'>;

function protocolMatches(rule: JsonObject, path: string): ProtocolMatches {
	const given = (name: string) => rule[name] ?? undefined;
	const [version, is, isNot] = [given('ipVersion'), given('protocol'), given('notProtocol')];
	if (version !== undefined && version !== 4 && version !== 6)
		throw new FieldError(`${path}.ipVersion`, 'expected 4 or 6');
	const number = is === undefined ? undefined : protocol(is, `${path}.protocol`);
	const icmp = icmpOf(rule, 'icmp', path);
	const notIcmp = icmpOf(rule, 'notICMP', path);
	if (icmp !== undefined || notIcmp !== undefined) {
		if (number !== ProtocolNumber.ICMP && number !== ProtocolNumber.ICMPv6)
			throw new FieldError(`${path}.icmp`, 'needs protocol ICMP or ICMPv6');
	}
	if (number === ProtocolNumber.ICMP && version === 6)
		throw new FieldError(`${path}.protocol`, 'ICMP is not for ipVersion 6');
	if (number === ProtocolNumber.ICMPv6 && version === 4)
		throw new FieldError(`${path}.protocol`, 'ICMPv6 is not for ipVersion 4');
	return {
		...(version === undefined ? {} : { ipVersion: version }),
		...(number === undefined ? {} : { protocol: number }),
		...(isNot === undefined ? {} : { notProtocol: protocol(isNot, `${path}.notProtocol`) }),
		...(icmp === undefined ? {} : { icmp }),
		...(notIcmp === undefined ? {} : { notIcmp }),
	};
}

function icmpOf(rule: JsonObject, name: 'icmp' | 'notICMP', path: string): IcmpMatch | undefined {
	const match = optionalObject(rule, name, path);
	if (match === undefined) return undefined;
	const [type, code] = [match['type'] ?? undefined, match['code'] ?? undefined];
	if (type === undefined) {
		if (code !== undefined) throw new FieldError(`${path}.${name}.code`, 'a code needs a type');
		return undefined;
	}
	return {
		// 255 is reserved and refused, as in Calico.
		type: integer(type, 0, 254, `${path}.${name}.type`),
		...(code === undefined ? {} : { code: integer(code, 0, 255, `${path}.${name}.code`) }),
	};
}

/**
 * A rule whose nets, given or excluded, are all of one family is for that family: Calico leaves it
 * out of the other. Nets of both families in one list are refused.
 */
function oneFamily(
	{ ipVersion }: ProtocolMatches,
	source: SideMatch,
	destination: SideMatch,
	path: string,
): Pick<Rule, 'ipVersion'> {
	const families = new Set<4 | 6>(ipVersion === undefined ? [] : [ipVersion]);
	for (const side of [source, destination])
		for (const prefix of [...(side.nets ?? []), ...(side.notNets ?? [])]) families.add(prefix.includes(':') ? 6 : 4);
	if (families.size > 1) throw new FieldError(path, 'nets and ipVersion are of different families');
	const [version] = families;
	return version === undefined ? {} : { ipVersion: version };
}

/** Rules of a direction as objects. @throws FieldError */
export const ruleObjects = (spec: JsonObject, direction: Direction): readonly JsonObject[] =>
	objectsOf(spec, direction, 'spec');
