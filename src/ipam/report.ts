/** What people ask of addresses: how full, whose, and does everything agree. Pure, on what blocks, claims and handles say. */
import { type PrefixKey, parsePrefix, prefixCovers } from '../core/index.ts';
import { addressToOrdinal, ordinalToAddress } from './addresses.ts';
import { attributeOf, blockProblems, ordinalsOfHandle } from './block.ts';
import { handleName, sanitizeHandle } from './names.ts';
import { blockCount } from './pool.ts';
import { type Affinity, type Block, type Handle, hostAffinity, type Pool } from './values.ts';

/** Everything written about addresses at one moment. */
export interface AddressBook {
	readonly pools: readonly Pool[];
	readonly blocks: readonly Block[];
	readonly affinities: readonly Affinity[];
	readonly handles: readonly Handle[];
}

/** How full one block is. */
export interface BlockReport {
	readonly cidr: PrefixKey;
	/** `undefined`: nobody's. */
	readonly node: string | undefined;
	readonly size: number;
	readonly used: number;
	readonly free: number;
	/** Released, and not given again yet. */
	readonly cooling: number;
	/** Used by other nodes than the block's. */
	readonly borrowed: number;
	readonly claimedAt: string | undefined;
}

export function reportBlock(block: Block): BlockReport {
	const node = block.affinity?.startsWith('host:') ? block.affinity.slice('host:'.length) : block.affinity;
	const held = block.allocations.flatMap((index) => (index === null ? [] : [block.attributes[index]]));
	const cooling = held.filter((attribute) => attribute?.releasedAt !== undefined).length;
	const borrowed = held.filter(
		(attribute) => attribute?.releasedAt === undefined && attribute?.secondary?.['node'] !== undefined && attribute.secondary['node'] !== node,
	).length;
	return {
		cidr: block.cidr,
		node,
		size: block.allocations.length,
		used: held.length - cooling,
		free: block.unallocated.length,
		cooling,
		borrowed,
		claimedAt: block.affinityClaimTime,
	};
}

/** How full one pool is, and how long it will last. */
export interface PoolReport {
	readonly name: string;
	readonly cidr: PrefixKey;
	readonly blockSize: number;
	/** Of all that the pool has room for. */
	readonly blocks: { readonly total: number; readonly claimed: number };
	readonly addresses: { readonly total: number; readonly used: number; readonly cooling: number; readonly borrowed: number };
	/** Share of the addresses in claimed blocks that is free there: high means that blocks lie about half empty. */
	readonly fragmentation: number;
	/** Days until every block is claimed, if blocks go on being claimed as in the last week; `undefined`: none was. */
	readonly exhaustedInDays: number | undefined;
}

const weekMs = 7 * 24 * 3600 * 1000;

export function reportPool(pool: Pool, blocks: readonly Block[], nowMs: number): PoolReport {
	const prefix = parsePrefix(pool.cidr);
	const own = blocks.filter(({ cidr }) => prefixCovers(prefix, parsePrefix(cidr))).map(reportBlock);
	const sum = (of: (block: BlockReport) => number) => own.reduce((total, block) => total + of(block), 0);
	const total = blockCount(pool);
	const lastWeek = own.filter(({ claimedAt }) => claimedAt !== undefined && nowMs - Date.parse(claimedAt) < weekMs).length;
	const size = sum((block) => block.size);
	return {
		name: pool.name,
		cidr: pool.cidr,
		blockSize: pool.blockSize,
		blocks: { total, claimed: own.length },
		addresses: {
			total: total * 2 ** (prefix.bytes.length * 8 - pool.blockSize),
			used: sum(({ used }) => used),
			cooling: sum(({ cooling }) => cooling),
			borrowed: sum(({ borrowed }) => borrowed),
		},
		fragmentation: size === 0 ? 0 : sum(({ free }) => free) / size,
		exhaustedInDays: lastWeek === 0 ? undefined : ((total - own.length) * 7) / lastWeek,
	};
}

/** Whose an address is, as far as its block says. */
export interface AddressReport {
	readonly address: string;
	readonly block: PrefixKey | undefined;
	readonly node: string | undefined;
	readonly state: 'used' | 'free' | 'cooling' | 'no-block';
	readonly handleId: string | undefined;
	readonly attributes: Readonly<Record<string, string>>;
}

export function reportAddress(blocks: readonly Block[], address: string): AddressReport {
	const block = blocks.find(({ cidr }) => addressToOrdinal(cidr, address) !== undefined);
	const nobody = { address, handleId: undefined, attributes: {} };
	if (block === undefined) return { ...nobody, block: undefined, node: undefined, state: 'no-block' };
	const attribute = attributeOf(block, addressToOrdinal(block.cidr, address) ?? 0);
	const known = { block: block.cidr, node: reportBlock(block).node };
	if (attribute === undefined) return { ...nobody, ...known, state: 'free' };
	return {
		address,
		...known,
		state: attribute.releasedAt === undefined ? 'used' : 'cooling',
		handleId: attribute.handleId,
		attributes: attribute.secondary ?? {},
	};
}

/** A contradiction; `fix` says what would mend it, where a program may. */
export interface Inconsistency {
	readonly kind: 'block' | 'claim' | 'handle' | 'pool';
	readonly subject: string;
	readonly problem: string;
	readonly fix: 'remove-handle' | 'release-claim' | undefined;
}

/** Holds blocks, claims, handles and pools against each other. Some differences are there for a moment while a request is on its way: look twice. */
export function findInconsistencies({ pools, blocks, affinities, handles }: AddressBook): Inconsistency[] {
	const byCidr = new Map(blocks.map((block) => [block.cidr, block]));
	const found: Inconsistency[] = [];
	const claimed = new Set<string>();
	for (const block of blocks) for (const problem of blockProblems(block)) found.push({ kind: 'block', subject: block.cidr, problem, fix: undefined });
	for (const block of blocks) {
		if (!pools.some((pool) => prefixCovers(parsePrefix(pool.cidr), parsePrefix(block.cidr))))
			found.push({ kind: 'pool', subject: block.cidr, problem: 'the block lies in no pool', fix: undefined });
	}
	for (const { node, cidr, state } of affinities) {
		claimed.add(`${hostAffinity(node)} ${cidr}`);
		const block = byCidr.get(cidr);
		const isConfirmed = state === 'confirmed' || state === '';
		if (isConfirmed && block === undefined)
			found.push({ kind: 'claim', subject: `${node} ${cidr}`, problem: 'the claim is confirmed, and there is no such block', fix: 'release-claim' });
		else if (isConfirmed && block?.affinity !== hostAffinity(node))
			found.push({
				kind: 'claim',
				subject: `${node} ${cidr}`,
				problem: `the claim is confirmed, and the block is ${block?.affinity ?? 'nobody'}'s`,
				fix: 'release-claim',
			});
	}
	for (const { cidr, affinity } of blocks) {
		if (affinity?.startsWith('host:') && !claimed.has(`${affinity} ${cidr}`))
			found.push({ kind: 'claim', subject: cidr, problem: `the block is ${affinity}'s, who has no claim to it`, fix: undefined });
	}
	return [...found, ...handleInconsistencies(handles, blocks, byCidr)];
}

function handleInconsistencies(handles: readonly Handle[], blocks: readonly Block[], byCidr: ReadonlyMap<string, Block>): Inconsistency[] {
	const known = new Set(handles.map(({ handleId }) => handleName(handleId)));
	const found: Inconsistency[] = [];
	for (const { handleId, blocks: counts } of handles) {
		const held = Object.keys(counts).map((cidr) => {
			const block = byCidr.get(cidr);
			return { cidr, held: block === undefined ? 0 : ordinalsOfHandle(block, sanitizeHandle(handleId)).length };
		});
		if (held.every((entry) => entry.held === 0)) found.push({ kind: 'handle', subject: handleId, problem: 'no block knows of it', fix: 'remove-handle' });
		else
			for (const { cidr, held: number } of held.filter((entry) => entry.held !== counts[entry.cidr]))
				found.push({ kind: 'handle', subject: handleId, problem: `it says ${counts[cidr]} of ${cidr}, the block says ${number}`, fix: undefined });
	}
	for (const block of blocks) {
		for (const [index, { handleId, releasedAt }] of block.attributes.entries()) {
			if (handleId === undefined || releasedAt !== undefined || known.has(handleName(sanitizeHandle(handleId)))) continue;
			const ordinal = block.allocations.indexOf(index);
			found.push({
				kind: 'handle',
				subject: handleId,
				problem: `${ordinalToAddress(block.cidr, Math.max(0, ordinal))} is held by it, and there is no such handle`,
				fix: undefined,
			});
		}
	}
	return found;
}
