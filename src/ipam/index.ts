/**
 * Address allocation in blocks, compatible with Calico's IPAM on the same resources. A pool is
 * divided into blocks. A node claims a block (affinity pending, block, affinity confirmed) and
 * assigns its addresses, first freed first. Every decision is a pure function of a value that was
 * read. Every write is conditional on the version that was read; after a conflict the decision is
 * made again on a fresh value. Invariants: no address has two owners; each assigned address is
 * recorded in its handle (the handle is written first); after a crash between any two writes, the
 * next start, or another node, repairs the state.
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
export { overlappingPairs } from './overlaps.ts';
export * from './pool.ts';
export * from './release.ts';
export * from './report.ts';
export type * from './requests.ts';
export * from './store.ts';
export * from './values.ts';
