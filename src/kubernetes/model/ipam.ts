/**
 * Converts Calico's IPAM resources to the values of `ipam/` and back: unknown fields are kept,
 * numbers keep every digit.
 */
import { AddressError, hostPrefix, type PrefixKey, parsePrefix, prefixKey } from '../../core/index.ts';
import {
	type Affinity,
	type AffinityState,
	type AllocationAttribute,
	addressCount,
	type Block,
	blockName,
	blockOfName,
	defaultIpamConfig,
	type Handle,
	type IpamConfig,
	type Pool,
	type PoolUse,
} from '../../ipam/index.ts';
import { isArray, isObject, type JsonObject, type JsonValue, objectAt } from '../../json/index.ts';
import { bigintOf, flagOf, flagOr, numberOf, objectsOf, smallest, textOf, textsOf } from './fields.ts';
import { type ApiLayout, type Resource, ResourceError, specOf, texts, without } from './resource.ts';

const blockKeys = [
	'cidr',
	'affinity',
	'affinityClaimTime',
	'allocations',
	'unallocated',
	'attributes',
	'sequenceNumber',
	'sequenceNumberForAllocation',
	'deleted',
];
const attributeKeys = ['handle_id', 'secondary', 'alternate', 'releasedAt'];

/**
 * @throws ResourceError, also if the contents could be misread: an allocated address must never
 * appear free
 */
export function toBlock(resource: Resource): Block {
	const spec = specOf(resource);
	const cidr = cidrOf(resource, spec);
	const problem = blockMalformation(resource, spec, cidr);
	if (problem !== undefined) throw new ResourceError(resource.name, problem);
	return {
		cidr,
		affinity: textOf(spec, 'affinity'),
		affinityClaimTime: textOf(spec, 'affinityClaimTime'),
		allocations: listOf(spec['allocations']).map((index) => (typeof index === 'number' ? index : null)),
		unallocated: listOf(spec['unallocated']).filter((ordinal): ordinal is number => typeof ordinal === 'number'),
		attributes: objectsOf(spec, 'attributes').map(toAttribute),
		sequenceNumber: bigintOf(spec['sequenceNumber']) ?? 0n,
		sequenceNumberForAllocation: Object.fromEntries(
			Object.entries(objectAt(spec, 'sequenceNumberForAllocation')).map(([ordinal, value]) => [
				ordinal,
				bigintOf(value) ?? 0n,
			]),
		),
		deleted: flagOf(spec, 'deleted'),
		other: without(spec, blockKeys),
	};
}

/**
 * The error in a block with a CIDR. Absent lists count as empty, as Go writes them, except
 * `allocations`.
 */
function blockMalformation({ name }: Resource, spec: JsonObject, cidr: PrefixKey): string | undefined {
	if (blockName(cidr) !== name) return `spec.cidr is ${cidr}, whose block has the name ${blockName(cidr)}`;
	const { allocations, unallocated = null, attributes = null } = spec;
	const size = addressCount(parsePrefix(cidr));
	if (!isArray(allocations) || allocations.length !== size) return `spec.allocations is not a list of ${size}`;
	if (!allocations.every((index) => index === null || isOrdinal(index)))
		return 'spec.allocations has something that is neither null nor a number of an attribute';
	if (unallocated !== null && !(isArray(unallocated) && unallocated.every(isOrdinal)))
		return 'spec.unallocated is not a list of numbers of addresses';
	if (attributes === null) return undefined;
	if (!isArray(attributes) || !attributes.every(isObject)) return 'spec.attributes is not a list of objects';
	const isText = (value: JsonValue | undefined) => value === undefined || value === null || typeof value === 'string';
	const areTexts = (value: JsonValue) => value === null || (isObject(value) && Object.values(value).every(isText));
	const isOwner = ({ handle_id: handle, secondary = null, alternate = null, releasedAt }: JsonObject): boolean =>
		isText(handle) && isText(releasedAt) && areTexts(secondary) && areTexts(alternate);
	return attributes.every(isOwner) ? undefined : 'spec.attributes has an owner that is not text';
}

const isOrdinal = (value: JsonValue | undefined): boolean =>
	typeof value === 'number' && Number.isInteger(value) && value >= 0;

/**
 * The addresses that a block may hold: by its name and by its CIDR field, even if it can not be
 * read.
 */
export function cidrsOfBlock(resource: Resource): readonly PrefixKey[] {
	const named = blockOfName(resource.name);
	let said: PrefixKey | undefined;
	try {
		said = cidrOf(resource, specOf(resource));
	} catch (error) {
		if (!(error instanceof ResourceError)) throw error;
	}
	return [...new Set([named, said])].filter((cidr) => cidr !== undefined);
}

const toAttribute = (raw: JsonObject): AllocationAttribute => ({
	handleId: textOf(raw, 'handle_id'),
	secondary: isObject(raw['secondary']) ? texts(raw['secondary']) : undefined,
	...(isObject(raw['alternate']) ? { alternate: texts(raw['alternate']) } : {}),
	releasedAt: textOf(raw, 'releasedAt'),
	other: without(raw, attributeKeys),
});

/**
 * A block's spec as Calico writes it. Both layouts require `strictAffinity`, which is deprecated
 * and has no effect.
 */
export function fromBlock(block: Block): JsonObject {
	return {
		strictAffinity: false,
		...unknownOf(block.other),
		cidr: block.cidr,
		...(block.affinity === undefined ? {} : { affinity: block.affinity }),
		...(block.affinityClaimTime === undefined ? {} : { affinityClaimTime: block.affinityClaimTime }),
		allocations: block.allocations,
		unallocated: block.unallocated,
		attributes: block.attributes.map(fromAttribute),
		sequenceNumber: smallest(block.sequenceNumber),
		sequenceNumberForAllocation: Object.fromEntries(
			Object.entries(block.sequenceNumberForAllocation).map(([ordinal, value]) => [ordinal, smallest(value)]),
		),
		...(block.deleted ? { deleted: true } : { deleted: false }),
	};
}

const fromAttribute = ({ handleId, secondary, alternate, releasedAt, other }: AllocationAttribute): JsonObject => ({
	...unknownOf(other),
	...(handleId === undefined ? {} : { handle_id: handleId }),
	...(secondary === undefined ? {} : { secondary }),
	...(alternate === undefined ? {} : { alternate }),
	...(releasedAt === undefined ? {} : { releasedAt }),
});

/** Unknown fields were parsed from JSON, so they are JSON values. */
const unknownOf = (other: Readonly<Record<string, unknown>>): JsonObject => other as JsonObject;

const affinityKeys = ['state', 'node', 'type', 'cidr', 'deleted'];

/** @throws ResourceError */
export function toAffinity(resource: Resource): Affinity {
	const spec = specOf(resource);
	return {
		// Any other value counts as in Calico: not confirmed.
		state: (textOf(spec, 'state') ?? '') as AffinityState,
		node: textOf(spec, 'node') ?? '',
		type: textOf(spec, 'type') === 'virtual' ? 'virtual' : 'host',
		cidr: cidrOf(resource, spec),
		// A string in the v1 layout, a boolean in v3.
		deleted: flagOf(spec, 'deleted') || textOf(spec, 'deleted') === 'true',
		other: without(spec, affinityKeys),
	};
}

/** An affinity's spec; `deleted` is a string in the v1 layout. */
export function fromAffinity({ state, node, type, cidr, deleted, other }: Affinity, layout: ApiLayout): JsonObject {
	return {
		...unknownOf(other),
		cidr,
		deleted: layout === 'crd.projectcalico.org/v1' ? String(deleted) : deleted,
		node,
		state,
		type,
	};
}

const handleKeys = ['handleID', 'block', 'deleted'];

/** @throws ResourceError */
export function toHandle(resource: Resource): Handle {
	const spec = specOf(resource);
	const blocks = Object.entries(objectAt(spec, 'block')).map(([cidr, count]): [string, number] => {
		if (typeof count !== 'number') throw new ResourceError(resource.name, `spec.block['${cidr}'] is not a number`);
		return [canonical(resource, cidr), count];
	});
	return {
		handleId: textOf(spec, 'handleID') ?? resource.name,
		blocks: Object.fromEntries(blocks),
		deleted: flagOf(spec, 'deleted'),
		other: without(spec, handleKeys),
	};
}

export function fromHandle({ handleId, blocks, deleted, other }: Handle): JsonObject {
	return { ...unknownOf(other), handleID: handleId, block: blocks, deleted };
}

/**
 * An IPPool with the defaults of Calico's API, which objects written by kubectl may lack. @throws
 * ResourceError
 */
export function toPool(resource: Resource): Pool {
	const spec = specOf(resource);
	const cidr = cidrOf(resource, spec);
	const { family } = parsePrefix(cidr);
	const written = textsOf(spec, 'allowedUses');
	// Unknown uses of a later version are ignored; a pool with only unknown uses is not used.
	const uses = written.filter(
		(use): use is PoolUse => use === 'Workload' || use === 'Tunnel' || use === 'LoadBalancer',
	);
	return {
		name: resource.name,
		cidr,
		family,
		// 0 is Go's absent value.
		blockSize: numberOf(spec, 'blockSize') || (family === 'ipv4' ? 26 : 122),
		disabled: flagOf(spec, 'disabled'),
		nodeSelector: textOf(spec, 'nodeSelector') ?? 'all()',
		namespaceSelector: textOf(spec, 'namespaceSelector') ?? '',
		allowedUses: written.length === 0 ? ['Workload', 'Tunnel'] : uses,
		assignmentMode: textOf(spec, 'assignmentMode') === 'Manual' ? 'Manual' : 'Automatic',
		terminating: resource.terminating,
		// `metadata.generation` rises with `spec` alone; without one every write counts.
		version: [
			resource.uid,
			numberOf(objectAt(resource.raw, 'metadata'), 'generation') ?? resource.resourceVersion,
		].join('/'),
	};
}

/** The routing and tunnel settings of a pool. */
export interface PoolRouting {
	readonly cidr: PrefixKey;
	readonly ipipMode: 'Always' | 'CrossSubnet' | 'Never';
	readonly vxlanMode: 'Always' | 'CrossSubnet' | 'Never';
	readonly natOutgoing: boolean;
	readonly disabled: boolean;
	readonly disableBgpExport: boolean;
	/** `allowedUses` is only `LoadBalancer`: no routes, no address translation. */
	readonly loadBalancerOnly: boolean;
}

/** @throws ResourceError */
export function toPoolRouting(resource: Resource): PoolRouting {
	const spec = specOf(resource);
	const mode = (key: string) => {
		const text = textOf(spec, key);
		return text === 'Always' || text === 'CrossSubnet' ? text : 'Never';
	};
	return {
		cidr: cidrOf(resource, spec),
		ipipMode: mode('ipipMode'),
		vxlanMode: mode('vxlanMode'),
		natOutgoing: flagOf(spec, 'natOutgoing'),
		disabled: flagOf(spec, 'disabled'),
		disableBgpExport: flagOf(spec, 'disableBGPExport'),
		loadBalancerOnly: isLoadBalancerOnly(spec['allowedUses']),
	};
}

/** Exactly `[LoadBalancer]`. */
const isLoadBalancerOnly = (uses: unknown): boolean =>
	Array.isArray(uses) && uses.length === 1 && uses[0] === 'LoadBalancer';

/** `ipamconfigs/default`, or Calico's defaults if it is absent. */
export function toIpamConfig(resource: Resource | undefined): IpamConfig {
	if (resource === undefined) return defaultIpamConfig;
	const spec = specOf(resource);
	return {
		strictAffinity: flagOr(spec, 'strictAffinity', defaultIpamConfig.strictAffinity),
		autoAllocateBlocks: flagOr(spec, 'autoAllocateBlocks', defaultIpamConfig.autoAllocateBlocks),
		maxBlocksPerHost: numberOf(spec, 'maxBlocksPerHost') ?? defaultIpamConfig.maxBlocksPerHost,
		cooldownSeconds: numberOf(spec, 'ipCooldownSeconds') ?? defaultIpamConfig.cooldownSeconds,
	};
}

/**
 * The valid prefixes of an IPReservation, and the invalid entries: an invalid entry does not void
 * the others.
 */
export function toReservation(resource: Resource): {
	readonly cidrs: readonly PrefixKey[];
	readonly unreadable: readonly string[];
} {
	const cidrs: PrefixKey[] = [];
	const unreadable: string[] = [];
	for (const text of textsOf(specOf(resource), 'reservedCIDRs')) {
		try {
			cidrs.push(text.includes('/') ? prefixKey(text, 'clear') : hostPrefix(text));
		} catch (error) {
			if (!(error instanceof AddressError)) throw error;
			unreadable.push(text);
		}
	}
	return { cidrs, unreadable };
}

function cidrOf(resource: Resource, spec: JsonObject): PrefixKey {
	const cidr = textOf(spec, 'cidr');
	if (cidr === undefined) throw new ResourceError(resource.name, 'spec.cidr is missing');
	return canonical(resource, cidr);
}

function canonical(resource: Resource, cidr: string): PrefixKey {
	try {
		return prefixKey(cidr, 'clear');
	} catch (error) {
		if (error instanceof AddressError) throw new ResourceError(resource.name, error.message);
		throw error;
	}
}

const listOf = (value: JsonValue | undefined): readonly JsonValue[] => (isArray(value) ? value : []);
