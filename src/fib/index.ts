/**
 * The kernel's forwarding table. The desired routes are computed from best routes, own blocks and
 * the encapsulation function (`desired`, pure). The present routes are read back; `diff` (pure)
 * computes the operations; refused routes stay dirty and are retried. Our routes are those with our
 * route protocol in our table. Nothing is swept until every source of routes is in sync; after a
 * stop all routes stay.
 *
 * `next-hops/` keeps foreign routes in a map (`route-map`, pure), updated by events. One rule
 * (`resolve`, pure) determines which next hops this node reaches, at what cost, by which gateway
 * and interface: for the selection of routes and for the routes in the kernel.
 */

export { type DesiredInputs, desired, wantedRoute } from './desired.ts';
export { diff, sameRoute } from './diff.ts';
export { besideFelixProtocol, felixProtocol } from './felix.ts';
export { Fib } from './fib.ts';
export * from './kernel.ts';
export { openNetlinkKernel } from './kernel-netlink.ts';
export { removeNextHopObjects } from './next-hop-objects.ts';
export type * from './next-hops/kernel.ts';
export { openNeighbouringKernel } from './next-hops/kernel-netlink.ts';
export * from './next-hops/own-route.ts';
export * from './next-hops/resolve.ts';
export { NextHopTracker } from './next-hops/tracker.ts';
export type { Way } from './next-hops/way.ts';
export type * from './options.ts';
export { findOthers, type Territory } from './others.ts';
export { reconcile } from './reconcile.ts';
export type { StaticRoute } from './statics.ts';
export type { FibCounts, FibOverview } from './view.ts';
export { routeMapOf, wayBy } from './ways.ts';
