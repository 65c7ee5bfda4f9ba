import { AddressError, hostPrefix, type PrefixKey, prefixKey } from '../../core/index.ts';
import { isArray, isObject, type JsonArray, type JsonObject, type JsonValue } from '../../json/index.ts';
import { mapLabels, parseSelector, type Selector, SelectorError } from '../../selector/index.ts';
import { conjunction, labelIs, type PolicyProblem, selectAll, systemLabels } from '../model.ts';
import { type PortRange, ProtocolNumber } from '../rules.ts';

/** A field that cannot be read; the caller decides what that does to the rule or the policy. */
export class FieldError extends Error {
	override readonly name = 'FieldError';
	readonly field: string;
	readonly problem: string;

	constructor(field: string, problem: string) {
		super(`${field}: ${problem}`);
		this.field = field;
		this.problem = problem;
	}
}

/** A member that must be text or absent. @throws FieldError */
export function optionalText(object: JsonObject, name: string, path: string): string | undefined {
	const value = object[name];
	if (value === undefined || value === null) return undefined;
	if (typeof value !== 'string') throw new FieldError(`${path}.${name}`, 'expected text');
	return value;
}

/** A member that must be an object or absent. @throws FieldError */
export function optionalObject(object: JsonObject, name: string, path: string): JsonObject | undefined {
	const value = object[name];
	if (value === undefined || value === null) return undefined;
	if (!isObject(value)) throw new FieldError(`${path}.${name}`, 'expected an object');
	return value;
}

/** A member that must be an array or absent; absent is empty. @throws FieldError */
export function arrayOf(object: JsonObject, name: string, path: string): JsonArray {
	const value = object[name];
	if (value === undefined || value === null) return [];
	if (!isArray(value)) throw new FieldError(`${path}.${name}`, 'expected a list');
	return value;
}

/** The same, of objects. @throws FieldError */
export function objectsOf(object: JsonObject, name: string, path: string): readonly JsonObject[] {
	return arrayOf(object, name, path).map((item, index) => {
		if (!isObject(item)) throw new FieldError(`${path}.${name}[${index}]`, 'expected an object');
		return item;
	});
}

/** The same, of text. @throws FieldError */
export function textsOf(object: JsonObject, name: string, path: string): readonly string[] {
	return arrayOf(object, name, path).map((item, index) => {
		if (typeof item !== 'string') throw new FieldError(`${path}.${name}[${index}]`, 'expected text');
		return item;
	});
}

/** An integer within bounds. @throws FieldError */
export function integer(value: JsonValue | undefined, least: number, most: number, path: string): number {
	if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most)
		throw new FieldError(path, `expected an integer from ${least} to ${most}`);
	return value;
}

/** A prefix, or a single address; host bits are cleared. @throws FieldError */
export function net(text: string, path: string): PrefixKey {
	try {
		return text.includes('/') ? prefixKey(text, 'clear') : hostPrefix(text);
	} catch (error) {
		if (error instanceof AddressError) throw new FieldError(path, error.message);
		throw error;
	}
}

const protocolNames: Readonly<Record<string, number>> = {
	tcp: ProtocolNumber.TCP,
	udp: ProtocolNumber.UDP,
	icmp: ProtocolNumber.ICMP,
	icmpv6: ProtocolNumber.ICMPv6,
	sctp: ProtocolNumber.SCTP,
	udplite: ProtocolNumber.UDPLite,
};

/** A protocol by name in any case, or by number from 1 to 255. @throws FieldError */
export function protocol(value: JsonValue, path: string): number {
	if (typeof value === 'string') {
		const named = protocolNames[value.toLowerCase()];
		if (named !== undefined) return named;
	}
	const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
	if (typeof number !== 'number' || !Number.isInteger(number) || number < 1 || number > 255)
		throw new FieldError(path, 'expected TCP, UDP, ICMP, ICMPv6, SCTP, UDPLite or a number from 1 to 255');
	return number;
}

/** A port of Calico's rules: number, `FIRST:LAST`, or name. @throws FieldError */
export function port(value: JsonValue, path: string): PortRange | string {
	if (typeof value === 'string') {
		const range = /^(\d+):(\d+)$/.exec(value);
		if (range !== null) {
			const [first, last] = [Number(range[1]), Number(range[2])];
			if (first > last || last > 65_535) throw new FieldError(path, `'${value}' is not a range of ports`);
			return { first, last };
		}
		if (!/^\d+$/.test(value)) {
			if (!/^[a-zA-Z0-9_.-]{1,128}$/.test(value)) throw new FieldError(path, `'${value}' is not a port`);
			return value;
		}
	}
	const number = integer(typeof value === 'string' ? Number(value) : value, 0, 65_535, path);
	return { first: number, last: number };
}

/** A selector of Calico; `global()` is not accepted here. @throws FieldError */
export function selector(text: string, path: string): Selector {
	const parsed = parsedSelector(text, path);
	if (mentionsGlobal(parsed)) throw new FieldError(path, 'global() is valid only as the namespaceSelector of a rule');
	return parsed;
}

function parsedSelector(text: string, path: string): Selector {
	try {
		return parseSelector(text);
	} catch (error) {
		if (error instanceof SelectorError) throw new FieldError(path, error.message);
		throw error;
	}
}

function mentionsGlobal(tree: Selector): boolean {
	if (tree.type === 'global') return true;
	if (tree.type === 'not') return mentionsGlobal(tree.operand);
	return (tree.type === 'and' || tree.type === 'or') && tree.operands.some(mentionsGlobal);
}

const hasNamespace: Selector = { type: 'has', label: systemLabels.namespace };

/**
 * A namespace selector of a rule: labels of namespaces; `all()`: any namespace; `global()`: none.
 * @throws FieldError
 */
export function ruleNamespaceSelector(text: string, path: string): Selector {
	const parsed = parsedSelector(text, path);
	if (parsed.type === 'global') return { type: 'not', operand: hasNamespace };
	return inherited(selector(text, path), systemLabels.namespacePrefix);
}

/**
 * A selector on labels that endpoints inherit: keys get the prefix, `all()` is anything that has a
 * namespace. Calico does the same for service accounts.
 */
export function inherited(tree: Selector, prefix: string): Selector {
	return withAll(
		mapLabels(tree, (label) => prefix + label),
		hasNamespace,
	);
}

function withAll(tree: Selector, replacement: Selector): Selector {
	if (tree.type === 'all') return replacement;
	if (tree.type === 'not') return { type: 'not', operand: withAll(tree.operand, replacement) };
	if (tree.type === 'and' || tree.type === 'or')
		return { type: tree.type, operands: tree.operands.map((operand) => withAll(operand, replacement)) };
	return tree;
}

/**
 * A label selector of Kubernetes (matchLabels, matchExpressions); empty selects everything. @throws
 * FieldError
 */
export function labelSelector(object: JsonObject, path: string): Selector {
	const terms: Selector[] = [];
	for (const [label, value] of Object.entries(optionalObject(object, 'matchLabels', path) ?? {})) {
		if (typeof value !== 'string') throw new FieldError(`${path}.matchLabels.${label}`, 'expected text');
		terms.push({ type: 'equals', label, value });
	}
	for (const [index, expression] of objectsOf(object, 'matchExpressions', path).entries()) {
		const at = `${path}.matchExpressions[${index}]`;
		const label = optionalText(expression, 'key', at);
		if (label === undefined || label === '') throw new FieldError(`${at}.key`, 'expected the key of a label');
		terms.push(requirement(label, expression, at));
	}
	return conjunction(...terms);
}

function requirement(label: string, expression: JsonObject, path: string): Selector {
	const operator = optionalText(expression, 'operator', path);
	const values = textsOf(expression, 'values', path);
	switch (operator) {
		case 'In':
		case 'NotIn':
			if (values.length === 0) throw new FieldError(`${path}.values`, 'expected at least one value');
			return { type: operator === 'In' ? 'in' : 'not-in', label, values };
		case 'Exists':
			return { type: 'has', label };
		case 'DoesNotExist':
			return { type: 'not', operand: { type: 'has', label } };
		default:
			throw new FieldError(`${path}.operator`, 'expected In, NotIn, Exists or DoesNotExist');
	}
}

/** Pods as opposed to other endpoints and network sets. */
export const isPod = labelIs(systemLabels.orchestrator, 'k8s');

/** Pods by labels of their namespaces (absent: `fallback`) and their own. @throws FieldError */
export function podsSelector(
	pods: JsonObject | undefined,
	namespaces: JsonObject | undefined,
	fallback: Selector,
	path: { readonly pods: string; readonly namespaces: string },
): Selector {
	const scope =
		namespaces === undefined
			? fallback
			: inherited(labelSelector(namespaces, path.namespaces), systemLabels.namespacePrefix);
	return conjunction(isPod, scope, pods === undefined ? selectAll : labelSelector(pods, path.pods));
}

/** A problem of a field. */
export const problemOf = (type: PolicyProblem['type'], { field, problem }: FieldError): PolicyProblem => ({
	type,
	field,
	problem,
});
