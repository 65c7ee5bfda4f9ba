/**
 * Services: which address and port stands for which endpoints, on one node. Pure; no module here
 * does input or output.
 *
 * The model has three kinds of parts. A `Pool` is a set of endpoints from which each new connection
 * takes one at random. A `Frontend` is an address (or a node port), a protocol and a port; it has
 * one action per origin of a packet: pods, the node itself, and everything else. An action
 * translates to a pool (with or without masquerading), rejects or drops. The traffic policies,
 * local detection, topology hints and endpoint conditions of Kubernetes are resolved before: a
 * backend (nftables, eBPF) looks a frontend up, takes the action of the packet's origin, and does
 * nothing else.
 *
 * Rules beside the frontends: a packet to a live cluster IP that matches no frontend is rejected,
 * one to another address of the service ranges is dropped, so that it cannot loop between a router
 * and the nodes. Connections from a backend to itself are always masqueraded. Only the first packet
 * of a connection is judged; established connections go on.
 *
 * Semantics: kube-proxy v1.34, nftables mode.
 */

export * from './allocate/request.ts';
export * from './announce/announcer.ts';
export * from './announce/drain.ts';
export * from './announce/eligible.ts';
export * from './announce/handover.ts';
export * from './beside/other-proxy.ts';
export * from './beside/removal.ts';
export {
	type Candidate,
	chooseEndpoints,
	type EndpointUse,
	useOf,
} from './compile/endpoints.ts';
export { type ServiceNode, servicePortKey } from './compile/service.ts';
export * from './decide/affinity.ts';
export * from './decide/connections.ts';
export * from './decide/conntrack.ts';
export * from './decide/health.ts';
export * from './difference.ts';
export * from './evaluate.ts';
export * from './model.ts';
export * from './plane/health-servers.ts';
export * from './plane/kernel.ts';
export * from './plane/plane.ts';
export { type EndpointSlice, pruneEndpointSlice } from './resources/endpoint-slice.ts';
export { pruneService } from './resources/service.ts';
export * from './settings.ts';
export * from './state.ts';
