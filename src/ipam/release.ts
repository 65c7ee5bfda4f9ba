import { type Clock, hostPrefix, type PrefixKey } from '../core/index.ts';
import { addressToOrdinal, blockOf, ordinalToAddress } from './addresses.ts';
import { ordinalsOfHandle, type RefusedBecause, type ReleaseResult, release } from './block.ts';
import type { BlockCommitter, BlockStep } from './block-committer.ts';
import { isoSeconds } from './claim.ts';
import { blocksOf } from './handle.ts';
import type { HandleKeeper } from './handle-keeper.ts';
import type { InterfaceMatch } from './interfaces.ts';
import { blockName, handleName, sanitizeHandle } from './names.ts';
import { poolOf } from './pool.ts';
import { type IpamStore, UnreadableError } from './store.ts';

/** What releasing needs. */
export interface ReleaseContext {
	readonly store: IpamStore;
	readonly committer: BlockCommitter;
	readonly handles: HandleKeeper;
	readonly clock: Clock;
	readonly cooldownSeconds: number;
}

/** What was released; `refused`: the address is another's by now, or the gateway of others. */
export type ReleaseOutcome =
	| { readonly type: 'released'; readonly addresses: readonly string[] }
	| { readonly type: 'refused'; readonly address: string; readonly reason: RefusedBecause }
	/** Nothing may be written now, `reason` says why: to be asked again. */
	| { readonly type: 'locked'; readonly reason: string };

/** What the caller knows of the address: it is released only if that is still so. */
export interface ReleaseGuard {
	readonly handleId?: string;
	readonly sequenceNumber?: bigint;
	/** Its block, where that is known: it need not be looked for. */
	readonly block?: PrefixKey;
}

/** The cooldown begins with the next full second: a time of Kubernetes has no fractions, and an address must not come back before its time. */
const releasedAt = (clock: Clock): string => isoSeconds(Math.ceil(clock.wallMs() / 1000) * 1000);

/**
 * All addresses of a handle that are for the interfaces meant, then the handle, as far as nothing is left of it. @throws UnreadableError. The blocks go first: a crash
 * in between leaves a handle to be released again, never an address without one.
 */
export async function releaseHandle(
	{ store, committer, handles, clock, cooldownSeconds }: ReleaseContext,
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
		if (released?.type === 'refused') return { type: 'refused', address: ordinalToAddress(cidr, released.ordinal), reason: released.reason };
		addresses.push(...(released?.ordinals ?? []).map((ordinal) => ordinalToAddress(cidr, ordinal)));
		// The count may say more than the block held (it is raised before the block is written): where nothing is left there, the block's word counts.
		const count = released?.others ? released.ordinals.length : (handle?.value.blocks[cidr] ?? 0);
		if (count > 0) await handles.decrement(handleId, cidr, count);
	}
	// The others are free; this one is asked for again.
	if (unreadable !== undefined) throw unreadable;
	return { type: 'released', addresses };
}

/** One address, guarded by what the caller knows of its owner. */
export async function releaseAddress(context: ReleaseContext, address: string, { block: known, ...guard }: ReleaseGuard): Promise<ReleaseOutcome> {
	const { committer, handles, clock, cooldownSeconds } = context;
	const cidr = known ?? (await blockHolding(context.store, address));
	const ordinal = cidr === undefined ? undefined : addressToOrdinal(cidr, address);
	if (cidr === undefined || ordinal === undefined) return { type: 'released', addresses: [] };
	const outcome = await committer.commit(blockName(cidr), (current) => {
		if (current === undefined) return { block: current, result: undefined };
		const result = release(current, [{ ordinal, ...guard }], cooldownSeconds, releasedAt(clock));
		return { block: result.type === 'released' ? result.block : current, result };
	});
	if (outcome?.type === 'refused') return { type: 'refused', address, reason: outcome.reason };
	for (const [handleId, count] of Object.entries(outcome?.countByHandle ?? {})) await handles.decrement(handleId, cidr, count);
	return { type: 'released', addresses: outcome?.ordinals.length ? [address] : [] };
}

/** By the pool, disabled or not; by looking through all blocks where no pool has the address any more. */
async function blockHolding(store: IpamStore, address: string): Promise<PrefixKey | undefined> {
	const pool = poolOf(await store.pools(), hostPrefix(address));
	if (pool !== undefined) {
		const cidr = blockOf(address, pool.blockSize);
		if ((await store.blocks.read(blockName(cidr), 'fresh')) !== undefined) return cidr;
	}
	return (await store.blocks.list()).items.find(({ value }) => addressToOrdinal(value.cidr, address) !== undefined)?.value.cidr;
}
