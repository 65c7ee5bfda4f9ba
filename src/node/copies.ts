import type { Clock, Logger, PrefixKey, Random } from '../core/index.ts';
import { blockName } from '../ipam/index.ts';
import {
	type ApiClient,
	type CalicoKinds,
	coreKinds,
	Informer,
	type InformerDependencies,
	pruneBlock,
	type ResourceKind,
} from '../kubernetes/index.ts';
import { pruneNode, prunePod, pruneStatusRequest } from './prune.ts';

/** Calico reads the Secrets of passwords from its own namespace. */
export const secretNamespaces = ['kube-system', 'calico-system'];

/** The function that is lost without permission to read pods. */
const withoutPods =
	'sessions with pods, addresses for containers, the collection of garbage, and whether Felix runs on this node';
const withoutSecrets = 'sessions with a password from this namespace';
const withoutFelix = 'which routes Felix is configured to program, where it runs';
const withoutStatuses = 'the answers to CalicoNodeStatus';

/** The copies of resources that a node follows, except those of address allocation. */
export interface ClusterCopies {
	/** The start waits for these. Optional kinds are waited for only if they are readable. */
	readonly waitedFor: {
		readonly nodes: Informer;
		/** The pods of this node. */
		readonly pods: Informer;
		readonly bgpConfigurations: Informer;
		readonly bgpPeers: Informer;
		readonly bgpFilters: Informer;
		/** By `secretNamespaces`. */
		readonly secrets: readonly Informer[];
	};
	readonly felixConfigurations: Informer;
	/**
	 * IPAMBlocks of all nodes, reduced to the fields for routes; started when a VXLAN pool requires
	 * them.
	 */
	readonly blocks: Informer;
	/** All CalicoNodeStatus resources, without their status. */
	readonly statusRequests: Informer;
}

/** The inputs of every copy. */
interface CopyDependencies {
	readonly client: ApiClient;
	readonly kinds: CalicoKinds;
	readonly log: Logger;
	readonly clock: Clock;
	readonly random: Random;
}

/**
 * Watches one IPAMBlock by its name: `changed` is called after each change of it, and once when the
 * watch begins. Returns the function that ends the watch.
 */
export function watchBlock({ kinds, ...common }: CopyDependencies, cidr: PrefixKey, changed: () => void): () => void {
	const informer = new Informer({
		kind: kinds.blocks,
		...common,
		fieldSelector: `metadata.name=${blockName(cidr)}`,
		keep: 'versions',
		without: 'releases of borrowed addresses by other processes, until the next check a minute later',
	});
	informer.onChanges(changed);
	informer.start();
	return () => informer.stop();
}

/** Creates the copies of a node; none of them is started. */
export function clusterCopies({ node, kinds, ...common }: CopyDependencies & { readonly node: string }): ClusterCopies {
	const copy = (
		kind: ResourceKind,
		more: Pick<
			InformerDependencies,
			'fieldSelector' | 'prune' | 'namespace' | 'firstList' | 'without' | 'mayLack'
		> = {},
	) => new Informer({ kind, ...common, ...more });
	return {
		waitedFor: {
			nodes: copy(coreKinds.nodes, { prune: pruneNode, firstList: 'any' }),
			pods: copy(coreKinds.pods, {
				fieldSelector: `spec.nodeName=${node}`,
				prune: prunePod,
				firstList: 'any',
				without: withoutPods,
			}),
			bgpConfigurations: copy(kinds.bgpConfigurations),
			bgpPeers: copy(kinds.bgpPeers),
			bgpFilters: copy(kinds.bgpFilters, { mayLack: true }),
			secrets: secretNamespaces.map((namespace) => copy(coreKinds.secrets, { namespace, without: withoutSecrets })),
		},
		felixConfigurations: copy(kinds.felixConfigurations, { mayLack: true, without: withoutFelix }),
		blocks: copy(kinds.blocks, { prune: pruneBlock, without: 'routes to blocks of VXLAN pools' }),
		statusRequests: copy(kinds.nodeStatuses, { prune: pruneStatusRequest, mayLack: true, without: withoutStatuses }),
	};
}
