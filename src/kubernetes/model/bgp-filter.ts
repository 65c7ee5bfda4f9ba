import { communityProblem, type PolicyMatch, type PolicyOperation, type PolicyTerm, type PrefixMatch } from '../../bgp/index.ts';
import { AddressError, type Family, prefixKey } from '../../core/index.ts';
import type { JsonObject } from '../json/index.ts';
import { objectAt } from '../json/index.ts';
import { numberOf, objectsOf, textOf, textsOf } from './fields.ts';
import { type Resource, ResourceError, specOf } from './resource.ts';

/** A BGPFilter as terms of a policy: one rule, one term. */
export interface BgpFilter {
	readonly name: string;
	readonly import: readonly PolicyTerm[];
	readonly export: readonly PolicyTerm[];
}

const operators = { Equal: 'equal', NotEqual: 'not-equal', In: 'in', NotIn: 'not-in' } as const;

/** @throws ResourceError */
export function toBgpFilter(resource: Resource): BgpFilter {
	const spec = specOf(resource);
	const terms = (key: string, family: Family) => objectsOf(spec, key).map((rule, index) => toTerm(resource, rule, family, `${resource.name}.${key}[${index}]`));
	return {
		name: resource.name,
		import: [...terms('importV4', 'ipv4'), ...terms('importV6', 'ipv6')],
		export: [...terms('exportV4', 'ipv4'), ...terms('exportV6', 'ipv6')],
	};
}

function toTerm(resource: Resource, rule: JsonObject, family: Family, name: string): PolicyTerm {
	const action = textOf(rule, 'action');
	if (action !== 'Accept' && action !== 'Reject') throw new ResourceError(resource.name, `${name}.action is neither Accept nor Reject`);
	return {
		name,
		match: toMatch(resource, rule, family, name),
		action: action === 'Accept' ? 'accept' : 'reject',
		operations: objectsOf(rule, 'operations').flatMap((operation) => toOperation(resource, operation, name)),
	};
}

function toMatch(resource: Resource, rule: JsonObject, family: Family, name: string): PolicyMatch {
	const source = textOf(rule, 'source');
	const peerType = textOf(rule, 'peerType');
	const communities = textsOf(objectAt(rule, 'communities'), 'values');
	for (const community of communities) checkCommunity(resource, community, `${name}.communities`);
	const asPathPrefix = asNumbers(rule, 'asPathPrefix');
	const priority = numberOf(rule, 'priority');
	const pattern = textOf(rule, 'interface');
	const large = communities.filter((community) => community.split(':').length === 3);
	const plain = communities.filter((community) => !large.includes(community));
	return {
		prefixes: [toPrefixMatch(resource, rule, family, name)],
		...(source === 'RemotePeers' ? { source: 'remote' as const } : {}),
		...(peerType === 'eBGP' ? { peerType: 'external' as const } : peerType === 'iBGP' ? { peerType: 'internal' as const } : {}),
		...(plain.length > 0 ? { communities: plain } : {}),
		...(large.length > 0 ? { largeCommunities: large } : {}),
		...(asPathPrefix.length > 0 ? { asPathPrefix } : {}),
		...(priority === undefined ? {} : { priority }),
		...(pattern === undefined ? {} : { interface: pattern }),
	};
}

/** A community that is none would be refused only where a session is made: by then it is too late to name the filter. */
function checkCommunity(resource: Resource, community: string, name: string): void {
	const problem = communityProblem(community);
	if (problem !== undefined) throw new ResourceError(resource.name, `${name}: ${problem}`);
}

/** Without a CIDR a rule is about its whole family. `In` is equal or more specific, within the given lengths. */
function toPrefixMatch(resource: Resource, rule: JsonObject, family: Family, name: string): PrefixMatch {
	const cidr = textOf(rule, 'cidr');
	if (cidr === undefined) return { prefix: prefixKey(family === 'ipv4' ? '0.0.0.0/0' : '::/0'), operator: 'in' };
	const operator = operators[textOf(rule, 'matchOperator') as keyof typeof operators];
	if (operator === undefined) throw new ResourceError(resource.name, `${name}.matchOperator is none of ${Object.keys(operators).join(', ')}`);
	const length = objectAt(rule, 'prefixLength');
	const min = numberOf(length, 'min');
	const max = numberOf(length, 'max');
	try {
		return {
			prefix: prefixKey(cidr, 'clear'),
			operator,
			...(min === undefined && max === undefined ? {} : { length: { ...(min === undefined ? {} : { min }), ...(max === undefined ? {} : { max }) } }),
		};
	} catch (error) {
		if (error instanceof AddressError) throw new ResourceError(resource.name, `${name}.cidr: ${error.message}`);
		throw error;
	}
}

function toOperation(resource: Resource, operation: JsonObject, name: string): PolicyOperation[] {
	const community = textOf(objectAt(operation, 'addCommunity'), 'value');
	if (community !== undefined) checkCommunity(resource, community, `${name}.operations`);
	if (community !== undefined) return [{ type: community.split(':').length === 3 ? 'add-large-community' : 'add-community', value: community }];
	const prepend = asNumbers(objectAt(operation, 'prependASPath'), 'prefix');
	if (prepend.length > 0) return [{ type: 'prepend-as-path', asNumbers: prepend }];
	const priority = numberOf(objectAt(operation, 'setPriority'), 'value');
	return priority === undefined ? [] : [{ type: 'set-priority', value: priority }];
}

const asNumbers = (object: JsonObject, key: string): number[] => {
	const list = object[key];
	return Array.isArray(list) ? list.map(Number).filter((asNumber) => Number.isInteger(asNumber)) : [];
};
