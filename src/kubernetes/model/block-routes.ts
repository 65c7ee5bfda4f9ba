import { AddressError, hostPrefix, type PrefixKey, prefixKey } from '../../core/index.ts';
import { ordinalToAddress } from '../../ipam/index.ts';
import { arrayAt, isObject, type JsonObject, textAt } from '../../json/index.ts';
import type { Resource } from './resource.ts';

/**
 * The locations of an IPAMBlock's addresses: most at the node with its affinity, some at nodes that
 * borrowed them.
 */
export interface BlockRoutes {
	readonly cidr: PrefixKey;
	/** `undefined`: no node has its affinity, or it is a block of load balancers (`virtual:`). */
	readonly node: string | undefined;
	readonly borrowed: readonly { readonly prefix: PrefixKey; readonly node: string }[];
}

const hostAffinity = 'host:';
const borrowedKey = 'bgpmeshBorrowed';

/**
 * An IPAMBlock reduced to the fields for routes: every node keeps a copy of thousands of blocks.
 * Pure.
 */
export function pruneBlock(object: JsonObject): JsonObject {
	const cidr = textAt(object, 'spec', 'cidr') ?? '';
	const affinity = textAt(object, 'spec', 'affinity') ?? '';
	return {
		metadata: {
			name: textAt(object, 'metadata', 'name') ?? '',
			resourceVersion: textAt(object, 'metadata', 'resourceVersion') ?? '',
		},
		spec: { cidr, affinity, [borrowedKey]: borrowedAddresses(object, cidr, affinity) },
	};
}

/**
 * Allocated addresses whose `node` attribute differs from the node of the affinity. Without that
 * attribute the node is unknown, and there is no route.
 */
function borrowedAddresses(object: JsonObject, cidr: string, affinity: string): JsonObject[] {
	const owner = affinity.startsWith(hostAffinity) ? affinity.slice(hostAffinity.length) : undefined;
	if (affinity !== '' && owner === undefined) return [];
	// Without an active owner the machine runs at its second one, whose migration is about to end.
	const nodes = arrayAt(object, 'spec', 'attributes').map(
		(entry) => textAt(entry, 'secondary', 'node') ?? textAt(entry, 'alternate', 'node'),
	);
	return arrayAt(object, 'spec', 'allocations').flatMap((index, ordinal): JsonObject[] => {
		const node = typeof index === 'number' || typeof index === 'bigint' ? nodes[Number(index)] : undefined;
		return node === undefined || node === owner
			? []
			: [{ address: ordinalToAddress(cidr as PrefixKey, ordinal), node }];
	});
}

/** Reads the result of `pruneBlock`; `undefined` if the CIDR is invalid. */
export function toBlockRoutes({ raw }: Resource): BlockRoutes | undefined {
	const affinity = textAt(raw, 'spec', 'affinity') ?? '';
	try {
		const cidr = prefixKey(textAt(raw, 'spec', 'cidr') ?? '');
		return {
			cidr,
			node: affinity.startsWith(hostAffinity) ? affinity.slice(hostAffinity.length) : undefined,
			borrowed: arrayAt(raw, 'spec', borrowedKey)
				.filter(isObject)
				.map((entry) => ({
					prefix: hostPrefix(textAt(entry, 'address') ?? ''),
					node: textAt(entry, 'node') ?? '',
				})),
		};
	} catch (error) {
		if (error instanceof AddressError) return undefined;
		throw error;
	}
}

/** A route that the datastore implies: to a block, or to a borrowed address, of another node. */
export interface DatastoreRoute {
	readonly prefix: PrefixKey;
	readonly node: string;
}

/**
 * The routes to blocks and borrowed addresses of other nodes. Host addresses of nodes are excluded:
 * they are no workloads. Pure.
 */
export function datastoreRoutes(
	blocks: Iterable<BlockRoutes>,
	self: string,
	hostAddresses: ReadonlySet<PrefixKey>,
): DatastoreRoute[] {
	const routes = new Map<PrefixKey, DatastoreRoute>();
	for (const { cidr, node, borrowed } of blocks) {
		if (node !== undefined && node !== self) routes.set(cidr, { prefix: cidr, node });
		for (const each of borrowed)
			if (each.node !== self && !hostAddresses.has(each.prefix)) routes.set(each.prefix, each);
	}
	return [...routes.values()];
}
