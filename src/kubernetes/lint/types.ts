import type { PrefixKey } from '../../core/index.ts';
import type { Affinity } from '../../ipam/index.ts';
import type { BgpConfiguration, BgpPeer, SecretKey } from '../model/bgp.ts';
import type { BgpFilter } from '../model/bgp-filter.ts';
import type { PoolRouting } from '../model/ipam.ts';
import type { NodeFacts } from '../model/node.ts';
import type { Resource } from '../model/resource.ts';

/** Maximum number of nodes listed in a finding; the rest is a count. */
export const mostNamed = 3;

/** The resources of a cluster, as read. */
export interface LintResources {
	readonly nodes: readonly Resource[];
	readonly pools: readonly Resource[];
	readonly bgpConfigurations: readonly Resource[];
	readonly felixConfigurations: readonly Resource[];
	readonly bgpPeers: readonly Resource[];
	readonly bgpFilters: readonly Resource[];
	readonly clusterInformations: readonly Resource[];
	/** Absent: not readable, or not needed. */
	readonly services?: readonly Resource[];
	/** The CIDRs of all blocks. */
	readonly blocks: readonly PrefixKey[];
	readonly reservations: readonly Resource[];
	/** All BlockAffinities. */
	readonly affinities: readonly Resource[];
	/** `undefined`: the Secret has no such key. */
	readonly password: (key: SecretKey) => string | undefined;
}

/** A finding for the operator. */
export interface LintFinding {
	/**
	 * `error`: a function fails, or two components conflict; `warning`: the effect differs from the
	 * appearance.
	 */
	readonly severity: 'error' | 'warning';
	/** The rule's name, for programs. */
	readonly rule: string;
	/** The resource: `IPPool pods`. */
	readonly subject: string;
	readonly problem: string;
	/** The recommended action. */
	readonly hint: string;
}

/** A pool with its name. */
export interface NamedPool extends PoolRouting {
	readonly name: string;
	readonly nodeSelector: string;
	readonly family: 'ipv4' | 'ipv6';
	/** Prefix length of its blocks. */
	readonly blockSize: number;
}

/** The resources as values. Resources that did not parse already have a finding. */
export interface LintModel {
	readonly nodes: readonly NodeFacts[];
	readonly pools: readonly NamedPool[];
	readonly configuration: BgpConfiguration;
	readonly listenPortOf: (node: string) => number | undefined;
	readonly peers: readonly BgpPeer[];
	readonly filters: ReadonlyMap<string, BgpFilter>;
	/** FelixConfiguration `programClusterRoutes`, with Calico's default. */
	readonly felixPrograms: BgpConfiguration['programClusterRoutes'];
	readonly datastoreReady: boolean;
	readonly blocks: readonly PrefixKey[];
	readonly affinities: readonly Affinity[];
	readonly password: (key: SecretKey) => string | undefined;
}
