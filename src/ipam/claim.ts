import type { Clock, PrefixKey } from '../core/index.ts';
import { endCooldowns, isEmpty, newBlock } from './block.ts';
import { gatewayOf } from './gateway.ts';
import { dropGatewayHandle, removeAsSeen } from './gateway-keeper.ts';
import { affinityName, blockName } from './names.ts';
import { ConflictError, compareAndSwap, type IpamStore, nextWrite, RetriesExhaustedError, type Retry, type Versioned } from './store.ts';
import { type Affinity, type AffinityState, type Block, hostAffinity, isConfirmed } from './values.ts';

/** What claiming needs. */
export interface ClaimContext {
	readonly store: IpamStore;
	readonly clock: Clock;
	readonly retry: Retry;
}

/** `lost`: another node has the block. */
export type ClaimResult = 'claimed' | 'lost';

const claimOf = (node: string, cidr: PrefixKey, state: AffinityState): Affinity => ({ state, node, type: 'host', cidr, deleted: false, other: {} });

/**
 * Makes a block this node's, in Calico's three writes: affinity pending, block, affinity confirmed. Run again after a crash
 * between any two of them, it finishes what was begun; against a block that another node got first it takes its own claim back.
 * The claim is confirmed only as it was begun: whoever gives it up meanwhile takes the block with it, and it is begun anew.
 * @throws RetriesExhaustedError
 */
export async function claimBlock(context: ClaimContext, node: string, cidr: PrefixKey): Promise<ClaimResult> {
	const { store, retry } = context;
	const name = affinityName(node, cidr);
	for (let attempt = 1; attempt <= retry.attempts; attempt++) {
		try {
			const claim = await beginClaim(store, node, cidr);
			if (!(await ownBlock(context, node, cidr))) {
				if (await removeClaim(context, claim)) return 'lost';
			} else if (claim.value.state !== 'confirmed') {
				await store.affinities.write(name, { ...claim, value: { ...claim.value, state: 'confirmed' } });
				return 'claimed';
			} else if ((await store.affinities.read(name, 'fresh'))?.version === claim.version) return 'claimed';
		} catch (error) {
			if (!(error instanceof ConflictError)) throw error;
		}
		await retry.pause(attempt);
	}
	throw new RetriesExhaustedError(`${name}: still conflicting after ${retry.attempts} attempts`);
}

/** The claim, pending unless it is confirmed, as it stands on the server. @throws ConflictError */
async function beginClaim(store: IpamStore, node: string, cidr: PrefixKey): Promise<Versioned<Affinity>> {
	const name = affinityName(node, cidr);
	const claim = await store.affinities.read(name, 'fresh');
	if (claim === undefined) return store.affinities.create(name, claimOf(node, cidr, 'pending'));
	return isConfirmed(claim.value.state) ? claim : store.affinities.write(name, { ...claim, value: { ...claim.value, state: 'pending' } });
}

/**
 * Creates the block, or finds it to be this node's already. A block of ours is touched (its sequence number rises), so that
 * a release of it that somebody decided on before fails. `false`: it is another's, or nobody's with addresses in use.
 */
async function ownBlock({ store, clock, retry }: ClaimContext, node: string, cidr: PrefixKey): Promise<boolean> {
	return compareAndSwap(
		store.blocks,
		blockName(cidr),
		(block) => {
			if (block === undefined) {
				const nowMs = clock.wallMs();
				return { type: 'write', value: newBlock(cidr, node, isoSeconds(nowMs), BigInt(Math.floor(nowMs)) * 1_000_000n), result: true };
			}
			if (block.affinity === hostAffinity(node)) return { type: 'write', value: nextWrite(block), result: true };
			return { type: 'leave', result: false };
		},
		retry,
	);
}

/** RFC 3339 without fractions, as Kubernetes writes times. */
export const isoSeconds = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

/** Which block may be given up. */
export interface GiveUpOptions {
	readonly requireEmpty: boolean;
	/** Give up only what was seen: the block must still have this sequence number. */
	readonly sequenceNumber?: bigint;
	/** Waits, once the claim is marked, until nobody here announces the block; `false`: it still is, and stays as it is until the next attempt. */
	readonly withdrawn?: (cidr: PrefixKey) => Promise<boolean>;
}

export type GiveUpResult = 'released' | 'not-empty' | 'changed' | 'not-ours';

/**
 * Takes a node's claim off a block: affinity pendingDeletion, block deleted (or left to its addresses without affinity),
 * affinity deleted. A claim to a block that is not the node's is stale and goes alone. An address given in between keeps the block,
 * and the claim is confirmed again: who does not confirm its claims does not announce them.
 */
export async function giveUpBlock(context: ClaimContext, node: string, cidr: PrefixKey, options: GiveUpOptions): Promise<GiveUpResult> {
	const { store } = context;
	// Before the block: a claim that is written later than this is a new one, and stays.
	const claim = await store.affinities.read(affinityName(node, cidr), 'fresh');
	const seen = await store.blocks.read(blockName(cidr), 'fresh');
	if (seen === undefined) return (await removeClaim(context, claim)) ? 'released' : 'changed';
	const block = await withoutEndedCooldowns(context, seen.value);
	if (options.sequenceNumber !== undefined && seen.value.sequenceNumber !== options.sequenceNumber) return 'changed';
	if (seen.value.affinity !== undefined && seen.value.affinity !== hostAffinity(node)) {
		await removeClaim(context, claim);
		return 'not-ours';
	}
	if (options.requireEmpty && !isEmpty(block)) return 'not-empty';
	// Claims are written before their blocks: one that was not there, and is, has just been made.
	if (claim === undefined && (await store.affinities.read(affinityName(node, cidr), 'fresh')) !== undefined) return 'changed';
	try {
		const marked = claim && (await store.affinities.write(affinityName(node, cidr), { ...claim, value: { ...claim.value, state: 'pendingDeletion' } }));
		if (options.withdrawn !== undefined && !(await options.withdrawn(cidr))) return 'changed';
		// Conditional on what was seen: an address given in between makes this fail.
		if (isEmpty(block)) await store.blocks.remove(blockName(cidr), seen);
		else await store.blocks.write(blockName(cidr), { ...seen, value: nextWrite({ ...block, affinity: undefined, affinityClaimTime: undefined }) });
		if (isEmpty(block) && gatewayOf(block) !== undefined) await dropGatewayHandle(store, cidr);
		return (await removeClaim(context, marked)) ? 'released' : 'changed';
	} catch (error) {
		if (!(error instanceof ConflictError)) throw error;
		await reconfirmUsed(context, node, cidr);
		return 'changed';
	}
}

/** Removes a claim as it was seen; `false`: its node has claimed the block anew meanwhile. */
async function removeClaim({ store }: ClaimContext, claim: Versioned<Affinity> | undefined): Promise<boolean> {
	return claim === undefined || removeAsSeen(store.affinities, affinityName(claim.value.node, claim.value.cidr), claim);
}

/**
 * Confirms a claim again that somebody began to give up, or that was never confirmed, where the block has addresses in use: a crash there, or a
 * lost race, would keep it from being announced. An empty block is left to whoever is giving it up. Says whether it wrote.
 */
export async function reconfirmUsed(context: ClaimContext, node: string, cidr: PrefixKey): Promise<boolean> {
	const block = await context.store.blocks.read(blockName(cidr), 'fresh');
	if (block === undefined || block.value.affinity !== hostAffinity(node)) return false;
	if (isEmpty(await withoutEndedCooldowns(context, block.value))) return false;
	return (await claimBlock(context, node, cidr)) === 'claimed';
}

/** Cooldowns that are over count for nothing, although nobody has written so yet. */
async function withoutEndedCooldowns({ store, clock }: ClaimContext, block: Block): Promise<Block> {
	const isCooling = block.attributes.some(({ releasedAt }) => releasedAt !== undefined);
	return isCooling ? endCooldowns(block, (await store.config()).cooldownSeconds, clock.wallMs()) : block;
}
