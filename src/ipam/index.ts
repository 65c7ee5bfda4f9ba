/**
 * Addresses in blocks, compatible with Calico's IPAM on the same resources. A pool is cut into blocks; a node claims a block
 * (affinity pending, block, affinity confirmed) and gives its addresses, first freed first. Every decision is a pure function on
 * a value that was read; every write is conditional on the version that was read, and a lost race decides again on a fresh one.
 * Invariants: no address has two owners; an address is held by no handle that does not say so (the handle is written first); a
 * crash between any two writes leaves what the next start, or another node, repairs.
 */
export * from './addresses.ts';
export * from './allocator.ts';
export * from './block.ts';
export * from './block-finder.ts';
export * from './claim.ts';
export * from './consistency.ts';
export * from './garbage.ts';
export * from './garbage-collector.ts';
export * from './gateway.ts';
export { removeAsSeen } from './gateway-keeper.ts';
export * from './handle.ts';
export * from './host-local.ts';
export * from './interfaces.ts';
export * from './names.ts';
export * from './pool.ts';
export * from './release.ts';
export * from './report.ts';
export type * from './requests.ts';
export * from './store.ts';
export * from './values.ts';
