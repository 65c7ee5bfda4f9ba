import type { Clock, PrefixKey } from '../core/index.ts';
import { endCooldowns, isEmpty, newBlock } from './block.ts';
import { gatewayOf } from './gateway.ts';
import { dropGatewayHandle, removeAsSeen } from './gateway-keeper.ts';
import { affinityName, blockName } from './names.ts';
import {
	ConflictError,
	compareAndSwap,
	type IpamStore,
	nextWrite,
	RetriesExhaustedError,
	type Retry,
	type Versioned,
} from './store.ts';
import { type Affinity, type AffinityState, affinityTypeOf, type Block, hostAffinity, isConfirmed } from './values.ts';

/** Dependencies of a claim. */
export interface ClaimDependencies {
	readonly store: IpamStore;
	readonly clock: Clock;
	readonly retry: Retry;
}

/**
 * `lost`: another node owns the block; `refused`: `mayConfirm` returned false, and the claim stays
 * pending.
 */
export type ClaimResult = 'claimed' | 'lost' | 'refused';

const claimOf = (node: string, cidr: PrefixKey, state: AffinityState): Affinity => ({
	state,
	node,
	type: affinityTypeOf(node),
	cidr,
	deleted: false,
	other: {},
});

/**
 * Claims a block for this node in Calico's three writes: affinity pending, block, affinity
 * confirmed. Idempotent: after a crash between two writes, a second run completes the claim. If
 * another node owns the block, this node's affinity is removed. The affinity is confirmed only at
 * the version that was written: a concurrent release removes the block, and the claim starts again.
 * `mayConfirm` runs when the block exists, before the claim is confirmed.
 * @throws RetriesExhaustedError
 */
export async function claimBlock(
	dependencies: ClaimDependencies,
	node: string,
	cidr: PrefixKey,
	mayConfirm?: () => Promise<boolean>,
): Promise<ClaimResult> {
	const { store, retry } = dependencies;
	const name = affinityName(node, cidr);
	for (let attempt = 1; attempt <= retry.attempts; attempt++) {
		try {
			const claim = await beginClaim(store, node, cidr);
			if (!(await ownBlock(dependencies, node, cidr))) {
				if (await removeClaim(dependencies, claim)) return 'lost';
			} else if ((await mayConfirm?.()) === false) {
				return 'refused';
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

/**
 * Writes the affinity as pending unless it is confirmed; returns the stored one. @throws
 * ConflictError
 */
async function beginClaim(store: IpamStore, node: string, cidr: PrefixKey): Promise<Versioned<Affinity>> {
	const name = affinityName(node, cidr);
	const claim = await store.affinities.read(name, 'fresh');
	if (claim === undefined) return store.affinities.create(name, claimOf(node, cidr, 'pending'));
	return isConfirmed(claim.value.state)
		? claim
		: store.affinities.write(name, { ...claim, value: { ...claim.value, state: 'pending' } });
}

/**
 * Creates the block, or verifies that this node owns it. An existing own block is written again
 * (its sequence number rises), so that a release decided earlier fails. `false`: another node owns
 * it, or it has no affinity and addresses in use.
 */
async function ownBlock({ store, clock, retry }: ClaimDependencies, node: string, cidr: PrefixKey): Promise<boolean> {
	return compareAndSwap(
		store.blocks,
		blockName(cidr),
		(block) => {
			if (block === undefined) {
				const nowMs = clock.wallMs();
				return {
					type: 'write',
					value: newBlock(cidr, node, isoSeconds(nowMs), BigInt(Math.floor(nowMs)) * 1_000_000n),
					result: true,
				};
			}
			if (block.affinity === hostAffinity(node)) return { type: 'write', value: nextWrite(block), result: true };
			return { type: 'leave', result: false };
		},
		retry,
	);
}

/** RFC 3339 without fractions, as Kubernetes writes times. */
export const isoSeconds = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

/** Conditions for giving up a block. */
export interface GiveUpOptions {
	readonly requireEmpty: boolean;
	/** The block must still have this sequence number. */
	readonly sequenceNumber?: bigint;
	/**
	 * Called after the affinity is marked; resolves when this node no longer announces the block.
	 * `false`: it is still announced, and the block is kept until the next attempt.
	 */
	readonly withdrawn?: (cidr: PrefixKey) => Promise<boolean>;
}

export type GiveUpResult = 'released' | 'not-empty' | 'changed' | 'not-ours';

/**
 * Releases a node's claim on a block: affinity pendingDeletion, block deleted (or kept without
 * affinity if it has addresses), affinity deleted. If the node does not own the block, the affinity
 * is stale and only the affinity is removed. An address assigned meanwhile keeps the block, and its
 * node confirms the affinity again: a node announces only blocks with a confirmed affinity.
 */
export async function giveUpBlock(
	dependencies: ClaimDependencies,
	node: string,
	cidr: PrefixKey,
	options: GiveUpOptions,
): Promise<GiveUpResult> {
	const { store } = dependencies;
	// Read the affinity before the block: an affinity written later belongs to a new claim and is
	// kept.
	const claim = await store.affinities.read(affinityName(node, cidr), 'fresh');
	const seen = await store.blocks.read(blockName(cidr), 'fresh');
	if (seen === undefined) return (await removeClaim(dependencies, claim)) ? 'released' : 'changed';
	const block = await withoutEndedCooldowns(dependencies, seen.value);
	if (options.sequenceNumber !== undefined && seen.value.sequenceNumber !== options.sequenceNumber) return 'changed';
	if (seen.value.affinity !== undefined && seen.value.affinity !== hostAffinity(node)) {
		await removeClaim(dependencies, claim);
		return 'not-ours';
	}
	if (options.requireEmpty && !isEmpty(block)) return 'not-empty';
	// Affinities are written before their blocks: an affinity that was absent at the first read
	// belongs to a new claim.
	if (claim === undefined && (await store.affinities.read(affinityName(node, cidr), 'fresh')) !== undefined)
		return 'changed';
	try {
		const marked =
			claim &&
			(await store.affinities.write(affinityName(node, cidr), {
				...claim,
				value: { ...claim.value, state: 'pendingDeletion' },
			}));
		if (options.withdrawn !== undefined && !(await options.withdrawn(cidr))) return 'changed';
		// Conditional on the version that was read: an address assigned meanwhile makes this write
		// fail.
		if (isEmpty(block)) await store.blocks.remove(blockName(cidr), seen);
		else
			await store.blocks.write(blockName(cidr), {
				...seen,
				value: nextWrite({ ...block, affinity: undefined, affinityClaimTime: undefined }),
			});
		if (isEmpty(block) && gatewayOf(block) !== undefined) await dropGatewayHandle(store, cidr);
		return (await removeClaim(dependencies, marked)) ? 'released' : 'changed';
	} catch (error) {
		if (!(error instanceof ConflictError)) throw error;
		await reconfirmUsed(dependencies, node, cidr);
		return 'changed';
	}
}

/**
 * Removes an affinity at the version that was read; `false`: its node has claimed the block again.
 */
async function removeClaim({ store }: ClaimDependencies, claim: Versioned<Affinity> | undefined): Promise<boolean> {
	return claim === undefined || removeAsSeen(store.affinities, affinityName(claim.value.node, claim.value.cidr), claim);
}

/**
 * Confirms a claim whose release was begun, or that was never confirmed, if the block has addresses
 * in use: after a crash or a lost race the block would otherwise not be announced. Empty blocks are
 * left to the release. Returns whether it wrote.
 */
export async function reconfirmUsed(dependencies: ClaimDependencies, node: string, cidr: PrefixKey): Promise<boolean> {
	const block = await dependencies.store.blocks.read(blockName(cidr), 'fresh');
	if (block === undefined || block.value.affinity !== hostAffinity(node)) return false;
	if (isEmpty(await withoutEndedCooldowns(dependencies, block.value))) return false;
	return (await claimBlock(dependencies, node, cidr)) === 'claimed';
}

/** Counts addresses with an ended cooldown as free before that is persisted. */
async function withoutEndedCooldowns({ store, clock }: ClaimDependencies, block: Block): Promise<Block> {
	const isCooling = block.attributes.some(({ releasedAt }) => releasedAt !== undefined);
	return isCooling ? endCooldowns(block, (await store.config()).cooldownSeconds, clock.wallMs()) : block;
}
