import type { Family } from '../../core/index.ts';
import type { Backend } from '../model.ts';
import type { EndpointSlice, SliceEndpoint } from '../resources/endpoint-slice.ts';
import type { ServiceSpec, ServiceSpecPort } from '../resources/service.ts';

/** What the choice of endpoints needs of this node. */
export interface NodeTopology {
	readonly name: string;
	/** Label `topology.kubernetes.io/zone`; absent: hints of zones are ignored. */
	readonly zone?: string;
}

/** An endpoint of one service port, once per address and port over all slices. */
export interface Candidate extends Backend {
	readonly endpoint: SliceEndpoint;
	/** Key of the slice that it was taken from. */
	readonly slice: string;
}

/** The endpoints of one service port, by traffic policy. Kubernetes `CategorizeEndpoints`. */
export interface EndpointChoice {
	readonly all: readonly Candidate[];
	/**
	 * For policy Cluster, and for pods and the node itself at addresses with external policy Local.
	 */
	readonly cluster: readonly Candidate[];
	/** For policy Local. */
	readonly local: readonly Candidate[];
	/** An endpoint is usable somewhere: an empty set then means `drop`, else `reject`. */
	readonly hasAny: boolean;
	/** Hints that restricted `cluster`. */
	readonly topology: 'none' | 'node' | 'zone';
}

/**
 * A service port can be reached by an address other than the cluster IP: a node port, an external
 * or load balancer address.
 */
export const isExternallyAccessible = (spec: ServiceSpec, port: ServiceSpecPort, family: Family): boolean =>
	port.nodePort !== undefined ||
	spec.externalIps.some((address) => address.includes(':') === (family === 'ipv6')) ||
	spec.ingress.some(({ address, isVip }) => isVip && address.includes(':') === (family === 'ipv6'));

/**
 * Joins slices to a service port, by port name and protocol, and chooses the endpoints of both
 * policies.
 */
export function chooseEndpoints(
	spec: ServiceSpec,
	port: ServiceSpecPort,
	family: Family,
	slices: Iterable<EndpointSlice>,
	node: NodeTopology,
): EndpointChoice {
	const all = candidatesOf(port, family, slices, node);
	const accessible = isExternallyAccessible(spec, port, family);
	// External policy Local uses the cluster set, too: for connections from pods and from the node.
	const usesCluster = !spec.internalLocal || accessible;
	const usesLocal = spec.internalLocal || (spec.externalLocal && accessible);
	const ready = all.filter(({ endpoint }) => endpoint.ready);
	const topology = usesCluster ? topologyOf(ready, node) : 'none';
	const cluster = usesCluster ? orTerminating(suited(ready, topology, node), all) : [];
	const local = usesLocal ? localEndpoints(all) : [];
	return { all, cluster, local, hasAny: all.some(isUsable), topology };
}

function candidatesOf(
	port: ServiceSpecPort,
	family: Family,
	slices: Iterable<EndpointSlice>,
	node: NodeTopology,
): Candidate[] {
	const byAddress = new Map<string, Candidate>();
	for (const slice of slices) {
		if (slice.family !== family) continue;
		for (const { port: number } of slice.ports.filter(
			({ name, protocol }) => name === port.name && protocol === port.protocol,
		)) {
			for (const endpoint of slice.endpoints) {
				const candidate = {
					address: endpoint.address,
					port: number,
					local: endpoint.node === node.name,
					endpoint,
					slice: slice.key,
				};
				const key = `${endpoint.address} ${number}`;
				const known = byAddress.get(key);
				if (known === undefined || isBetter(candidate, known)) byAddress.set(key, candidate);
			}
		}
	}
	return [...byAddress.values()];
}

/**
 * Of one address in two slices the copy on this node counts, then the ready one: an endpoint that
 * moves between slices stays in use.
 */
function isBetter(candidate: Candidate, known: Candidate): boolean {
	if (candidate.local !== known.local) return candidate.local;
	return candidate.endpoint.ready && !known.endpoint.ready;
}

/** Ready, or terminating while it still serves. Not ready and not terminating is never used. */
const isUsable = ({ endpoint }: Candidate): boolean => endpoint.ready || isDraining(endpoint);

const isDraining = ({ serving, terminating }: SliceEndpoint): boolean => serving && terminating;

/** Those of this node that a connection may take, with any policy of the service. */
export function localEndpoints(all: readonly Candidate[]): readonly Candidate[] {
	const ours = all.filter(({ local }) => local);
	return orTerminating(
		ours.filter(({ endpoint }) => endpoint.ready),
		ours,
	);
}

/** Without a ready one, those that terminate and still serve. */
const orTerminating = (ready: readonly Candidate[], all: readonly Candidate[]): readonly Candidate[] =>
	ready.length > 0 ? ready : all.filter(({ endpoint }) => isDraining(endpoint));

/**
 * Kubernetes `topologyModeFromHints`: hints count only if every ready endpoint has one and one is
 * for us.
 */
function topologyOf(ready: readonly Candidate[], { name, zone }: NodeTopology): EndpointChoice['topology'] {
	const hold = (hintsOf: (endpoint: SliceEndpoint) => readonly string[] | undefined, own: string): boolean =>
		ready.every(({ endpoint }) => hintsOf(endpoint) !== undefined) &&
		ready.some(({ endpoint }) => hintsOf(endpoint)?.includes(own) === true);
	if (hold(({ nodes }) => nodes, name)) return 'node';
	return zone !== undefined && hold(({ zones }) => zones, zone) ? 'zone' : 'none';
}

function suited(
	ready: readonly Candidate[],
	topology: EndpointChoice['topology'],
	{ name, zone }: NodeTopology,
): readonly Candidate[] {
	switch (topology) {
		case 'none':
			return ready;
		case 'node':
			return ready.filter(({ endpoint }) => endpoint.nodes?.includes(name) === true);
		case 'zone':
			return ready.filter(({ endpoint }) => zone !== undefined && endpoint.zones?.includes(zone) === true);
		default:
			return topology satisfies never;
	}
}

/** Why an endpoint of a service port is or is not in the sets. */
export type EndpointUse =
	| 'used'
	/**
	 * In the cluster set, not in the local one, for one of the policies is Local and the endpoint is
	 * on another node.
	 */
	| 'used-except-local'
	| 'not-ready'
	| 'terminating-not-serving'
	/** Terminating and serving, but there are ready ones. */
	| 'terminating-others-ready'
	/** Hints of the ready endpoints send this node's traffic elsewhere. */
	| 'other-node-by-hint'
	| 'other-zone-by-hint'
	/** Every policy of the service is Local. */
	| 'remote';

/** Explains one endpoint of a choice. */
export function useOf(choice: EndpointChoice, candidate: Candidate): EndpointUse {
	const { ready, serving, terminating } = candidate.endpoint;
	if (choice.cluster.includes(candidate))
		return choice.local.length > 0 && !choice.local.includes(candidate) ? 'used-except-local' : 'used';
	if (choice.local.includes(candidate)) return 'used';
	if (!ready && !terminating) return 'not-ready';
	if (!ready && !serving) return 'terminating-not-serving';
	if (!ready && choice.all.some(({ endpoint }) => endpoint.ready)) return 'terminating-others-ready';
	if (choice.topology === 'node') return 'other-node-by-hint';
	if (choice.topology === 'zone') return 'other-zone-by-hint';
	return 'remote';
}
