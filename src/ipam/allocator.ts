import type { Clock, Family, Logger, PrefixKey, Random } from '../core/index.ts';
import { hostPrefix, parsePrefix, prefixCovers } from '../core/index.ts';
import { addressToOrdinal, blockOf, isBlockEdge, ordinalToAddress } from './addresses.ts';
import { endCooldowns, ordinalIn, ordinalsOfHandle } from './block.ts';
import { BlockCommitter } from './block-committer.ts';
import { blockToBorrowFrom, findNewBlock, type Landscape, ownBlockWithRoom, ownClaims } from './block-finder.ts';
import { type ClaimContext, claimBlock, giveUpBlock, reconfirmUsed } from './claim.ts';
import { type BlockAnswer, type GivenAddress, gatewayOf, giveFromBlock } from './gateway.ts';
import { dropGatewayHandle, GatewayKeeper } from './gateway-keeper.ts';
import { HandleKeeper } from './handle-keeper.ts';
import { anyInterface, type InterfaceMatch, interfaceAttribute, mayBeOf } from './interfaces.ts';
import { KeyedLock } from './keyed-lock.ts';
import { blockName, handleName, sanitizeHandle } from './names.ts';
import { poolOf, type SelectorMatch } from './pool.ts';
import { exhausted, unavailable } from './refusal.ts';
import { type ReleaseGuard, type ReleaseOutcome, releaseAddress, releaseHandle } from './release.ts';
import type { AssignedAddress, AssignRequest, AssignResult, Unavailable } from './requests.ts';
import { type Source, sourceOf } from './source.ts';
import { cidrsOf, type IpamStore, type Listing, type Retry, UnreadableError, type Versioned, whereReadable } from './store.ts';
import { finishClaims, giveUpUnselected, type UpkeepContext } from './upkeep.ts';
import { type Block, hostAffinity, type Pool, safetyBlocksPerHost } from './values.ts';

export interface AllocatorOptions {
	readonly node: string;
	readonly store: IpamStore;
	readonly clock: Clock;
	readonly random: Random;
	readonly retry: Retry;
	readonly log: Logger;
	readonly selectorMatches: SelectorMatch;
}

type Placement = { readonly type: 'block'; readonly cidr: PrefixKey } | Unavailable;

/** Gives and takes back addresses for one node. Requests that arrive together share their writes. */
export class Allocator {
	readonly #options: AllocatorOptions;
	readonly #committer: BlockCommitter;
	readonly #handles: HandleKeeper;
	readonly #gateways: GatewayKeeper;
	readonly #claims: ClaimContext;
	readonly #upkeep: UpkeepContext;
	/** One request at a time for a handle: asking twice at once gives one address too. */
	readonly #handleLock = new KeyedLock();
	/** One claim at a time: requests that arrive together share the block that the first of them claims. */
	readonly #claimLock = new KeyedLock();
	readonly #promised = new Map<PrefixKey, number>();

	constructor(options: AllocatorOptions) {
		this.#options = options;
		this.#committer = new BlockCommitter(options.store.blocks, options.retry, async (block) => {
			if (gatewayOf(block) === undefined) return;
			// What stays for an error is a handle that holds nothing: the collector knows those.
			await dropGatewayHandle(options.store, block.cidr).catch((error: unknown) =>
				options.log.warn('the handle of a gateway stays behind', { block: block.cidr, error: error instanceof Error ? error.message : String(error) }),
			);
		});
		this.#handles = new HandleKeeper(options.store.handles, options.retry);
		this.#gateways = new GatewayKeeper(options.store.handles, options.retry);
		this.#claims = { store: options.store, clock: options.clock, retry: options.retry };
		this.#upkeep = { ...options, claims: this.#claims, claiming: (act) => this.#claimLock.run('claim', act) };
	}

	/** One address of each family asked for, or none and the reason. */
	assign(request: AssignRequest): Promise<AssignResult> {
		return this.#handleLock.run(handleName(request.handleId), () => this.#assignLocked(request));
	}

	/** Everything a handle holds, or what it holds for the interfaces that are meant. Nothing held is no error: releasing twice is releasing once. */
	release(handleId: string, isMeant: InterfaceMatch = anyInterface): Promise<ReleaseOutcome> {
		return this.#handleLock.run(handleName(handleId), async () => (await this.#locked()) ?? releaseHandle(await this.#releaseContext(), handleId, isMeant));
	}

	/** One address; with `handleId` or `sequenceNumber` only if it is still that owner's. */
	async releaseAddress(address: string, guard: ReleaseGuard = {}): Promise<ReleaseOutcome> {
		return (await this.#locked()) ?? releaseAddress(await this.#releaseContext(), address, guard);
	}

	/**
	 * Confirms the claims of this node that somebody began to give up and did not, and that have addresses in use: their blocks would not be
	 * announced. Crashes and lost races leave such claims; whoever sees this node's claims change calls it.
	 */
	async finishClaims(): Promise<void> {
		if ((await this.#options.store.readOnlyReason()) === undefined) await finishClaims(this.#upkeep);
	}

	/**
	 * Gives up this node's empty blocks in pools that do not select it any more. The Node must be known: one without labels is selected by few.
	 * `withdrawn` waits until nobody here announces a block. The answer: in how many milliseconds it is worth another attempt although nothing changes.
	 */
	async giveUpUnselected(withdrawn: (cidr: PrefixKey) => Promise<boolean>): Promise<number | undefined> {
		return (await this.#options.store.readOnlyReason()) === undefined ? giveUpUnselected(this.#upkeep, withdrawn) : undefined;
	}

	async #locked(): Promise<ReleaseOutcome | undefined> {
		const reason = await this.#options.store.readOnlyReason();
		return reason === undefined ? undefined : { type: 'locked', reason };
	}

	async #releaseContext() {
		const { cooldownSeconds } = await this.#options.store.config();
		return { store: this.#options.store, committer: this.#committer, handles: this.#handles, clock: this.#options.clock, cooldownSeconds };
	}

	async #assignLocked(request: AssignRequest): Promise<AssignResult> {
		const reason = await this.#options.store.readOnlyReason();
		if (reason !== undefined) return { type: 'unavailable', family: request.families[0] ?? 'ipv4', reason, pools: [], temporary: true };
		const given: AssignedAddress[] = [];
		// All or none: half an answer is taken back, unless the handle had it before.
		const takeBack = async () => {
			for (const { address, block, known } of given) if (!known) await this.releaseAddress(address, { handleId: sanitizeHandle(request.handleId), block });
		};
		for (const family of request.families) {
			const result = await this.#assignFamily(request, family).catch(async (error: unknown) => {
				// As far as it can be done: whoever asked is told of the first error, and releases the handle.
				await takeBack().catch(() => undefined);
				throw error;
			});
			if (result.type === 'unavailable') {
				await takeBack();
				return result;
			}
			given.push(...result.addresses);
		}
		return { type: 'assigned', addresses: given };
	}

	async #assignFamily(request: AssignRequest, family: Family): Promise<AssignResult> {
		const source = await sourceOf(this.#options, request, family);
		const tried = new Set<PrefixKey>();
		const wanted = request.addresses?.[family];
		for (;;) {
			const placement = wanted === undefined ? await this.#place(source, tried) : await this.#placeRequested(source, wanted);
			if (placement.type === 'unavailable') {
				// Whoever has an address already is not refused another: it is told the same, whatever became of the pools meanwhile.
				const held = await this.#handles.blocksOf(request.handleId);
				const known = await this.#known(request, family, held, source.pools);
				return known === undefined ? placement : this.#again(source, request, known, wanted);
			}
			const { cidr } = placement;
			// The order is Calico's: the handle first, so that no address is ever held by a handle that does not say so.
			const counted = await this.#handles.increment(request.handleId, cidr);
			if (counted.type === 'existed') {
				const known = await this.#known(request, family, counted.blocks, source.pools);
				if (known !== undefined) {
					this.#settle(cidr);
					return this.#again(source, request, known, wanted);
				}
				await this.#handles.incrementExisting(request.handleId, cidr);
			}
			const given = await whereReadable(this.#give(source, cidr, request, wanted), undefined).finally(() => this.#settle(cidr));
			if (given !== undefined) {
				await this.#keepClaim(cidr);
				return { type: 'assigned', addresses: [{ family, ...given, block: cidr, pool: poolOf(source.pools, cidr)?.name, known: false }] };
			}
			await this.#handles.decrement(request.handleId, cidr, 1);
			tried.add(cidr);
			if (wanted !== undefined) return unavailable(source, `${wanted} is taken`, false);
		}
	}

	/** Somebody may have begun to give the block up before the address was in it. What begins later finds the block in use, or is found by `finishClaims`. */
	async #keepClaim(cidr: PrefixKey): Promise<void> {
		const { store, node } = this.#options;
		if (!ownClaims(await store.affinitiesOf(node), node).unfinished.includes(cidr)) return;
		await this.#claimLock.run('claim', () => whereReadable(reconfirmUsed(this.#claims, node, cidr), false));
	}

	/** The write itself, shared with others of the block. `undefined`: no address was free after all. */
	async #give(source: Source, cidr: PrefixKey, request: AssignRequest, wanted: string | undefined): Promise<GivenAddress | undefined> {
		const answer = await this.#commit(source, cidr, request, wanted, source.gateway ? 'existing' : 'none');
		if (answer.type !== 'no-gateway') return answer.type === 'given' ? answer.given : undefined;
		const second = await this.#gateways.withHandle(cidr, () => this.#commit(source, cidr, request, wanted, 'set-aside'));
		return second.type === 'given' ? second.given : undefined;
	}

	#commit(
		{ config, reservations }: Source,
		cidr: PrefixKey,
		{ handleId, attributes, except }: AssignRequest,
		wanted: string | undefined,
		gateway: 'none' | 'existing' | 'set-aside',
	): Promise<BlockAnswer> {
		const { clock, node } = this.#options;
		const nowMs = clock.wallMs();
		return this.#committer.commit(blockName(cidr), (current) => {
			if (current === undefined || current.deleted) return { block: current, result: { type: 'no-room' } };
			const block = endCooldowns(current, config.cooldownSeconds, nowMs);
			const ordinal = wanted === undefined ? undefined : ordinalIn(block, wanted);
			const result = giveFromBlock(block, { node, owner: { handleId, attributes }, reservations, wanted: ordinal, gateway, except });
			return { block: result.type !== 'given' || result.block === block ? current : result.block, result };
		});
	}

	/** What the handle has already, with the gateway that it may not have been given with. */
	async #again(source: Source, request: AssignRequest, known: AssignedAddress, wanted = known.address): Promise<AssignResult> {
		if (wanted !== known.address) return unavailable(source, `${known.address} is its address already, not ${wanted}`, false);
		if (!source.gateway) return { type: 'assigned', addresses: [known] };
		const given = await this.#give(source, known.block, request, known.address);
		if (given !== undefined) return { type: 'assigned', addresses: [{ ...known, ...given }] };
		return unavailable(source, `${known.address} is its address already, and block ${known.block} has no room for a gateway or is another node's`, false);
	}

	/** An address of this family that the handle holds already, for this interface. */
	async #known(
		{ handleId, except, attributes }: AssignRequest,
		family: Family,
		blocks: readonly PrefixKey[],
		pools: readonly Pool[],
	): Promise<AssignedAddress | undefined> {
		for (const cidr of blocks.filter((block) => parsePrefix(block).family === family)) {
			const block = await whereReadable(this.#options.store.blocks.read(blockName(cidr), 'fresh'), undefined);
			const isMeant = mayBeOf(attributes[interfaceAttribute]);
			const held = block === undefined ? [] : ordinalsOfHandle(block.value, sanitizeHandle(handleId), isMeant);
			const address = held.map((ordinal) => ordinalToAddress(cidr, ordinal)).find((each) => except?.includes(each) !== true);
			if (address !== undefined) return { family, address, block: cidr, pool: poolOf(pools, cidr)?.name, known: true };
		}
		return undefined;
	}

	/** A block with a free address, promised to the caller until `#settle`. */
	async #place(source: Source, tried: ReadonlySet<PrefixKey>): Promise<Placement> {
		if (source.missing.length > 0) {
			const asked = source.missing.map(({ pool, reason }) => `${pool} (${reason})`).join(', ');
			return unavailable(source, `what was asked for is no pool of this family that is enabled: ${asked}`, false);
		}
		if (source.pools.length === 0) return unavailable(source, `no ${source.family} pool serves this request`, false);
		const own = await this.#ownBlock(source, tried);
		if (own !== undefined) return own;
		return this.#claimLock.run('claim', async () => {
			// Whoever waited here finds the block that the one before has claimed; and addresses of ours that others gave back are not in the cache.
			const shared = (await this.#ownBlock(source, tried)) ?? (await this.#ownBlock(source, tried, 'fresh'));
			if (shared !== undefined) return shared;
			return this.#newBlock(source, tried);
		});
	}

	/** The warm path: looks at the node's own blocks alone, from the cache unless `fresh`. Counting and promising happen in one turn. */
	async #ownBlock(source: Source, tried: ReadonlySet<PrefixKey>, fresh?: 'fresh'): Promise<Placement | undefined> {
		const { store, node } = this.#options;
		const confirmed = ownClaims(await store.affinitiesOf(node), node).confirmed.filter((cidr) => !tried.has(cidr));
		const blocks = await Promise.all(confirmed.map((cidr) => whereReadable(store.blocks.read(blockName(cidr), fresh), undefined)));
		const items = blocks.flatMap((block) => (block === undefined ? [] : [block]));
		const cidr = ownBlockWithRoom(this.#landscape(source, { items, unreadable: [] }), source.pools, confirmed);
		return cidr === undefined ? undefined : this.#promise(cidr);
	}

	async #newBlock(source: Source, tried: ReadonlySet<PrefixKey>): Promise<Placement> {
		const { node, random, clock, log } = this.#options;
		const { config, pools } = source;
		const lost = new Set<PrefixKey>();
		const claims = ownClaims(await this.#options.store.affinitiesOf(node), node);
		for (const cidr of claims.unfinished.filter((claim) => pools.some((pool) => prefixCovers(parsePrefix(pool.cidr), parsePrefix(claim))))) {
			if ((await whereReadable(claimBlock(this.#claims, node, cidr), 'lost')) === 'claimed' && !tried.has(cidr)) return this.#promise(cidr);
		}
		const owned = claims.confirmed.filter((cidr) => parsePrefix(cidr).family === source.family).length;
		const most = config.maxBlocksPerHost === 0 ? safetyBlocksPerHost : config.maxBlocksPerHost;
		const mayClaim = config.autoAllocateBlocks && owned < most;
		while (mayClaim) {
			const found = findNewBlock(
				this.#landscape(source, await this.#options.store.blocks.list()),
				pools,
				new Set([...lost, ...tried]),
				random(),
				clock.wallMs(),
			);
			if (found === undefined) break;
			lost.add(found.cidr);
			if (found.type === 'reclaim') {
				const giveUp = giveUpBlock(this.#claims, found.from, found.cidr, { requireEmpty: true, sequenceNumber: found.sequenceNumber });
				const outcome = await whereReadable(giveUp, 'changed');
				log.info('empty block reclaimed', { block: found.cidr, from: found.from, outcome });
				if (outcome !== 'released') continue;
			}
			if ((await whereReadable(claimBlock(this.#claims, node, found.cidr), 'lost')) === 'claimed') {
				log.info('block claimed', { block: found.cidr });
				return this.#promise(found.cidr);
			}
		}
		// A gateway is on the links of the block's own node alone.
		const mayBorrow = !config.strictAffinity && !source.gateway;
		const landscape = this.#landscape(source, await this.#options.store.blocks.list());
		const borrowed = mayBorrow ? blockToBorrowFrom(landscape, pools, tried, random()) : undefined;
		return borrowed === undefined ? exhausted(source, landscape, { owned, most }) : this.#promise(borrowed);
	}

	async #placeRequested(source: Source, address: string): Promise<Placement> {
		const { node, store } = this.#options;
		const pool = poolOf(source.pools, hostPrefix(address));
		if (pool === undefined) return unavailable(source, `${address} is in no pool that serves this request`, false);
		const cidr = blockOf(address, pool.blockSize);
		if (source.gateway && isBlockEdge(cidr, addressToOrdinal(cidr, address) ?? 0))
			return unavailable(source, `${address} is at the edge of block ${cidr}, where a pod with a gateway cannot be reached`, false);
		const find = async () => (await store.blocks.read(blockName(cidr), 'fresh'))?.value;
		let block: Block | undefined;
		try {
			block = await find();
			if (block === undefined) {
				// Before a block is made: one that can't be read may hold the address under another name.
				const [holder] = (await store.blocks.list()).unreadable.filter(({ cidrs }) => cidrs.some((held) => addressToOrdinal(held, address) !== undefined));
				if (holder !== undefined) throw new UnreadableError(holder);
				await this.#claimLock.run('claim', () => claimBlock(this.#claims, node, cidr));
				block = await find();
			}
		} catch (error) {
			if (error instanceof UnreadableError) return unavailable(source, `${address} may be held: ${error.message}`, true);
			throw error;
		}
		if (block?.affinity === hostAffinity(node) || !(source.gateway || source.config.strictAffinity)) return this.#promise(cidr);
		const whose = `${address} is in block ${cidr} of ${block?.affinity === undefined ? 'no node' : 'another node'}`;
		return unavailable(source, source.gateway ? `${whose}, and so is its gateway` : `${whose}, and strictAffinity forbids borrowing`, false);
	}

	#promise(cidr: PrefixKey): Placement {
		this.#promised.set(cidr, (this.#promised.get(cidr) ?? 0) + 1);
		return { type: 'block', cidr };
	}

	#settle(cidr: PrefixKey): void {
		const left = (this.#promised.get(cidr) ?? 0) - 1;
		if (left > 0) this.#promised.set(cidr, left);
		else this.#promised.delete(cidr);
	}

	#landscape(
		{ reservations, config, gateway }: Source,
		{ items, unreadable }: Pick<Listing<Block>, 'unreadable'> & { items: readonly Pick<Versioned<Block>, 'value'>[] },
	): Landscape {
		const nowMs = this.#options.clock.wallMs();
		const blocks = new Map(items.map(({ value }) => [value.cidr, endCooldowns(value, config.cooldownSeconds, nowMs)]));
		const closed = reservations.and(cidrsOf(unreadable));
		return { node: this.#options.node, blocks, unreadable, reservations: closed, promised: (cidr) => this.#promised.get(cidr) ?? 0, gateway };
	}
}
