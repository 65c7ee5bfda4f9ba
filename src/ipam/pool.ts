import { addressBytes, type Family, formatPrefix, type PrefixKey, parsePrefix, prefixCovers } from '../core/index.ts';
import { addToAddress } from './addresses.ts';
import type { Pool, PoolUse } from './values.ts';

/** Does a selector (`calico` selector language) hold for these labels? Given by the room that knows the language. */
export type SelectorMatch = (selector: string, labels: Readonly<Record<string, string>>) => boolean;

/** What decides which pools may serve a request. */
export interface PoolRequest {
	readonly family: Family;
	readonly use: PoolUse;
	/** Names or CIDRs that were asked for: they alone, in this order, whatever their selectors say. Empty: any that selects node and namespace. */
	readonly requested: readonly string[];
	readonly nodeLabels: Readonly<Record<string, string>>;
	/** `undefined`: no namespace is involved (tunnel addresses). */
	readonly namespaceLabels: Readonly<Record<string, string>> | undefined;
}

/** Why a pool does not serve a request, in words. */
export interface PoolVerdict {
	readonly pool: string;
	readonly reason: string;
}

/** The pools that serve a request in the order they are tried (by name, or as asked for), and why the others do not. Calico `ipam.go` determinePools. */
export function choosePools(
	pools: readonly Pool[],
	request: PoolRequest,
	matches: SelectorMatch,
): { readonly usable: readonly Pool[]; readonly refused: readonly PoolVerdict[] } {
	const candidates =
		request.requested.length === 0
			? [...pools].sort((left, right) => (left.name < right.name ? -1 : 1))
			: request.requested.flatMap((wanted) => pools.filter(({ name, cidr }) => name === wanted || cidr === wanted));
	const usable: Pool[] = [];
	const refused: PoolVerdict[] = request.requested
		.filter((wanted) => !pools.some(({ name, cidr }) => name === wanted || cidr === wanted))
		.map((wanted) => ({ pool: wanted, reason: 'there is no such pool' }));
	for (const pool of new Set(candidates)) {
		const reason = whyNot(pool, request, matches);
		if (reason === undefined) usable.push(pool);
		else refused.push({ pool: pool.name, reason });
	}
	return { usable, refused };
}

function whyNot(pool: Pool, request: PoolRequest, matches: SelectorMatch): string | undefined {
	if (pool.family !== request.family) return `it is of ${pool.family}`;
	if (pool.disabled) return 'it is disabled';
	if (pool.terminating) return 'it is being deleted';
	if (!pool.allowedUses.includes(request.use)) return `its allowedUses (${pool.allowedUses.join(', ')}) do not contain ${request.use}`;
	if (request.requested.length > 0) return undefined;
	if (pool.assignmentMode === 'Manual') return 'its assignmentMode is Manual and it was not asked for';
	if (!matches(pool.nodeSelector, request.nodeLabels)) return `its nodeSelector ${pool.nodeSelector} does not select this node`;
	if (request.namespaceLabels !== undefined && !matches(pool.namespaceSelector, request.namespaceLabels))
		return `its namespaceSelector ${pool.namespaceSelector} does not select the namespace`;
	return undefined;
}

/** The pool that holds a block or address prefix. */
export function poolOf(pools: readonly Pool[], cidr: PrefixKey): Pool | undefined {
	const wanted = parsePrefix(cidr);
	return pools.find((pool) => prefixCovers(parsePrefix(pool.cidr), wanted));
}

/** How many blocks a pool has. */
export function blockCount(pool: Pool): number {
	return 2 ** Math.max(0, pool.blockSize - parsePrefix(pool.cidr).length);
}

/**
 * All blocks of a pool, round once from a place that depends on the node's name, so that nodes seldom meet. For blocks of a
 * single address the place is random (`random` in [0, 1)), as in Calico: the same node then need not find its own.
 */
export function* walkBlocks(pool: Pool, node: string, random: number): Generator<PrefixKey> {
	const { bytes } = parsePrefix(pool.cidr);
	const bits = addressBytes[pool.family] * 8;
	const count = blockCount(pool);
	const blockAddresses = 2 ** (bits - pool.blockSize);
	const start = pool.blockSize === bits ? Math.floor(random * count) : fnv32(node) % count;
	for (let step = 0; step < count; step++) {
		const index = (start + step) % count;
		// Blocks beyond 2^53 addresses into a pool are out of reach of a number; no node walks that far.
		const offset = index * blockAddresses;
		if (!Number.isSafeInteger(offset)) continue;
		yield formatPrefix(addToAddress(bytes, offset), pool.blockSize);
	}
}

/** FNV-1, 32 bits, over UTF-8. */
function fnv32(text: string): number {
	let hash = 0x811c9dc5;
	for (const byte of new TextEncoder().encode(text)) hash = (Math.imul(hash, 0x01000193) ^ byte) >>> 0;
	return hash;
}
