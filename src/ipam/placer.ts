import type { KeyedLock, PrefixKey } from '../core/index.ts';
import { hostPrefix, parsePrefix, prefixCovers } from '../core/index.ts';
import { addressToOrdinal, blockOf, isBlockEdge } from './addresses.ts';
import type { AllocatorDependencies } from './allocator.ts';
import { endCooldowns } from './block.ts';
import { blockToBorrowFrom, findNewBlock, type Landscape, ownBlockWithRoom, ownClaims } from './block-finder.ts';
import { type ClaimDependencies, claimBlock, giveUpBlock } from './claim.ts';
import { blockName } from './names.ts';
import { OverlapGuard } from './overlap-guard.ts';
import { overlappedBlocks } from './overlaps.ts';
import { poolOf } from './pool.ts';
import { exhausted, unavailable } from './refusal.ts';
import type { Unavailable } from './requests.ts';
import type { Source } from './source.ts';
import { cidrsOf, type Listing, UnreadableError, type Versioned, whereReadable } from './store.ts';
import { type Block, hostAffinity, safetyBlocksPerHost } from './values.ts';

/** The block for an address, or the reason why there is none. */
export type Placement = { readonly type: 'block'; readonly cidr: PrefixKey } | Unavailable;

export interface PlacerDependencies extends AllocatorDependencies {
	readonly claims: ClaimDependencies;
	/** One claim at a time: concurrent requests share the block that the first one claims. */
	readonly claimLock: KeyedLock;
}

/**
 * Finds the block for an address: an own block with a free address, a new, a reclaimed or a
 * borrowed one. Assigns no address.
 */
export class Placer {
	readonly #dependencies: AllocatorDependencies;
	readonly #claims: ClaimDependencies;
	readonly #claimLock: KeyedLock;
	readonly #promised = new Map<PrefixKey, number>();
	/** Blocks with a claim in progress that are not checked against overlapping blocks yet. */
	readonly #claiming = new Set<PrefixKey>();
	readonly #overlaps: OverlapGuard;

	constructor(dependencies: PlacerDependencies) {
		this.#dependencies = dependencies;
		this.#claims = dependencies.claims;
		this.#claimLock = dependencies.claimLock;
		this.#overlaps = new OverlapGuard(dependencies.store, dependencies.clock);
	}

	/** Returns a block with a free address, promised to the caller until `settle`. */
	async place(source: Source, tried: ReadonlySet<PrefixKey>): Promise<Placement> {
		if (source.missing.length > 0) {
			const asked = source.missing.map(({ pool, reason }) => `${pool} (${reason})`).join(', ');
			return unavailable(source, `what was asked for is no pool of this family that is enabled: ${asked}`, false);
		}
		if (source.pools.length === 0) return unavailable(source, `no ${source.family} pool serves this request`, false);
		const own = await this.#ownBlock(source, tried);
		if (own !== undefined) return own;
		return this.#claimLock.run('claim', async () => {
			// A request that waited uses the block that the previous one claimed. The fresh read
			// also sees addresses released by others.
			const shared = (await this.#ownBlock(source, tried)) ?? (await this.#ownBlock(source, tried, 'fresh'));
			if (shared !== undefined) return shared;
			return this.#newBlock(source, tried);
		});
	}

	/**
	 * The fast path: only the node's own blocks, from the cache unless `fresh`. Count and promise
	 * happen in one turn.
	 */
	async #ownBlock(source: Source, tried: ReadonlySet<PrefixKey>, fresh?: 'fresh'): Promise<Placement | undefined> {
		const { store, node } = this.#dependencies;
		const confirmed = ownClaims(await store.affinitiesOf(node), node).confirmed.filter((cidr) => !tried.has(cidr));
		const blocks = await Promise.all(
			confirmed.map((cidr) => whereReadable(store.blocks.read(blockName(cidr), fresh), undefined)),
		);
		const items = blocks.flatMap((block) => (block === undefined ? [] : [block]));
		const overlapped = await this.#overlaps.overlapped(confirmed);
		const landscape = this.#landscape(source, { items, unreadable: [] }, overlapped);
		const cidr = ownBlockWithRoom(landscape, source.pools, confirmed);
		return cidr === undefined ? undefined : this.#promise(cidr);
	}

	async #newBlock(source: Source, tried: ReadonlySet<PrefixKey>): Promise<Placement> {
		const { node, random, clock, log } = this.#dependencies;
		const { config, pools } = source;
		const lost = new Set<PrefixKey>();
		const claims = ownClaims(await this.#dependencies.store.affinitiesOf(node), node);
		for (const cidr of claims.unfinished.filter((claim) =>
			pools.some((pool) => prefixCovers(parsePrefix(pool.cidr), parsePrefix(claim))),
		)) {
			if ((await this.#claim(cidr)) === 'claimed' && !tried.has(cidr)) return this.#promise(cidr);
		}
		const owned = claims.confirmed.filter((cidr) => parsePrefix(cidr).family === source.family).length;
		const most = config.maxBlocksPerHost === 0 ? safetyBlocksPerHost : config.maxBlocksPerHost;
		const mayClaim = config.autoAllocateBlocks && owned < most;
		while (mayClaim) {
			const found = findNewBlock(
				this.#landscape(source, await this.#dependencies.store.blocks.list()),
				pools,
				new Set([...lost, ...tried]),
				random(),
				clock.wallMs(),
			);
			if (found === undefined) break;
			lost.add(found.cidr);
			if (found.type === 'reclaim') {
				const giveUp = giveUpBlock(this.#claims, found.from, found.cidr, {
					requireEmpty: true,
					sequenceNumber: found.sequenceNumber,
				});
				const outcome = await whereReadable(giveUp, 'changed');
				log.info('empty block reclaimed', { block: found.cidr, from: found.from, outcome });
				if (outcome !== 'released') continue;
			}
			if ((await this.#claim(found.cidr)) === 'claimed') {
				log.info('block claimed', { block: found.cidr });
				return this.#promise(found.cidr);
			}
		}
		// A gateway is only on the links of the block's own node.
		const mayBorrow = !config.strictAffinity && !source.gateway;
		const landscape = this.#landscape(source, await this.#dependencies.store.blocks.list());
		const borrowed = mayBorrow ? blockToBorrowFrom(landscape, pools, tried, random()) : undefined;
		return borrowed === undefined ? exhausted(source, landscape, { owned, most }) : this.#promise(borrowed);
	}

	/**
	 * Claims a block unless a block of another size overlaps it. The claim is confirmed, and
	 * addresses are assigned, only after the list of blocks is read again: if two nodes claim
	 * overlapping blocks at the same time, at least one of them detects the other's block and gives
	 * up its own. Both may give up: only the older block may stay, and the list of names does not
	 * show which one is older.
	 */
	async #claim(cidr: PrefixKey): Promise<'claimed' | 'lost'> {
		const { node, log } = this.#dependencies;
		if ((await this.#overlaps.rivals(cidr)).length > 0) return 'lost';
		this.#claiming.add(cidr);
		try {
			const isAlone = async () => {
				const rivals = await this.#overlaps.rivals(cidr);
				if (rivals.length > 0) log.warn('claim given up: another block overlaps it', { block: cidr, rivals });
				return rivals.length === 0;
			};
			const outcome = await whereReadable(claimBlock(this.#claims, node, cidr, isAlone), 'lost');
			if (outcome === 'refused')
				await whereReadable(giveUpBlock(this.#claims, node, cidr, { requireEmpty: true }), 'changed');
			return outcome === 'claimed' ? 'claimed' : 'lost';
		} finally {
			this.#claiming.delete(cidr);
		}
	}

	async placeRequested(source: Source, address: string): Promise<Placement> {
		const { node, store } = this.#dependencies;
		const pool = poolOf(source.pools, hostPrefix(address));
		if (pool === undefined)
			return unavailable(source, `${address} is in no pool that serves this request`, false, ({ cidr }) => ({
				reason: `${cidr} does not contain ${address}`,
			}));
		const covering = await this.#coveringBlocks(address, blockOf(address, pool.blockSize));
		if (covering.length > 1)
			return unavailable(
				source,
				`${address} is in several blocks, which overlap (${covering.join(', ')}): none of them gives addresses`,
				false,
			);
		const cidr = covering[0] ?? blockOf(address, pool.blockSize);
		if (source.gateway && isBlockEdge(cidr, addressToOrdinal(cidr, address) ?? 0))
			return unavailable(
				source,
				`${address} is at the edge of block ${cidr}, where a pod with a gateway cannot be reached`,
				false,
			);
		const find = async () => (await store.blocks.read(blockName(cidr), 'fresh'))?.value;
		let block: Block | undefined;
		try {
			block = await find();
			if (block === undefined) {
				// Checked before a block is created: an unreadable block may hold the address under
				// another name.
				const [holder] = (await store.blocks.list()).unreadable.filter(({ cidrs }) =>
					cidrs.some((held) => addressToOrdinal(held, address) !== undefined),
				);
				if (holder !== undefined) throw new UnreadableError(holder);
				const outcome = await this.#claimLock.run('claim', () => this.#claim(cidr));
				const rivals = outcome === 'lost' ? await this.#overlaps.rivals(cidr) : [];
				if (rivals.length > 0)
					return unavailable(
						source,
						`${address} is in no block, and a block of it, ${cidr}, would overlap ${rivals.join(', ')}`,
						false,
					);
				block = await find();
			}
		} catch (error) {
			if (error instanceof UnreadableError)
				return unavailable(source, `${address} may be held: ${error.message}`, true);
			throw error;
		}
		if (block?.affinity === hostAffinity(node) || !(source.gateway || source.config.strictAffinity))
			return this.#promise(cidr);
		const whose = `${address} is in block ${cidr} of ${block?.affinity === undefined ? 'no node' : 'another node'}`;
		return unavailable(
			source,
			source.gateway ? `${whose}, and so is its gateway` : `${whose}, and strictAffinity forbids borrowing`,
			false,
		);
	}

	/**
	 * True if another block may overlap the block of an address that was just assigned. `isOwn`:
	 * the block was this node's at the write.
	 */
	isContested(cidr: PrefixKey, isOwn: boolean): Promise<boolean> {
		return this.#overlaps.isContested(cidr, isOwn && !this.#claiming.has(cidr));
	}

	/**
	 * The blocks that contain an address, of any size. An own block of its pool's size without
	 * overlaps is found without a list.
	 */
	async #coveringBlocks(address: string, cidr: PrefixKey): Promise<readonly PrefixKey[]> {
		const { store } = this.#dependencies;
		const found = await whereReadable(store.blocks.read(blockName(cidr), 'fresh'), undefined);
		const isOwn = found?.value.affinity === hostAffinity(this.#dependencies.node);
		if (isOwn && !(await this.#overlaps.overlapped([cidr])).has(cidr)) return [cidr];
		return (await this.#overlaps.cidrs()).filter((other) => addressToOrdinal(other, address) !== undefined);
	}

	#promise(cidr: PrefixKey): Placement {
		this.#promised.set(cidr, (this.#promised.get(cidr) ?? 0) + 1);
		return { type: 'block', cidr };
	}

	settle(cidr: PrefixKey): void {
		const left = (this.#promised.get(cidr) ?? 0) - 1;
		if (left > 0) this.#promised.set(cidr, left);
		else this.#promised.delete(cidr);
	}

	#landscape(
		{ reservations, config, gateway }: Source,
		{ items, unreadable }: Pick<Listing<Block>, 'unreadable'> & { items: readonly Pick<Versioned<Block>, 'value'>[] },
		/** By default computed from `items`, which are then all blocks. */
		overlapped = overlappedBlocks([...items.map(({ value }) => value.cidr), ...cidrsOf(unreadable)]),
	): Landscape {
		const nowMs = this.#dependencies.clock.wallMs();
		const blocks = new Map(items.map(({ value }) => [value.cidr, endCooldowns(value, config.cooldownSeconds, nowMs)]));
		const closed = reservations.and(cidrsOf(unreadable));
		return {
			node: this.#dependencies.node,
			blocks,
			unreadable,
			reservations: closed,
			overlapped,
			promised: (cidr) => this.#promised.get(cidr) ?? 0,
			gateway,
		};
	}
}
