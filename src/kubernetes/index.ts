/**
 * Kubernetes client: transport, discovery, informers, leases, models of Calico's resources, stores
 * over them, and the BGP topology that the resources define.
 */

export { selectorMatches, selectorMatchesIfReadable } from '../selector/index.ts';
export * from './client/index.ts';
export * from './discovery/discovery.ts';
export { type ResourceChange, resourceKey } from './informer/copy.ts';
export * from './informer/informer.ts';
export * from './lease/lease.ts';
export { type LintResources, lint } from './lint/lint.ts';
export * from './model/bgp.ts';
export * from './model/bgp-filter.ts';
export * from './model/block-routes.ts';
export * from './model/felix.ts';
export * from './model/ipam.ts';
export * from './model/layouts.ts';
export * from './model/node.ts';
export * from './model/node-status.ts';
export * from './model/resource.ts';
export * from './model/workload.ts';
export * from './store/ipam-store.ts';
export * from './store/kinds.ts';
export * from './store/layout.ts';
export * from './store/resource-store.ts';
export * from './topology/cluster-routes.ts';
export * from './topology/peer-routes.ts';
export * from './topology/policies.ts';
export { routerIdByHash, type Topology, topology } from './topology/topology.ts';
export * from './topology/workloads.ts';
