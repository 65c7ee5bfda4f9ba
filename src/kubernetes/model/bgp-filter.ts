/**
 * Converts a BGPFilter to policy terms. Parsing is strict: an ignored criterion would make a rule
 * match more routes than intended. Hence an unknown or invalid criterion makes the whole filter
 * unreadable, and the filter fails closed (`unreadableFilter`).
 */
import {
	communityProblem,
	type PolicyMatch,
	type PolicyOperation,
	type PolicyTerm,
	type PrefixMatch,
} from '../../bgp/index.ts';
import { AddressError, addressBytes, type Family, type PrefixKey, parsePrefix, prefixKey } from '../../core/index.ts';
import { isObject, type JsonObject, type JsonValue } from '../../json/index.ts';
import { type StrictFields, strictFields } from './fields.ts';
import { type Resource, ResourceError, specOf } from './resource.ts';

/** A BGPFilter as policy terms: one term per rule. */
export interface BgpFilter {
	readonly name: string;
	readonly import: readonly PolicyTerm[];
	readonly export: readonly PolicyTerm[];
	/** The reason why the resource can not be read; its terms then reject every route. */
	readonly problem?: string;
}

const operators = { Equal: 'equal', NotEqual: 'not-equal', In: 'in', NotIn: 'not-in' } as const;
const operatorNames = ['Equal', 'NotEqual', 'In', 'NotIn'] as const;
const wholeFamily: Readonly<Record<Family, PrefixKey>> = { ipv4: prefixKey('0.0.0.0/0'), ipv6: prefixKey('::/0') };
const ruleKeys = [
	'cidr',
	'matchOperator',
	'prefixLength',
	'source',
	'interface',
	'peerType',
	'communities',
	'asPathPrefix',
	'priority',
	'action',
	'operations',
];
const mostAsNumber = 0xffffffff;
const mostPriority = 0x7fffffff;

/** @throws ResourceError, also for each criterion that this version does not support */
export function toBgpFilter(resource: Resource): BgpFilter {
	const spec = specOf(resource);
	const fields = strictFields(resource.name, (problem) => {
		throw new ResourceError(resource.name, problem);
	});
	fields.only(spec, ['exportV4', 'importV4', 'exportV6', 'importV6']);
	const terms = (key: string, family: Family) =>
		fields.list(spec, key, (rule, name) => toTerm(resource, rule, family, name));
	return {
		name: resource.name,
		import: [...terms('importV4', 'ipv4'), ...terms('importV6', 'ipv6')],
		export: [...terms('exportV4', 'ipv4'), ...terms('exportV6', 'ipv6')],
	};
}

/** The replacement of an unreadable filter: rejects all routes in both directions. */
export function unreadableFilter(name: string, problem: string): BgpFilter {
	const reject: readonly PolicyTerm[] = [
		{
			name: `BGPFilter ${name} can not be read`,
			match: { prefixes: Object.values(wholeFamily).map((prefix) => ({ prefix, operator: 'in' as const })) },
			action: 'reject',
			operations: [],
		},
	];
	return { name, import: reject, export: reject, problem };
}

function toTerm(resource: Resource, rule: JsonValue, family: Family, name: string): PolicyTerm {
	const fail = (problem: string): never => {
		throw new ResourceError(resource.name, problem);
	};
	if (!isObject(rule)) return fail(`${name} is not an object`);
	const fields = strictFields(name, fail);
	fields.only(rule, ruleKeys);
	const action = fields.word(rule, 'action', ['Accept', 'Reject']);
	if (action === undefined) return fail(`${name}.action is neither Accept nor Reject`);
	return {
		name,
		match: toMatch(fields, rule, family, name, fail),
		action: action === 'Accept' ? 'accept' : 'reject',
		operations: fields.list(rule, 'operations', (operation, at) => toOperation(operation, at, fail)),
	};
}

type Fail = (problem: string) => never;

function toMatch(fields: StrictFields, rule: JsonObject, family: Family, name: string, fail: Fail): PolicyMatch {
	const source = fields.word(rule, 'source', ['RemotePeers']);
	const peerType = fields.word(rule, 'peerType', ['eBGP', 'iBGP']);
	const communities = communitiesOf(fields.object(rule, 'communities'), `${name}.communities`, fail);
	const asPathPrefix = asNumbers(fields, rule, 'asPathPrefix', fail);
	const priority = fields.integer(rule, 'priority', 0, mostPriority);
	const pattern = fields.text(rule, 'interface');
	const large = communities.filter((community) => community.split(':').length === 3);
	const plain = communities.filter((community) => !large.includes(community));
	return {
		prefixes: [toPrefixMatch(fields, rule, family, name, fail)],
		...(source === 'RemotePeers' ? { source: 'remote' as const } : {}),
		...(peerType === undefined
			? {}
			: { peerType: peerType === 'eBGP' ? ('external' as const) : ('internal' as const) }),
		...(plain.length > 0 ? { communities: plain } : {}),
		...(large.length > 0 ? { largeCommunities: large } : {}),
		...(asPathPrefix.length > 0 ? { asPathPrefix } : {}),
		...(priority === undefined ? {} : { priority }),
		...(pattern === undefined ? {} : { interface: pattern }),
	};
}

function communitiesOf(criterion: JsonObject | undefined, name: string, fail: Fail): readonly string[] {
	if (criterion === undefined) return [];
	const fields = strictFields(name, fail);
	fields.only(criterion, ['values']);
	const values = fields.list(criterion, 'values', (value, at) => community(value, at, fail));
	// Without a value the criterion would match every route.
	return values.length === 0 ? fail(`${name}.values is empty`) : values;
}

function community(value: JsonValue, name: string, fail: Fail): string {
	if (typeof value !== 'string') return fail(`${name} is not text`);
	const problem = communityProblem(value);
	return problem === undefined ? value : fail(`${name}: ${problem}`);
}

/**
 * Without a CIDR a rule covers its whole family. `In` matches equal or more specific prefixes
 * within the given lengths.
 */
function toPrefixMatch(fields: StrictFields, rule: JsonObject, family: Family, name: string, fail: Fail): PrefixMatch {
	const cidr = fields.text(rule, 'cidr');
	const operator = fields.word(rule, 'matchOperator', operatorNames);
	const length = fields.object(rule, 'prefixLength');
	if (cidr === undefined) {
		if (operator !== undefined || length !== undefined)
			return fail(`${name} has matchOperator or prefixLength without cidr`);
		return { prefix: wholeFamily[family], operator: 'in' };
	}
	if (operator === undefined) return fail(`${name}.matchOperator is none of ${operatorNames.join(', ')}`);
	const prefix = prefixOf(cidr, family, `${name}.cidr`, fail);
	if (length === undefined) return { prefix, operator: operators[operator] };
	const lengths = strictFields(`${name}.prefixLength`, fail);
	lengths.only(length, ['min', 'max']);
	const bits = addressBytes[family] * 8;
	const min = lengths.integer(length, 'min', 0, bits);
	const max = lengths.integer(length, 'max', 0, bits);
	if (min !== undefined && max !== undefined && min > max)
		return fail(`${name}.prefixLength: min ${min} is greater than max ${max}`);
	if (min === undefined && max === undefined) return { prefix, operator: operators[operator] };
	return {
		prefix,
		operator: operators[operator],
		length: { ...(min === undefined ? {} : { min }), ...(max === undefined ? {} : { max }) },
	};
}

function prefixOf(cidr: string, family: Family, name: string, fail: Fail): PrefixKey {
	try {
		const prefix = prefixKey(cidr, 'clear');
		return parsePrefix(prefix).family === family ? prefix : fail(`${name} ${cidr} is not of ${family}`);
	} catch (error) {
		if (error instanceof AddressError) return fail(`${name}: ${error.message}`);
		throw error;
	}
}

function toOperation(operation: JsonValue, name: string, fail: Fail): PolicyOperation {
	if (!isObject(operation)) return fail(`${name} is not an object`);
	const fields = strictFields(name, fail);
	fields.only(operation, ['addCommunity', 'prependASPath', 'setPriority']);
	const add = fields.object(operation, 'addCommunity');
	const prepend = fields.object(operation, 'prependASPath');
	const set = fields.object(operation, 'setPriority');
	if ([add, prepend, set].filter((each) => each !== undefined).length !== 1)
		return fail(`${name} is not exactly one of addCommunity, prependASPath, setPriority`);
	if (add !== undefined) {
		const value = community(add['value'] ?? null, `${name}.addCommunity.value`, fail);
		return { type: value.split(':').length === 3 ? 'add-large-community' : 'add-community', value };
	}
	if (prepend !== undefined) {
		const numbers = asNumbers(strictFields(`${name}.prependASPath`, fail), prepend, 'prefix', fail);
		return numbers.length === 0
			? fail(`${name}.prependASPath.prefix is empty`)
			: { type: 'prepend-as-path', asNumbers: numbers };
	}
	const value = strictFields(`${name}.setPriority`, fail).integer(set ?? {}, 'value', 1, mostPriority);
	return value === undefined ? fail(`${name}.setPriority.value is missing`) : { type: 'set-priority', value };
}

const asNumbers = (fields: StrictFields, object: JsonObject, key: string, fail: Fail): readonly number[] =>
	fields.list(object, key, (value, name) => {
		const asNumber = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
		if (typeof asNumber !== 'number' || !Number.isInteger(asNumber) || asNumber < 1 || asNumber > mostAsNumber)
			return fail(`${name} is not an AS number`);
		return asNumber;
	});
