import type { Config } from '../../config/index.ts';
import {
	canonicalAddress,
	type Family,
	type PrefixKey,
	parseAddress,
	parsePrefix,
	prefixContains,
} from '../../core/index.ts';
import type { NodeAddress, NodeFacts } from '../../kubernetes/index.ts';
import {
	type AnnouncementOptions,
	type DirectReturn,
	exclusionLabel,
	type HandoverNode,
	resolveSettings,
	type ServicesPlaneState,
} from '../../services/index.ts';
import type { NodeState } from '../node-state.ts';

/**
 * The inputs of the services of this node besides the resources: facts of the node and of the
 * cluster.
 */
export interface ServiceFacts {
	readonly plane: ServicesPlaneState;
	readonly announcement: AnnouncementOptions;
	/** The node announces no service address. */
	readonly excluded: boolean;
	/** Its Node is being deleted. */
	readonly isLeaving: boolean;
	/** All nodes, by name. */
	readonly nodes: ReadonlyMap<string, HandoverNode>;
}

/**
 * The facts for one state; `undefined` without a cluster. `ownAddresses`: of this node's
 * interfaces, canonical; `serviceCidrs`: of the cluster's ServiceCIDR resources;
 * `directReturn`: absent: off. Pure.
 */
export function serviceFacts(
	{ config, cluster }: NodeState,
	node: string,
	ownAddresses: readonly string[],
	serviceCidrs: readonly PrefixKey[],
	directReturn?: DirectReturn,
): ServiceFacts | undefined {
	if (cluster === undefined) return undefined;
	const { self, configuration, pools } = cluster;
	const announcement: AnnouncementOptions = {
		clusterCidrs: configuration.serviceClusterCidrs,
		externalCidrs: configuration.serviceExternalCidrs,
		loadBalancerCidrs: configuration.serviceLoadBalancerCidrs,
		aggregation: configuration.serviceLoadBalancerAggregation,
	};
	const primary = primaryAddresses(self?.internalAddresses ?? [], [self?.ipv4?.address, self?.ipv6?.address]);
	const zone = self?.labels['topology.kubernetes.io/zone'];
	// The primary address first: node ports respond there by default.
	const addresses = distinct([primary.ipv4, primary.ipv6, ...ownAddresses].filter((address) => address !== undefined));
	const settings = resolveSettings(
		{
			podRanges: podRangesOf(config, [...pools.map(({ cidr }) => cidr), ...(self?.podCidrs ?? [])]),
			serviceRanges: distinct([
				...config.services.serviceRanges,
				...serviceCidrs,
				// A range announced as a whole must be rejected as a whole, or a packet to an
				// unused address loops.
				...announcement.clusterCidrs,
				...announcement.externalCidrs,
				...announcement.loadBalancerCidrs,
			]),
			masqueradeAll: config.services.masqueradeAll,
			nodePortAddresses: config.services.nodePortAddresses,
			...(directReturn === undefined ? {} : { directReturn }),
		},
		addresses,
	);
	return {
		plane: {
			node: { name: node, primary, ...(zone === undefined ? {} : { zone }) },
			settings,
			nodeAddresses: addresses,
		},
		announcement,
		excluded: self?.labels[exclusionLabel] === 'true',
		isLeaving: self?.terminating === true,
		nodes: new Map(cluster.nodes.map((facts) => [facts.name, handoverNode(facts, self)])),
	};
}

/** A node in another subnet than this one has no address: its packets would go through a router. */
function handoverNode({ labels, ipv4, ipv6 }: NodeFacts, self: NodeFacts | undefined): HandoverNode {
	const near = (family: Family, other: NodeAddress | undefined): string | undefined => {
		const own = self?.[family];
		if (own === undefined || other === undefined) return undefined;
		const subnet = parsePrefix(`${own.address}/${own.length}`, 'clear');
		return prefixContains(subnet, parseAddress(other.address)) ? other.address : undefined;
	};
	const [near4, near6] = [near('ipv4', ipv4), near('ipv6', ipv6)];
	return {
		addresses: { ...(near4 === undefined ? {} : { ipv4: near4 }), ...(near6 === undefined ? {} : { ipv6: near6 }) },
		excluded: labels[exclusionLabel] === 'true',
	};
}

/** Configured ranges, else those of the cluster; an empty list disables local detection. */
function podRangesOf(
	{ services }: Pick<Config, 'services'>,
	ofCluster: readonly PrefixKey[],
): readonly PrefixKey[] | undefined {
	const ranges = services.podRanges ?? distinct(ofCluster);
	return ranges.length === 0 ? undefined : ranges;
}

/** The first InternalIP of each family, else the address for BGP. */
function primaryAddresses(
	internal: readonly string[],
	bgp: readonly (string | undefined)[],
): { readonly ipv4?: string; readonly ipv6?: string } {
	const all = [...internal, ...bgp].flatMap((text) => {
		try {
			return text === undefined ? [] : [canonicalAddress(text)];
		} catch {
			return [];
		}
	});
	const ipv4 = all.find((address) => !address.includes(':'));
	const ipv6 = all.find((address) => address.includes(':'));
	return { ...(ipv4 === undefined ? {} : { ipv4 }), ...(ipv6 === undefined ? {} : { ipv6 }) };
}

const distinct = <T>(items: readonly T[]): T[] => [...new Set(items)];
