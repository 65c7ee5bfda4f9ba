import type { Clock, Family, Logger, PrefixKey, Random } from '../core/index.ts';
import { KeyedLock, parsePrefix } from '../core/index.ts';
import { ordinalToAddress } from './addresses.ts';
import { endCooldowns, ordinalIn, ordinalsOfHandle } from './block.ts';
import { BlockCommitter } from './block-committer.ts';
import { ownClaims } from './block-finder.ts';
import { type ClaimDependencies, reconfirmUsed } from './claim.ts';
import { type BlockAnswer, type GivenAddress, gatewayOf, giveFromBlock } from './gateway.ts';
import { dropGatewayHandle, GatewayKeeper } from './gateway-keeper.ts';
import { HandleKeeper } from './handle-keeper.ts';
import { anyInterface, type InterfaceMatch, interfaceAttribute, mayBeOf } from './interfaces.ts';
import { blockName, handleName, sanitizeHandle } from './names.ts';
import { Placer } from './placer.ts';
import { poolOf, type SelectorMatch } from './pool.ts';
import { unavailable } from './refusal.ts';
import { type ReleaseGuard, type ReleaseOutcome, releaseAddress, releaseHandle } from './release.ts';
import type { AssignedAddress, AssignRequest, AssignResult } from './requests.ts';
import { type Source, sourceOf } from './source.ts';
import { type IpamStore, type Retry, whereReadable } from './store.ts';
import { finishClaims, giveUpUnselected, type UpkeepDependencies } from './upkeep.ts';
import { hostAffinity, type Pool } from './values.ts';

export interface AllocatorDependencies {
	readonly node: string;
	readonly store: IpamStore;
	readonly clock: Clock;
	readonly random: Random;
	readonly retry: Retry;
	readonly log: Logger;
	readonly selectorMatches: SelectorMatch;
	/** Notified of each address assigned to this node, and of each address released here. */
	readonly observer?: AddressObserver;
}

/** Observes the assigned addresses of this node. */
export interface AddressObserver {
	given(address: string, block: PrefixKey): void;
	released(addresses: readonly string[]): void;
}

/** An address, and whether its block was this node's at the write. */
interface Given {
	readonly given: GivenAddress;
	readonly isOwn: boolean;
}

/** Assigns and releases addresses for one node. Concurrent requests share their writes. */
export class Allocator {
	readonly #dependencies: AllocatorDependencies;
	readonly #committer: BlockCommitter;
	readonly #handles: HandleKeeper;
	readonly #gateways: GatewayKeeper;
	readonly #claims: ClaimDependencies;
	readonly #upkeep: UpkeepDependencies;
	/**
	 * Serializes requests with the same handle, so that two concurrent requests get the same
	 * address.
	 */
	readonly #handleLock = new KeyedLock();
	readonly #claimLock = new KeyedLock();
	readonly #placer: Placer;

	constructor(dependencies: AllocatorDependencies) {
		this.#dependencies = dependencies;
		this.#committer = new BlockCommitter(dependencies.store.blocks, dependencies.retry, async (block) => {
			if (gatewayOf(block) === undefined) return;
			// After an error only an empty handle may remain; the garbage collector removes it.
			await dropGatewayHandle(dependencies.store, block.cidr).catch((error: unknown) =>
				dependencies.log.warn('the handle of a gateway stays behind', {
					block: block.cidr,
					error: error instanceof Error ? error.message : String(error),
				}),
			);
		});
		this.#handles = new HandleKeeper(dependencies.store.handles, dependencies.retry);
		this.#gateways = new GatewayKeeper(dependencies.store.handles, dependencies.retry);
		this.#claims = { store: dependencies.store, clock: dependencies.clock, retry: dependencies.retry };
		this.#placer = new Placer({ ...dependencies, claims: this.#claims, claimLock: this.#claimLock });
		this.#upkeep = { ...dependencies, claims: this.#claims, claiming: (act) => this.#claimLock.run('claim', act) };
	}

	/** Assigns one address of each requested family, or returns the reason why there is none. */
	async assign(request: AssignRequest): Promise<AssignResult> {
		const result = await this.#handleLock.run(handleName(request.handleId), () => this.#assignLocked(request));
		if (result.type === 'assigned')
			for (const { address, block } of result.addresses) this.#dependencies.observer?.given(address, block);
		return result;
	}

	/**
	 * Releases all addresses of a handle, or those of the matching interfaces. Idempotent: a handle
	 * without addresses is no error.
	 */
	async release(handleId: string, isMeant: InterfaceMatch = anyInterface): Promise<ReleaseOutcome> {
		return this.#observed(
			await this.#handleLock.run(
				handleName(handleId),
				async () => (await this.#locked()) ?? releaseHandle(await this.#releaseContext(), handleId, isMeant),
			),
		);
	}

	/** Releases one address; with `handleId` or `sequenceNumber` only if they still match. */
	async releaseAddress(address: string, guard: ReleaseGuard = {}): Promise<ReleaseOutcome> {
		return this.#observed(
			(await this.#locked()) ?? (await releaseAddress(await this.#releaseContext(), address, guard)),
		);
	}

	#observed(outcome: ReleaseOutcome): ReleaseOutcome {
		if (outcome.type === 'released') this.#dependencies.observer?.released(outcome.addresses);
		return outcome;
	}

	/**
	 * Confirms this node's claims whose release was begun and not finished and whose blocks have
	 * addresses in use. Such blocks would not be announced. Crashes and lost races leave such
	 * claims. Called after each change of this node's claims.
	 */
	async finishClaims(): Promise<void> {
		if ((await this.#dependencies.store.readOnlyReason()) === undefined) await finishClaims(this.#upkeep);
	}

	/**
	 * Gives up this node's empty blocks in pools that no longer select it. Requires the labels of
	 * the Node: without labels, few pools select it. `withdrawn` resolves when this node no longer
	 * announces a block. Returns the time in milliseconds until the next attempt if no event will
	 * trigger one.
	 */
	async giveUpUnselected(withdrawn: (cidr: PrefixKey) => Promise<boolean>): Promise<number | undefined> {
		return (await this.#dependencies.store.readOnlyReason()) === undefined
			? giveUpUnselected(this.#upkeep, withdrawn)
			: undefined;
	}

	async #locked(): Promise<ReleaseOutcome | undefined> {
		const reason = await this.#dependencies.store.readOnlyReason();
		return reason === undefined ? undefined : { type: 'locked', reason };
	}

	async #releaseContext() {
		const { cooldownSeconds } = await this.#dependencies.store.config();
		return {
			store: this.#dependencies.store,
			committer: this.#committer,
			handles: this.#handles,
			clock: this.#dependencies.clock,
			cooldownSeconds,
		};
	}

	async #assignLocked(request: AssignRequest): Promise<AssignResult> {
		const reason = await this.#dependencies.store.readOnlyReason();
		if (reason !== undefined)
			return { type: 'unavailable', family: request.families[0] ?? 'ipv4', reason, pools: [], temporary: true };
		const given: AssignedAddress[] = [];
		// All or nothing: a partial assignment is released, except for addresses that the handle
		// had before.
		const takeBack = async () => {
			for (const { address, block, known } of given)
				if (!known) await this.releaseAddress(address, { handleId: sanitizeHandle(request.handleId), block });
		};
		for (const family of request.families) {
			const result = await this.#assignFamily(request, family).catch(async (error: unknown) => {
				// Releases as much as possible: the caller gets the first error and releases the
				// handle.
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
		const source = await sourceOf(this.#dependencies, request, family);
		const tried = new Set<PrefixKey>();
		const wanted = request.addresses?.[family];
		for (;;) {
			const placement =
				wanted === undefined
					? await this.#placer.place(source, tried)
					: await this.#placer.placeRequested(source, wanted);
			if (placement.type === 'unavailable') {
				// A handle with an address gets the same address again, even if the pools have
				// changed.
				const held = await this.#handles.blocksOf(request.handleId);
				const known = await this.#known(request, family, held, source.pools);
				return known === undefined ? placement : this.#again(source, request, known, wanted);
			}
			const { cidr } = placement;
			// Calico's order: the handle is written first, so that each assigned address is
			// recorded in its handle.
			const counted = await this.#handles.increment(request.handleId, cidr);
			if (counted.type === 'existed') {
				const known = await this.#known(request, family, counted.blocks, source.pools);
				if (known !== undefined) {
					this.#placer.settle(cidr);
					return this.#again(source, request, known, wanted);
				}
				await this.#handles.incrementExisting(request.handleId, cidr);
			}
			const given = await whereReadable(this.#give(source, cidr, request, wanted), undefined).finally(() =>
				this.#placer.settle(cidr),
			);
			if (given !== undefined && (await this.#placer.isContested(cidr, given.isOwn))) {
				await this.releaseAddress(given.given.address, { handleId: sanitizeHandle(request.handleId), block: cidr });
				tried.add(cidr);
				if (wanted !== undefined) return unavailable(source, `${wanted} is in several blocks, which overlap`, true);
				continue;
			}
			if (given !== undefined) {
				await this.#keepClaim(cidr);
				return {
					type: 'assigned',
					addresses: [{ family, ...given.given, block: cidr, pool: poolOf(source.pools, cidr)?.name, known: false }],
				};
			}
			await this.#handles.decrement(request.handleId, cidr, 1);
			tried.add(cidr);
			if (wanted !== undefined) return unavailable(source, `${wanted} is taken`, false);
		}
	}

	/**
	 * A release of the block may have begun before this address was assigned. A release that begins
	 * later finds the block in use, or `finishClaims` finds the claim.
	 */
	async #keepClaim(cidr: PrefixKey): Promise<void> {
		const { store, node } = this.#dependencies;
		if (!ownClaims(await store.affinitiesOf(node), node).unfinished.includes(cidr)) return;
		await this.#claimLock.run('claim', () => whereReadable(reconfirmUsed(this.#claims, node, cidr), false));
	}

	/**
	 * Writes the assignment, together with other requests for the same block. `undefined`: no
	 * address was free.
	 */
	async #give(
		source: Source,
		cidr: PrefixKey,
		request: AssignRequest,
		wanted: string | undefined,
	): Promise<Given | undefined> {
		const given = (answer: BlockAnswer) =>
			answer.type !== 'given'
				? undefined
				: { given: answer.given, isOwn: answer.block.affinity === hostAffinity(this.#dependencies.node) };
		const answer = await this.#commit(source, cidr, request, wanted, source.gateway ? 'existing' : 'none');
		if (answer.type !== 'no-gateway') return given(answer);
		const second = await this.#gateways.withHandle(cidr, () =>
			this.#commit(source, cidr, request, wanted, 'set-aside'),
		);
		return given(second);
	}

	#commit(
		{ config, reservations }: Source,
		cidr: PrefixKey,
		{ handleId, attributes, except }: AssignRequest,
		wanted: string | undefined,
		gateway: 'none' | 'existing' | 'set-aside',
	): Promise<BlockAnswer> {
		const { clock, node } = this.#dependencies;
		const nowMs = clock.wallMs();
		return this.#committer.commit(blockName(cidr), (current) => {
			if (current === undefined || current.deleted) return { block: current, result: { type: 'no-room' } };
			const block = endCooldowns(current, config.cooldownSeconds, nowMs);
			const ordinal = wanted === undefined ? undefined : ordinalIn(block, wanted);
			const result = giveFromBlock(block, {
				node,
				owner: { handleId, attributes },
				reservations,
				wanted: ordinal,
				gateway,
				except,
			});
			return { block: result.type !== 'given' || result.block === block ? current : result.block, result };
		});
	}

	/**
	 * Returns the address that the handle already has. Adds the gateway if the first request had
	 * none.
	 */
	async #again(
		source: Source,
		request: AssignRequest,
		known: AssignedAddress,
		wanted = known.address,
	): Promise<AssignResult> {
		if (wanted !== known.address)
			return unavailable(source, `${known.address} is its address already, not ${wanted}`, false);
		if (!source.gateway) return { type: 'assigned', addresses: [known] };
		const given = await this.#give(source, known.block, request, known.address);
		if (given !== undefined) return { type: 'assigned', addresses: [{ ...known, ...given.given }] };
		return unavailable(
			source,
			`${known.address} is its address already, and block ${known.block} has no room for a gateway ` +
				"or is another node's",
			false,
		);
	}

	/** An address of this family that the handle already has for this interface. */
	async #known(
		{ handleId, except, attributes }: AssignRequest,
		family: Family,
		blocks: readonly PrefixKey[],
		pools: readonly Pool[],
	): Promise<AssignedAddress | undefined> {
		for (const cidr of blocks.filter((block) => parsePrefix(block).family === family)) {
			const block = await whereReadable(this.#dependencies.store.blocks.read(blockName(cidr), 'fresh'), undefined);
			const isMeant = mayBeOf(attributes[interfaceAttribute]);
			const held = block === undefined ? [] : ordinalsOfHandle(block.value, sanitizeHandle(handleId), isMeant);
			const address = held
				.map((ordinal) => ordinalToAddress(cidr, ordinal))
				.find((each) => except?.includes(each) !== true);
			if (address !== undefined) return { family, address, block: cidr, pool: poolOf(pools, cidr)?.name, known: true };
		}
		return undefined;
	}
}
