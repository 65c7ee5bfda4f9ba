/** Calico's IPAM resources to the values that `ipam/` decides on, and back: unknown fields stay, numbers keep every digit. */
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
import { isArray, isObject, type JsonObject, type JsonValue, objectAt } from '../json/index.ts';
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
const attributeKeys = ['handle_id', 'secondary', 'releasedAt'];

/** @throws ResourceError, also where what it holds could be misread: an address must not seem to be free */
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
			Object.entries(objectAt(spec, 'sequenceNumberForAllocation')).map(([ordinal, value]) => [ordinal, bigintOf(value) ?? 0n]),
		),
		deleted: flagOf(spec, 'deleted'),
		other: without(spec, blockKeys),
	};
}

/** What is wrong with a block that has a CIDR. Absent lists are empty, as Go writes them, but for `allocations`. */
function blockMalformation({ name }: Resource, spec: JsonObject, cidr: PrefixKey): string | undefined {
	if (blockName(cidr) !== name) return `spec.cidr is ${cidr}, whose block has the name ${blockName(cidr)}`;
	const { allocations, unallocated = null, attributes = null } = spec;
	const size = addressCount(parsePrefix(cidr));
	if (!isArray(allocations) || allocations.length !== size) return `spec.allocations is not a list of ${size}`;
	if (!allocations.every((index) => index === null || isOrdinal(index)))
		return 'spec.allocations has something that is neither null nor a number of an attribute';
	if (unallocated !== null && !(isArray(unallocated) && unallocated.every(isOrdinal))) return 'spec.unallocated is not a list of numbers of addresses';
	if (attributes === null) return undefined;
	if (!isArray(attributes) || !attributes.every(isObject)) return 'spec.attributes is not a list of objects';
	const isText = (value: JsonValue | undefined) => value === undefined || value === null || typeof value === 'string';
	const isOwner = ({ handle_id: handle, secondary = null, releasedAt }: JsonObject): boolean =>
		isText(handle) && isText(releasedAt) && (secondary === null || (isObject(secondary) && Object.values(secondary).every(isText)));
	return attributes.every(isOwner) ? undefined : 'spec.attributes has an owner that is not text';
}

const isOrdinal = (value: JsonValue | undefined): boolean => typeof value === 'number' && Number.isInteger(value) && value >= 0;

/** Which addresses a block may hold: by its name, and by what it says, read or not. */
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
	releasedAt: textOf(raw, 'releasedAt'),
	other: without(raw, attributeKeys),
});

/** A block's spec as Calico writes it. The v1 layout requires `strictAffinity`, which nobody reads. */
export function fromBlock(block: Block, layout: ApiLayout): JsonObject {
	return {
		...(layout === 'crd.projectcalico.org/v1' ? { strictAffinity: false } : {}),
		...unknownOf(block.other),
		cidr: block.cidr,
		...(block.affinity === undefined ? {} : { affinity: block.affinity }),
		...(block.affinityClaimTime === undefined ? {} : { affinityClaimTime: block.affinityClaimTime }),
		allocations: block.allocations,
		unallocated: block.unallocated,
		attributes: block.attributes.map(fromAttribute),
		sequenceNumber: smallest(block.sequenceNumber),
		sequenceNumberForAllocation: Object.fromEntries(Object.entries(block.sequenceNumberForAllocation).map(([ordinal, value]) => [ordinal, smallest(value)])),
		...(block.deleted ? { deleted: true } : { deleted: false }),
	};
}

const fromAttribute = ({ handleId, secondary, releasedAt, other }: AllocationAttribute): JsonObject => ({
	...unknownOf(other),
	...(handleId === undefined ? {} : { handle_id: handleId }),
	...(secondary === undefined ? {} : { secondary }),
	...(releasedAt === undefined ? {} : { releasedAt }),
});

/** What was read as unknown came out of JSON: it is JSON. */
const unknownOf = (other: Readonly<Record<string, unknown>>): JsonObject => other as JsonObject;

const affinityKeys = ['state', 'node', 'type', 'cidr', 'deleted'];

/** @throws ResourceError */
export function toAffinity(resource: Resource): Affinity {
	const spec = specOf(resource);
	return {
		// Whatever else is written there counts as Calico's own default does: not confirmed.
		state: (textOf(spec, 'state') ?? '') as AffinityState,
		node: textOf(spec, 'node') ?? '',
		type: textOf(spec, 'type') === 'virtual' ? 'virtual' : 'host',
		cidr: cidrOf(resource, spec),
		// Text in the v1 layout, a boolean in v3.
		deleted: flagOf(spec, 'deleted') || textOf(spec, 'deleted') === 'true',
		other: without(spec, affinityKeys),
	};
}

/** An affinity's spec; `deleted` is text in the v1 layout. */
export function fromAffinity({ state, node, type, cidr, deleted, other }: Affinity, layout: ApiLayout): JsonObject {
	return { ...unknownOf(other), cidr, deleted: layout === 'crd.projectcalico.org/v1' ? String(deleted) : deleted, node, state, type };
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

/** An IPPool with the defaults of Calico's own API, which objects written by kubectl may lack. @throws ResourceError */
export function toPool(resource: Resource): Pool {
	const spec = specOf(resource);
	const cidr = cidrOf(resource, spec);
	const { family } = parsePrefix(cidr);
	const written = textsOf(spec, 'allowedUses');
	// Uses of a later version are none of ours; a pool that names nothing else is not for ours.
	const uses = written.filter((use): use is PoolUse => use === 'Workload' || use === 'Tunnel' || use === 'LoadBalancer');
	return {
		name: resource.name,
		cidr,
		family,
		blockSize: numberOf(spec, 'blockSize') ?? (family === 'ipv4' ? 26 : 122),
		disabled: flagOf(spec, 'disabled'),
		nodeSelector: textOf(spec, 'nodeSelector') ?? 'all()',
		namespaceSelector: textOf(spec, 'namespaceSelector') ?? '',
		allowedUses: written.length === 0 ? ['Workload', 'Tunnel'] : uses,
		assignmentMode: textOf(spec, 'assignmentMode') === 'Manual' ? 'Manual' : 'Automatic',
		terminating: resource.terminating,
	};
}

/** What a pool means for routes and tunnels. */
export interface PoolRouting {
	readonly cidr: PrefixKey;
	readonly ipipMode: 'Always' | 'CrossSubnet' | 'Never';
	readonly vxlanMode: 'Always' | 'CrossSubnet' | 'Never';
	readonly natOutgoing: boolean;
	readonly disabled: boolean;
	readonly disableBgpExport: boolean;
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
	};
}

/** `ipamconfigs/default`, or Calico's defaults where there is none. */
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

/** The prefixes of an IPReservation, and what of it is none: a mistake in one must not give the others away. */
export function toReservation(resource: Resource): { readonly cidrs: readonly PrefixKey[]; readonly unreadable: readonly string[] } {
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
