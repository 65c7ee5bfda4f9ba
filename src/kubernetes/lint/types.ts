import type { BgpConfiguration, BgpPeer, SecretKey } from '../model/bgp.ts';
import type { BgpFilter } from '../model/bgp-filter.ts';
import type { PoolRouting } from '../model/ipam.ts';
import type { NodeFacts } from '../model/node.ts';
import type { Resource } from '../model/resource.ts';

/** So many nodes are named in a finding; the rest is a number. */
export const mostNamed = 3;

/** The resources of a cluster, as they were read. */
export interface LintResources {
	readonly nodes: readonly Resource[];
	readonly pools: readonly Resource[];
	readonly bgpConfigurations: readonly Resource[];
	readonly felixConfigurations: readonly Resource[];
	readonly bgpPeers: readonly Resource[];
	readonly bgpFilters: readonly Resource[];
	readonly clusterInformations: readonly Resource[];
	/** `undefined`: there is no such key. */
	readonly password: (key: SecretKey) => string | undefined;
}

/** What an operator should look into. */
export interface LintFinding {
	/** `error`: something does not work, or two things fight; `warning`: it is not what it seems. */
	readonly severity: 'error' | 'warning';
	/** The name of the rule, for programs. */
	readonly rule: string;
	/** Which resource: `IPPool pods`. */
	readonly subject: string;
	readonly problem: string;
	/** What to do about it. */
	readonly hint: string;
}

/** A pool by name. */
export interface NamedPool extends PoolRouting {
	readonly name: string;
	readonly nodeSelector: string;
	readonly family: 'ipv4' | 'ipv6';
	/** The length of its blocks' prefixes. */
	readonly blockSize: number;
}

/** The resources as values; what did not parse is a finding already. */
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
	readonly password: (key: SecretKey) => string | undefined;
}
