/**
 * The duties of one node in the cluster: it follows the resources, assigns pod addresses, maintains
 * its Node's addresses and conditions, and collects garbage. Decisions are in `ipam` and
 * `kubernetes`; this module connects them to the API server.
 */

export { type AddressHandlers, noAddressService } from './address-service.ts';
export { Cluster } from './cluster.ts';
export { otherCollector } from './garbage-service.ts';
export type { NodeStatusSources } from './node-status.ts';
export { type PodEndpoint, podService } from './pod-service.ts';
export { ReleaseQueue } from './release-queue.ts';
export type { ClusterState } from './state.ts';
