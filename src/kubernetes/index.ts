/**
 * Kubernetes: lossless JSON, clients and models of Calico's resources. The embedded API server is a room of its own behind `apiserver/index.ts`: it
 * brings a disk store along that a daemon does not need.
 */

export * from './client/index.ts';
export * from './discovery/discovery.ts';
export * from './informer/informer.ts';
export * from './json/index.ts';
export * from './lease/lease.ts';
export { type LintFinding, type LintResources, lint } from './lint/lint.ts';
export * from './model/bgp.ts';
export * from './model/bgp-filter.ts';
export * from './model/ipam.ts';
export * from './model/node.ts';
export * from './model/node-status.ts';
export * from './model/resource.ts';
export * from './model/workload.ts';
export { evaluate, type Labels, selectorMatches, selectorMatchesIfReadable } from './selector/evaluate.ts';
export { parseSelector, type Selector, SelectorError } from './selector/parse.ts';
export * from './store/ipam-store.ts';
export * from './store/kinds.ts';
export * from './store/layout.ts';
export * from './store/resource-store.ts';
export * from './topology/cluster-routes.ts';
export * from './topology/peer-routes.ts';
export * from './topology/policies.ts';
export { type Topology, type TopologyInput, topology } from './topology/topology.ts';
export * from './topology/workloads.ts';
