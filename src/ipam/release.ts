import { type Clock, hostPrefix, type PrefixKey } from '../core/index.ts';
import { addressToOrdinal, blockOf, ordinalToAddress } from './addresses.ts';
import { isHeld, ordinalsOfHandle, type RefusedBecause, type ReleaseResult, release } from './block.ts';
import type { BlockCommitter, BlockStep } from './block-committer.ts';
import { isoSeconds } from './claim.ts';
import { blocksOf } from './handle.ts';
import type { HandleKeeper } from './handle-keeper.ts';
import type { InterfaceMatch } from './interfaces.ts';
import { blockName, handleName, sanitizeHandle } from './names.ts';
import { poolOf } from './pool.ts';
import { type IpamStore, UnreadableError } from './store.ts';
import type { Block } from './values.ts';

/** Dependencies of a release. */
export interface ReleaseDependencies {
	readonly store: IpamStore;
	readonly committer: BlockCommitter;
	readonly handles: HandleKeeper;
	readonly clock: Clock;
	readonly cooldownSeconds: number;
}

/** The result. `refused`: the address has another owner, or is the gateway of other addresses. */
export type ReleaseOutcome =
	| { readonly type: 'released'; readonly addresses: readonly string[] }
	| { readonly type: 'refused'; readonly address: string; readonly reason: RefusedBecause }
	/** Writes are locked, for the given reason: retry later. */
	| { readonly type: 'locked'; readonly reason: string };

/** The expected owner of the address: it is released only if this still holds. */
export interface ReleaseGuard {
	readonly handleId?: string;
	readonly sequenceNumber?: bigint;
	/** The address's block, if known; saves the search. */
	readonly block?: PrefixKey;
}

/**
 * The cooldown begins at the next full second: Kubernetes times have no fractions, and an address
 * must not be reused early.
 */
const releasedAt = (clock: Clock): string => isoSeconds(Math.ceil(clock.wallMs() / 1000) * 1000);

/**
 * Releases all addresses of a handle for the matching interfaces, then removes the handle if it is
 * empty. @throws UnreadableError. The blocks are written first: a crash in between leaves a handle
 * to be released again, never an address without a handle.
 */
export async function releaseHandle(
	{ store, committer, handles, clock, cooldownSeconds }: ReleaseDependencies,
	handleId: string,
	isMeant: InterfaceMatch,
): Promise<ReleaseOutcome> {
	const handle = await store.handles.read(handleName(handleId), 'fresh');
	const addresses: string[] = [];
	let unreadable: UnreadableError | undefined;
	for (const cidr of blocksOf(handle?.value)) {
		const step: BlockStep<(ReleaseResult & { readonly others: boolean }) | undefined> = (block) => {
			if (block === undefined) return { block, result: undefined };
			const owner = sanitizeHandle(handleId);
			const ordinals = ordinalsOfHandle(block, owner, isMeant);
			const others = ordinalsOfHandle(block, owner).length > ordinals.length;
			const outcome = release(
				block,
				ordinals.map((ordinal) => ({ ordinal })),
				cooldownSeconds,
				releasedAt(clock),
			);
			return { block: outcome.type === 'released' ? outcome.block : block, result: { ...outcome, others } };
		};
		const released = await committer.commit(blockName(cidr), step).catch((error: unknown) => {
			if (!(error instanceof UnreadableError)) throw error;
			return error;
		});
		if (released instanceof UnreadableError) {
			unreadable ??= released;
			continue;
		}
		if (released?.type === 'refused')
			return { type: 'refused', address: ordinalToAddress(cidr, released.ordinal), reason: released.reason };
		addresses.push(...(released?.ordinals ?? []).map((ordinal) => ordinalToAddress(cidr, ordinal)));
		// The count may exceed the addresses in the block, because it is raised before the block is
		// written. If no address is left in the block, the whole count is removed.
		const count = released?.others ? released.ordinals.length : (handle?.value.blocks[cidr] ?? 0);
		if (count > 0) await handles.decrement(handleId, cidr, count);
	}
	// The other blocks are released; the caller retries for this one.
	if (unreadable !== undefined) throw unreadable;
	return { type: 'released', addresses };
}

/** Releases one address, guarded by the expected owner. */
export async function releaseAddress(
	dependencies: ReleaseDependencies,
	address: string,
	{ block: known, ...guard }: ReleaseGuard,
): Promise<ReleaseOutcome> {
	const { committer, handles, clock, cooldownSeconds } = dependencies;
	const cidr = known ?? (await blockHolding(dependencies.store, address));
	const ordinal = cidr === undefined ? undefined : addressToOrdinal(cidr, address);
	if (cidr === undefined || ordinal === undefined) return { type: 'released', addresses: [] };
	const outcome = await committer.commit(blockName(cidr), (current) => {
		if (current === undefined) return { block: current, result: undefined };
		const result = release(current, [{ ordinal, ...guard }], cooldownSeconds, releasedAt(clock));
		return { block: result.type === 'released' ? result.block : current, result };
	});
	if (outcome?.type === 'refused') return { type: 'refused', address, reason: outcome.reason };
	for (const [handleId, count] of Object.entries(outcome?.countByHandle ?? {}))
		await handles.decrement(handleId, cidr, count);
	return { type: 'released', addresses: outcome?.ordinals.length ? [address] : [] };
}

/**
 * Finds the block by the pool, disabled or not; searches all blocks if no pool contains the
 * address.
 */
async function blockHolding(store: IpamStore, address: string): Promise<PrefixKey | undefined> {
	const holds = (block: Block): boolean => {
		const ordinal = addressToOrdinal(block.cidr, address);
		return ordinal !== undefined && isHeld(block, ordinal);
	};
	const pool = poolOf(await store.pools(), hostPrefix(address));
	if (pool !== undefined) {
		const cidr = blockOf(address, pool.blockSize);
		const block = await store.blocks.read(blockName(cidr), 'fresh');
		// If blocks overlap, a block of another size may hold the address.
		if (block !== undefined && holds(block.value)) return cidr;
	}
	return (await store.blocks.list()).items.find(({ value }) => holds(value))?.value.cidr;
}
