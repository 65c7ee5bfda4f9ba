import {
	AddressError,
	addressBytes,
	type Family,
	formatPrefix,
	type PrefixKey,
	parsePrefix,
	prefixCovers,
	prefixKey,
} from '../core/index.ts';
import { addToAddress, type Reservations } from './addresses.ts';
import type { Pool, PoolUse } from './values.ts';

/**
 * Evaluates a selector (`calico` selector language) on labels. `undefined`: the selector can not be
 * parsed and selects no node. Passed in by the caller.
 */
export type SelectorMatch = (selector: string, labels: Readonly<Record<string, string>>) => boolean | undefined;

/** The inputs of the choice of pools. */
export interface PoolRequest {
	readonly family: Family;
	readonly use: PoolUse;
	/**
	 * Requested names or CIDRs: only these, in this order, regardless of their selectors. Empty:
	 * any pool that selects node and namespace.
	 */
	readonly requested: readonly string[];
	readonly nodeLabels: Readonly<Record<string, string>>;
	/** `undefined`: no namespace is involved; a selector then gets no labels, as in Calico. */
	readonly namespaceLabels: Readonly<Record<string, string>> | undefined;
}

/** The reason why a pool does not serve a request. */
export interface PoolVerdict {
	readonly pool: string;
	readonly reason: string;
	/** The pool's usage, if that is the reason. */
	readonly usage?: PoolUsage;
}

/** The usage of a pool and its main holders. */
export interface PoolUsage {
	readonly blocks: { readonly total: number; readonly claimed: number };
	/** Counts in claimed blocks. `reserved`: free addresses that are not assigned. */
	readonly addresses: {
		readonly total: number;
		readonly used: number;
		readonly cooling: number;
		readonly reserved: number;
	};
	/** The nodes with the most blocks; without `node`: blocks without affinity. */
	readonly holders: readonly { readonly node?: string; readonly blocks: number; readonly used: number }[];
}

/** The result of the choice of pools. */
export interface PoolChoice {
	/** In the order of use: by name, or as requested. */
	readonly usable: readonly Pool[];
	readonly refused: readonly PoolVerdict[];
	/**
	 * Requested pools that are unavailable; then no address is assigned from the others, either.
	 */
	readonly missing: readonly PoolVerdict[];
}

/**
 * The pools that serve a request, and the reasons against the others. Calico `ipam.go`
 * determinePools.
 */
export function choosePools(pools: readonly Pool[], request: PoolRequest, matches: SelectorMatch): PoolChoice {
	const isWanted = ({ name, cidr }: Pool, wanted: string): boolean => name === wanted || cidr === canonicalText(wanted);
	const candidates =
		request.requested.length === 0
			? [...pools].sort((left, right) => (left.name < right.name ? -1 : 1))
			: request.requested.flatMap((wanted) => pools.filter((pool) => isWanted(pool, wanted)));
	const usable: Pool[] = [];
	const missing: PoolVerdict[] = request.requested
		.filter((wanted) => !pools.some((pool) => isWanted(pool, wanted)))
		.map((wanted) => ({ pool: wanted, reason: 'there is no such pool' }));
	const refused = [...missing];
	for (const pool of new Set(candidates)) {
		const closed = whyClosed(pool, request);
		const reason = closed ?? whyNot(pool, request, matches);
		if (reason === undefined) usable.push(pool);
		else refused.push({ pool: pool.name, reason });
		if (closed !== undefined && request.requested.length > 0) missing.push({ pool: pool.name, reason: closed });
	}
	return { usable, refused, missing };
}

/** A CIDR in the canonical form of pools; a name unchanged. */
function canonicalText(wanted: string): string {
	try {
		return wanted.includes('/') ? prefixKey(wanted, 'clear') : wanted;
	} catch (error) {
		if (error instanceof AddressError) return wanted;
		throw error;
	}
}

/** The reason why a pool has no address of this family. */
function whyClosed(pool: Pool, { family }: PoolRequest): string | undefined {
	if (pool.family !== family) return `it is of ${pool.family}`;
	if (pool.disabled) return 'it is disabled';
	return pool.terminating ? 'it is being deleted' : undefined;
}

function whyNot(pool: Pool, request: PoolRequest, matches: SelectorMatch): string | undefined {
	const unusable = unusablePool(pool);
	if (unusable !== undefined) return unusable;
	if (!pool.allowedUses.includes(request.use))
		return `its allowedUses (${pool.allowedUses.join(', ')}) do not contain ${request.use}`;
	if (request.requested.length > 0) return undefined;
	if (pool.assignmentMode === 'Manual') return 'its assignmentMode is Manual and it was not asked for';
	if (!matches(pool.nodeSelector, request.nodeLabels))
		return `its nodeSelector ${pool.nodeSelector} does not select this node`;
	if (!matches(pool.namespaceSelector, request.namespaceLabels ?? {}))
		return `its namespaceSelector ${pool.namespaceSelector} does not select the namespace`;
	return undefined;
}

/**
 * Prefixes whose addresses can not be behind a router (RFC 6890): "this network", loopback,
 * link-local, multicast and class E.
 */
const neverRouted = [
	'0.0.0.0/8',
	'127.0.0.0/8',
	'169.254.0.0/16',
	'224.0.0.0/3',
	'::/127',
	'fe80::/10',
	'ff00::/8',
].map((text) => ({ text, prefix: parsePrefix(prefixKey(text)) }));

/** The reason why some or all addresses of a prefix can not be routed; `undefined`: all can. */
export function unroutable(cidr: PrefixKey): string | undefined {
	const wanted = parsePrefix(cidr);
	const never = neverRouted.find(({ prefix }) => prefixCovers(prefix, wanted) || prefixCovers(wanted, prefix));
	if (never === undefined) return undefined;
	return prefixCovers(never.prefix, wanted)
		? `it lies in ${never.text}, which is not routed`
		: `it contains ${never.text}, which is not routed`;
}

/**
 * The reason why a pool can serve no address: its blocks exceed the pool, are too large for one
 * resource, or are not routable. Calico's API server rejects such pools; `kubectl` on plain CRDs
 * does not.
 */
export function unusablePool({
	cidr,
	family,
	blockSize,
}: Pick<Pool, 'cidr' | 'family' | 'blockSize'>): string | undefined {
	const { length } = parsePrefix(cidr);
	const [least, most] = family === 'ipv4' ? [20, 32] : [116, 128];
	if (!Number.isInteger(blockSize) || blockSize < least || blockSize > most)
		return `its blockSize ${blockSize} is not between ${least} and ${most}`;
	if (blockSize < length) return `its blocks of /${blockSize} are larger than itself, /${length}`;
	return unroutable(cidr);
}

/** True if the pool covers this prefix. */
export const isInPool = (pool: Pool, cidr: PrefixKey): boolean =>
	prefixCovers(parsePrefix(pool.cidr), parsePrefix(cidr));

/** The pool that contains a block or an address prefix. */
export function poolOf(pools: readonly Pool[], cidr: PrefixKey): Pool | undefined {
	const wanted = parsePrefix(cidr);
	return pools.find((pool) => prefixCovers(parsePrefix(pool.cidr), wanted));
}

/** The number of blocks in a pool. */
export function blockCount(pool: Pool): number {
	return 2 ** Math.max(0, pool.blockSize - parsePrefix(pool.cidr).length);
}

/**
 * Iterates once over all blocks of a pool that are not completely reserved, with wrap-around. The
 * start depends on the node's name, so that nodes rarely compete. For blocks of a single address
 * the start is random (`random` in [0, 1)), as in Calico: then the node need not skip its own
 * blocks. Reserved ranges are skipped in one step: half an IPv6 pool has too many blocks to visit
 * each.
 */
export function* walkBlocks(
	pool: Pool,
	node: string,
	random: number,
	reservations: Reservations,
): Generator<PrefixKey> {
	const { bytes, length } = parsePrefix(pool.cidr);
	const bits = addressBytes[pool.family] * 8;
	const count = 1n << BigInt(Math.max(0, pool.blockSize - length));
	const start = pool.blockSize === bits ? BigInt(Math.floor(random * Number(count))) : BigInt(fnv32(node)) % count;
	for (let step = 0n; step < count; step++) {
		const index = (start + step) % count;
		const cidr = formatPrefix(addToAddress(bytes, index << BigInt(bits - pool.blockSize)), pool.blockSize);
		const holder = reservations.holderOf(cidr);
		if (holder === undefined) yield cidr;
		// Continues after the last block inside the reservation, or after the pool's last block, at
		// the wrap-around.
		else step += min(lastWithin(index, pool.blockSize - holder.length), count - 1n) - index;
	}
}

/** The last index in the aligned group of 2^`bits` blocks that contains `index`. */
const lastWithin = (index: bigint, bits: number): bigint => index | ((1n << BigInt(bits)) - 1n);

const min = (left: bigint, right: bigint): bigint => (left < right ? left : right);

/** FNV-1, 32 bits, over UTF-8. */
function fnv32(text: string): number {
	let hash = 0x811c9dc5;
	for (const byte of new TextEncoder().encode(text)) hash = (Math.imul(hash, 0x01000193) ^ byte) >>> 0;
	return hash;
}
