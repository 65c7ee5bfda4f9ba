import type { PrefixKey } from '../core/index.ts';
import type { Handle } from './values.ts';

/** A handle with its first addresses. */
export const newHandle = (handleId: string, cidr: PrefixKey, count: number): Handle => ({ handleId, blocks: { [cidr]: count }, deleted: false, other: {} });

/** The blocks that a handle counts addresses of; none for one that does not exist. */
export function blocksOf(handle: Handle | undefined): readonly PrefixKey[] {
	// The keys are CIDRs as Calico and we write them: canonical.
	return Object.keys(handle?.blocks ?? {}) as PrefixKey[];
}

/** `count` more addresses of a block. */
export function increment(handle: Handle, cidr: PrefixKey, count: number): Handle {
	return { ...handle, blocks: { ...handle.blocks, [cidr]: (handle.blocks[cidr] ?? 0) + count } };
}

/**
 * `count` fewer addresses of a block. Never below zero: Calico counts what was asked for rather than what was given, so a
 * handle may say more than its blocks hold.
 */
export function decrement(handle: Handle, cidr: PrefixKey, count: number): Handle {
	const left = (handle.blocks[cidr] ?? 0) - count;
	const { [cidr]: _, ...others } = handle.blocks;
	return { ...handle, blocks: left > 0 ? { ...others, [cidr]: left } : others };
}

/** Nothing is left of it: the resource can go. */
export const isSpent = (handle: Handle): boolean => blocksOf(handle).length === 0;
