import { AddressError, addressBytes, type Family, formatPrefix, type PrefixKey, parsePrefix, prefixCovers, prefixKey } from '../core/index.ts';
import { addToAddress, type Reservations } from './addresses.ts';
import type { Pool, PoolUse } from './values.ts';

/** Does a selector (`calico` selector language) hold for these labels? `undefined`: it can't be read, and selects nobody anew. Given by the room that knows the language. */
export type SelectorMatch = (selector: string, labels: Readonly<Record<string, string>>) => boolean | undefined;

/** What decides which pools may serve a request. */
export interface PoolRequest {
	readonly family: Family;
	readonly use: PoolUse;
	/** Names or CIDRs that were asked for: they alone, in this order, whatever their selectors say. Empty: any that selects node and namespace. */
	readonly requested: readonly string[];
	readonly nodeLabels: Readonly<Record<string, string>>;
	/** `undefined`: no namespace is involved; a selector then sees no labels, as in Calico. */
	readonly namespaceLabels: Readonly<Record<string, string>> | undefined;
}

/** Why a pool does not serve a request, in words. */
export interface PoolVerdict {
	readonly pool: string;
	readonly reason: string;
	/** How full it is, where that is the reason. */
	readonly usage?: PoolUsage;
}

/** How full a pool is and with whom. */
export interface PoolUsage {
	readonly blocks: { readonly total: number; readonly claimed: number };
	/** Of the claimed blocks: `reserved` ones are free and not given. */
	readonly addresses: { readonly total: number; readonly used: number; readonly cooling: number; readonly reserved: number };
	/** The nodes with most of its blocks; without `node`: blocks of nobody. */
	readonly holders: readonly { readonly node?: string; readonly blocks: number; readonly used: number }[];
}

/** What becomes of a request for addresses of pools. */
export interface PoolChoice {
	/** In the order they are tried: by name, or as asked for. */
	readonly usable: readonly Pool[];
	readonly refused: readonly PoolVerdict[];
	/** Asked for and not there to be taken from: then nothing is given of the others, either. */
	readonly missing: readonly PoolVerdict[];
}

/** Which pools serve a request, and why the others do not. Calico `ipam.go` determinePools. */
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

/** A CIDR as pools have it; a name as it is. */
function canonicalText(wanted: string): string {
	try {
		return wanted.includes('/') ? prefixKey(wanted, 'clear') : wanted;
	} catch (error) {
		if (error instanceof AddressError) return wanted;
		throw error;
	}
}

/** Nobody gets addresses of this family from it. */
function whyClosed(pool: Pool, { family }: PoolRequest): string | undefined {
	if (pool.family !== family) return `it is of ${pool.family}`;
	if (pool.disabled) return 'it is disabled';
	return pool.terminating ? 'it is being deleted' : undefined;
}

function whyNot(pool: Pool, request: PoolRequest, matches: SelectorMatch): string | undefined {
	const shape = uselessShape(pool);
	if (shape !== undefined) return shape;
	if (!pool.allowedUses.includes(request.use)) return `its allowedUses (${pool.allowedUses.join(', ')}) do not contain ${request.use}`;
	if (request.requested.length > 0) return undefined;
	if (pool.assignmentMode === 'Manual') return 'its assignmentMode is Manual and it was not asked for';
	if (!matches(pool.nodeSelector, request.nodeLabels)) return `its nodeSelector ${pool.nodeSelector} does not select this node`;
	if (!matches(pool.namespaceSelector, request.namespaceLabels ?? {})) return `its namespaceSelector ${pool.namespaceSelector} does not select the namespace`;
	return undefined;
}

/** Calico's API refuses such pools; `kubectl` on bare CRDs does not. Blocks of them would reach beyond the pool, or be too large to be one resource. */
function uselessShape({ cidr, family, blockSize }: Pool): string | undefined {
	const { length } = parsePrefix(cidr);
	const [least, most] = family === 'ipv4' ? [20, 32] : [116, 128];
	if (!Number.isInteger(blockSize) || blockSize < least || blockSize > most) return `its blockSize ${blockSize} is not between ${least} and ${most}`;
	return blockSize < length ? `its blocks of /${blockSize} are larger than itself, /${length}` : undefined;
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
 * All blocks of a pool that are not reserved as a whole, round once from a place that depends on the node's name, so that nodes seldom
 * meet. For blocks of a single address the place is random (`random` in [0, 1)), as in Calico: the same node then need not find its own.
 * What is reserved is stepped over at once: half an IPv6 pool has more blocks than anybody can look at.
 */
export function* walkBlocks(pool: Pool, node: string, random: number, reservations: Reservations): Generator<PrefixKey> {
	const { bytes, length } = parsePrefix(pool.cidr);
	const bits = addressBytes[pool.family] * 8;
	const count = 1n << BigInt(Math.max(0, pool.blockSize - length));
	const start = pool.blockSize === bits ? BigInt(Math.floor(random * Number(count))) : BigInt(fnv32(node)) % count;
	for (let step = 0n; step < count; step++) {
		const index = (start + step) % count;
		const cidr = formatPrefix(addToAddress(bytes, index << BigInt(bits - pool.blockSize)), pool.blockSize);
		const holder = reservations.holderOf(cidr);
		if (holder === undefined) yield cidr;
		// To the last block inside of it, or the pool's last: from there the walk goes round.
		else step += min(lastWithin(index, pool.blockSize - holder.length), count - 1n) - index;
	}
}

/** The last of the 2^`bits` blocks among which `index` is. */
const lastWithin = (index: bigint, bits: number): bigint => index | ((1n << BigInt(bits)) - 1n);

const min = (left: bigint, right: bigint): bigint => (left < right ? left : right);

/** FNV-1, 32 bits, over UTF-8. */
function fnv32(text: string): number {
	let hash = 0x811c9dc5;
	for (const byte of new TextEncoder().encode(text)) hash = (Math.imul(hash, 0x01000193) ^ byte) >>> 0;
	return hash;
}
