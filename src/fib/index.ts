/**
 * The kernel's forwarding table. What we want is computed from best routes, own blocks and a function that says how
 * packets leave (`desired`, pure); the kernel is read back; `diff` (pure) gives the operations; what is refused stays dirty
 * and is tried again. Ours are the routes with our route protocol in our table. Nothing is swept until every source of
 * routes has said that it is in sync, and stopping leaves everything as it stands.
 *
 * Beside it stands `next-hops/`: the routes of others as a map (`route-map`, pure) that is kept up by events and tells which next hops
 * this node reaches, at what cost and through which interface.
 */

export { type DesiredInputs, desired, findWay, type Wanted, type Way, wantedRoute } from './desired.ts';
export { diff, sameRoute } from './diff.ts';
export { Fib } from './fib.ts';
export * from './kernel.ts';
export { type NetlinkKernelOptions, openNetlinkKernel } from './kernel-netlink.ts';
export type * from './next-hops/kernel.ts';
export { openNeighbouringKernel } from './next-hops/kernel-netlink.ts';
export * from './next-hops/own-route.ts';
export { NextHopTracker, type NextHopTrackerDependencies } from './next-hops/tracker.ts';
export type * from './options.ts';
export { findOthers, noTerritory, type Territory } from './others.ts';
export { type ReconcileReport, type ReconcileState, reconcile } from './reconcile.ts';
export type { StaticRoute } from './statics.ts';
