import type { Clock, Logger, Random } from '../../core/index.ts';
import { type ApiClient, type CalicoKinds, coreKinds, Informer, type InformerOptions, type ResourceKind } from '../../kubernetes/index.ts';
import { pruneNode, prunePod, pruneStatusRequest } from './prune.ts';

/** Calico looks for the Secrets of passwords in its own namespace. */
export const secretNamespaces = ['kube-system', 'calico-system'];

/** What is missing where the server does not let this node read these. */
const withoutPods = 'sessions with pods, addresses for containers, the collection of garbage, and whether Felix runs on this node';
const withoutSecrets = 'sessions with a password from this namespace';
const withoutFelix = 'which routes Felix is told to program, where it runs';
const withoutStatuses = 'the answers to CalicoNodeStatus';

/** The copies of resources that a node follows, but for those that addresses are given from. */
export interface ClusterCopies {
	/** Nothing begins without these, but for those that can be done without where they may not be read. */
	readonly waitedFor: {
		readonly nodes: Informer;
		/** Of this node. */
		readonly pods: Informer;
		readonly bgpConfigurations: Informer;
		readonly bgpPeers: Informer;
		readonly bgpFilters: Informer;
		/** By `secretNamespaces`. */
		readonly secrets: readonly Informer[];
	};
	readonly felixConfigurations: Informer;
	/** All CalicoNodeStatus resources, without their status. */
	readonly statusRequests: Informer;
}

/** The copies for a node, none of them started. */
export function clusterCopies({
	node,
	kinds,
	...common
}: {
	readonly node: string;
	readonly client: ApiClient;
	readonly kinds: CalicoKinds;
	readonly log: Logger;
	readonly clock: Clock;
	readonly random: Random;
}): ClusterCopies {
	const copy = (kind: ResourceKind, more: Pick<InformerOptions, 'fieldSelector' | 'prune' | 'namespace' | 'firstList' | 'without' | 'mayLack'> = {}) =>
		new Informer({ kind, ...common, ...more });
	return {
		waitedFor: {
			nodes: copy(coreKinds.nodes, { prune: pruneNode, firstList: 'any' }),
			pods: copy(coreKinds.pods, { fieldSelector: `spec.nodeName=${node}`, prune: prunePod, firstList: 'any', without: withoutPods }),
			bgpConfigurations: copy(kinds.bgpConfigurations),
			bgpPeers: copy(kinds.bgpPeers),
			bgpFilters: copy(kinds.bgpFilters, { mayLack: true }),
			secrets: secretNamespaces.map((namespace) => copy(coreKinds.secrets, { namespace, without: withoutSecrets })),
		},
		felixConfigurations: copy(kinds.felixConfigurations, { mayLack: true, without: withoutFelix }),
		statusRequests: copy(kinds.nodeStatuses, { prune: pruneStatusRequest, mayLack: true, without: withoutStatuses }),
	};
}
