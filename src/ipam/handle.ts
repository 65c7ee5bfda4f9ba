import type { PrefixKey } from '../core/index.ts';
import type { Handle } from './values.ts';

/** A new handle with its first addresses. */
export const newHandle = (handleId: string, cidr: PrefixKey, count: number): Handle => ({
	handleId,
	blocks: { [cidr]: count },
	deleted: false,
	other: {},
});

/** The blocks in which a handle counts addresses; empty if it does not exist. */
export function blocksOf(handle: Handle | undefined): readonly PrefixKey[] {
	// The keys are canonical CIDRs, as Calico and we write them.
	return Object.keys(handle?.blocks ?? {}) as PrefixKey[];
}

/** Adds `count` addresses of a block. */
export function increment(handle: Handle, cidr: PrefixKey, count: number): Handle {
	return { ...handle, blocks: { ...handle.blocks, [cidr]: (handle.blocks[cidr] ?? 0) + count } };
}

/**
 * Subtracts `count` addresses of a block. Never below zero: Calico counts requested rather than
 * assigned addresses, so a handle may count more than its blocks hold.
 */
export function decrement(handle: Handle, cidr: PrefixKey, count: number): Handle {
	const left = (handle.blocks[cidr] ?? 0) - count;
	const { [cidr]: _, ...others } = handle.blocks;
	return { ...handle, blocks: left > 0 ? { ...others, [cidr]: left } : others };
}

/** True if no address is left: the resource can be removed. */
export const isSpent = (handle: Handle): boolean => blocksOf(handle).length === 0;
