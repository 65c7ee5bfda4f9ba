import {
	type Family,
	hostPrefix,
	type Prefix,
	type PrefixKey,
	parseAddress,
	parsePrefix,
	prefixContains,
} from '../../core/index.ts';
import type { ServiceKey } from '../model.ts';
import { familyOfAddress } from '../resources/addresses.ts';
import type { EndpointSlice } from '../resources/endpoint-slice.ts';
import type { ServiceSpec } from '../resources/service.ts';

/** BGPConfiguration `default`, as far as service addresses depend on it. */
export interface AnnouncementOptions {
	readonly clusterCidrs: readonly PrefixKey[];
	readonly externalCidrs: readonly PrefixKey[];
	readonly loadBalancerCidrs: readonly PrefixKey[];
	/** `serviceLoadBalancerAggregation`. */
	readonly aggregation: boolean;
}

/** Why a prefix is announced. */
export type AnnouncementKind = 'range' | 'cluster-ip' | 'external-ip' | 'load-balancer-ip';

/** A prefix that this node announces for services. */
export interface Announcement {
	readonly prefix: PrefixKey;
	readonly kind: AnnouncementKind;
	/** Services that have the address; empty for a range. */
	readonly services: readonly ServiceKey[];
	/**
	 * `draining`: only endpoints that terminate are left. The route stays while they serve, and asks
	 * neighbours to take another one if there is any (GRACEFUL_SHUTDOWN, LOCAL_PREF 0).
	 */
	readonly state: 'ready' | 'draining';
}

/** A Service with its slices. */
export interface AnnouncedService {
	readonly spec: ServiceSpec;
	readonly slices: readonly EndpointSlice[];
}

/** Everything that announcements follow from. */
export interface AnnouncementInput {
	readonly node: string;
	/** The node has the label `node.kubernetes.io/exclude-from-external-load-balancers: "true"`. */
	readonly excluded: boolean;
	readonly options: AnnouncementOptions;
	readonly services: Iterable<AnnouncedService>;
	/** The data plane of this node has the Service; before that a packet would find nothing. */
	readonly isProgrammed: (service: ServiceKey) => boolean;
	/**
	 * The prefix is announced already: a change of its Service that is on the way to the kernel does
	 * not withdraw it.
	 */
	readonly isHeld: (prefix: PrefixKey) => boolean;
	/**
	 * Routes of Services that were computed before, for the same node and options: a change of one
	 * Service computes that one alone.
	 */
	readonly memo?: AnnouncementMemo;
}

/** Host routes by Service. A Service that changes is another object. */
export type AnnouncementMemo = WeakMap<AnnouncedService, readonly Announcement[]>;

/** The label of nodes that receive no traffic of load balancers; `true` alone counts. */
export const exclusionLabel = 'node.kubernetes.io/exclude-from-external-load-balancers';

/** Some service address is to be announced at all. */
export const announcesServices = ({ clusterCidrs, externalCidrs, loadBalancerCidrs }: AnnouncementOptions): boolean =>
	clusterCidrs.length + externalCidrs.length + loadBalancerCidrs.length > 0;

/**
 * The service prefixes of one node, by prefix. Calico `confd/pkg/backends/calico/routes.go`, with
 * these differences: each family is judged by its own endpoints, a Service without slices has no
 * endpoints, `ipMode: Proxy` addresses are left to their load balancer, terminating endpoints keep
 * the route while they are all there is, and a Service counts when the data plane has it.
 */
export function announcementsOf(input: AnnouncementInput): ReadonlyMap<PrefixKey, Announcement> {
	const announcements = new Map<PrefixKey, Announcement>();
	if (input.excluded || !announcesServices(input.options)) return announcements;
	for (const prefix of rangesOf(input.options))
		announcements.set(prefix, { prefix, kind: 'range', services: [], state: 'ready' });
	const lists = parseLists(input.options);
	for (const service of input.services) {
		const isProgrammed = input.isProgrammed(service.spec.key);
		for (const announcement of rememberedRoutes(service, input, lists))
			if (isProgrammed || input.isHeld(announcement.prefix)) merge(announcements, announcement);
	}
	return announcements;
}

/** The CIDRs that every node announces, whether or not there is a service. */
export function rangesOf({
	clusterCidrs,
	externalCidrs,
	loadBalancerCidrs,
	aggregation,
}: AnnouncementOptions): PrefixKey[] {
	const wide = (prefixes: readonly PrefixKey[]) => prefixes.filter((prefix) => !isHost(parsePrefix(prefix)));
	return [...new Set([...clusterCidrs, ...wide(externalCidrs), ...(aggregation ? wide(loadBalancerCidrs) : [])])];
}

interface Lists {
	readonly external: readonly Prefix[];
	readonly loadBalancer: readonly Prefix[];
}

const parseLists = ({ externalCidrs, loadBalancerCidrs }: AnnouncementOptions): Lists => ({
	external: externalCidrs.map((prefix) => parsePrefix(prefix)),
	loadBalancer: loadBalancerCidrs.map((prefix) => parsePrefix(prefix)),
});

const isHost = ({ bytes, length }: Prefix): boolean => length === bytes.length * 8;

const within = (prefixes: readonly Prefix[], address: string): boolean => {
	const parsed = parseAddress(address);
	return prefixes.some((prefix) => prefixContains(prefix, parsed));
};

function rememberedRoutes(service: AnnouncedService, input: AnnouncementInput, lists: Lists): readonly Announcement[] {
	const known = input.memo?.get(service);
	if (known !== undefined) return known;
	const routes = hostRoutes(service, input, lists);
	input.memo?.set(service, routes);
	return routes;
}

/** The /32 and /128 of one Service at this node. */
function hostRoutes(service: AnnouncedService, { node, options }: AnnouncementInput, lists: Lists): Announcement[] {
	const { spec } = service;
	const addresses = addressesOf(spec, options, lists);
	if (addresses.length === 0) return [];
	const states: Partial<Record<Family, Announcement['state']>> = {};
	for (const family of ['ipv4', 'ipv6'] as const) {
		const state = stateOf(service, family, node, options, lists);
		if (state !== undefined) states[family] = state;
	}
	return addresses.flatMap(({ address, kind }): Announcement[] => {
		const state = states[familyOfAddress(address)];
		return state === undefined ? [] : [{ prefix: hostPrefix(address), kind, services: [spec.key], state }];
	});
}

/**
 * Addresses of a Service that have a list. Cluster IPs are not compared with the CIDRs: any entry
 * of the list announces all.
 */
function addressesOf(
	{ clusterIps, externalIps, ingress }: ServiceSpec,
	{ clusterCidrs }: AnnouncementOptions,
	lists: Lists,
): { readonly address: string; readonly kind: AnnouncementKind }[] {
	const clusterAddresses = clusterCidrs.length === 0 ? [] : [clusterIps.ipv4, clusterIps.ipv6];
	return [
		...clusterAddresses.flatMap((address) => (address === undefined ? [] : [{ address, kind: 'cluster-ip' as const }])),
		...externalIps
			.filter((address) => within(lists.external, address))
			.map((address) => ({ address, kind: 'external-ip' as const })),
		...ingress
			.filter(({ address, isVip }) => isVip && within(lists.loadBalancer, address))
			.map(({ address }) => ({ address, kind: 'load-balancer-ip' as const })),
	];
}

/** Is a Service announced by this node in this family, and how? */
function stateOf(
	{ spec, slices }: AnnouncedService,
	family: Family,
	node: string,
	{ aggregation }: AnnouncementOptions,
	lists: Lists,
): Announcement['state'] | undefined {
	// Policy Cluster is announced by every node where an address is listed alone, or aggregation is
	// off (projectcalico/calico 9422, 11917, 10719).
	if (!spec.externalLocal && aggregation && !hasListedAddress(spec, lists)) return undefined;
	const usable = slices
		.filter((slice) => slice.family === family)
		.flatMap(({ endpoints }) => endpoints)
		.filter((endpoint) => !spec.externalLocal || endpoint.node === node);
	if (usable.some(({ ready }) => ready)) return 'ready';
	return usable.some(({ serving, terminating }) => serving && terminating) ? 'draining' : undefined;
}

/** An address of the Service is a /32 or /128 entry of its list. */
function hasListedAddress({ externalIps, ingress }: ServiceSpec, { external, loadBalancer }: Lists): boolean {
	return (
		externalIps.some((address) => within(external.filter(isHost), address)) ||
		ingress.some(({ address, isVip }) => isVip && within(loadBalancer.filter(isHost), address))
	);
}

/**
 * One address of several Services stays announced until the last of them drops it; a ready one
 * decides.
 */
function merge(announcements: Map<PrefixKey, Announcement>, next: Announcement): void {
	const known = announcements.get(next.prefix);
	if (known === undefined) {
		announcements.set(next.prefix, next);
		return;
	}
	announcements.set(next.prefix, {
		...known,
		services: [...known.services, ...next.services],
		state: known.state === 'ready' || next.state === 'ready' ? 'ready' : 'draining',
	});
}
