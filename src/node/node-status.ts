import {
	type Family,
	type FibRouteView,
	type PeerView,
	type PrefixKey,
	parsePrefix,
	type RouteView,
	stateNames,
} from '../core/index.ts';
import { isoSeconds } from '../ipam/index.ts';
import type { JsonObject } from '../json/index.ts';
import type { NodeStatusClass } from '../kubernetes/index.ts';

/** The inputs of a CalicoNodeStatus, in this project's own terms. */
export interface NodeStatusSources {
	readonly version: string;
	/** A dotted quad. */
	readonly routerId: string;
	readonly startedAt: Date;
	readonly configuredAt: Date;
	readonly peers: readonly PeerView[];
	/** All paths of a family, up to the limit. */
	readonly routes: (family: Family, limit: number) => readonly RouteView[];
	/** The present and desired routes of a prefix in the kernel. */
	readonly kernelRoutes: (prefix: PrefixKey) => readonly FibRouteView[];
}

/**
 * Maximum number of paths per family: the object must fit into the API server's store (1.5 MB in
 * etcd).
 */
export const mostRoutesReported = 4000;

/**
 * The status of a CalicoNodeStatus with the requested classes; all others are `null`, which removes
 * them in a merge patch. Pure.
 */
export function nodeStatus(classes: readonly NodeStatusClass[], sources: NodeStatusSources, now: Date): JsonObject {
	const has = (name: NodeStatusClass) => classes.includes(name);
	return {
		lastUpdated: seconds(now),
		agent: has('Agent') ? agentStatus(sources) : null,
		bgp: has('BGP') ? bgpStatus(sources) : null,
		routes: has('Routes') ? routesStatus(sources) : null,
	};
}

/** RFC 3339 without fractions, as Kubernetes writes times. */
const seconds = (date: Date): string => isoSeconds(date.getTime());

/** One daemon serves both families: both entries are equal. */
function agentStatus({ version, routerId, startedAt, configuredAt }: NodeStatusSources): JsonObject {
	const daemon = {
		state: 'Ready',
		version: `bgpmesh ${version}`,
		routerID: routerId,
		lastBootTime: seconds(startedAt),
		lastReconfigurationTime: seconds(configuredAt),
	};
	return { birdV4: daemon, birdV6: daemon };
}

function bgpStatus({ peers }: NodeStatusSources): JsonObject {
	const ofFamily = (isV6: boolean) => peers.filter(({ address }) => address.includes(':') === isV6);
	const [v4, v6] = [ofFamily(false), ofFamily(true)];
	const established = (list: readonly PeerView[]) => list.filter(({ state }) => state === 'established').length;
	return {
		numberEstablishedV4: established(v4),
		numberEstablishedV6: established(v6),
		numberNotEstablishedV4: v4.length - established(v4),
		numberNotEstablishedV6: v6.length - established(v6),
		peersV4: v4.map(peerStatus),
		peersV6: v6.map(peerStatus),
	};
}

const isMesh = (name: string): boolean => name.startsWith('Mesh_');

const peerStatus = ({ name, address, state, since }: PeerView): JsonObject => ({
	peerIP: address,
	type: isMesh(name) ? 'NodeMesh' : name.startsWith('Global_') ? 'GlobalPeer' : 'NodePeer',
	state: stateNames[state],
	since: seconds(new Date(since)),
});

function routesStatus(sources: NodeStatusSources): JsonObject {
	const addresses = new Map(sources.peers.map(({ name, address }) => [name, address]));
	const ofFamily = (family: Family): JsonObject[] =>
		sources
			.routes(family, mostRoutesReported)
			.filter(({ prefix, ineligible }) => ineligible === undefined && parsePrefix(prefix).family === family)
			.slice(0, mostRoutesReported)
			.map(({ prefix, nextHop, source, peer, best }) => {
				const installed = best ? sources.kernelRoutes(prefix).find(({ state }) => state === 'installed') : undefined;
				const device = installed?.type === 'blackhole' ? 'blackhole' : installed?.device;
				const peerAddress = peer === undefined ? undefined : addresses.get(peer);
				return {
					// In BIRD's terms: FIB for a route in the kernel, RIB for any other known
					// route.
					type: installed === undefined ? 'RIB' : 'FIB',
					destination: prefix,
					gateway: source === 'local' || nextHop === undefined ? 'N/A' : nextHop,
					...(device === undefined ? {} : { interface: device }),
					learnedFrom: {
						sourceType: source === 'local' ? 'Static' : isMesh(peer ?? '') ? 'NodeMesh' : 'BGPPeer',
						...(peerAddress === undefined ? {} : { peerIP: peerAddress }),
					},
				};
			});
	return { routesV4: ofFamily('ipv4'), routesV6: ofFamily('ipv6') };
}
