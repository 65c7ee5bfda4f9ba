import type { Clock, Family, Logger, PrefixKey } from '../core/index.ts';
import type { Allocator } from '../ipam/index.ts';
import {
	type ApiClient,
	type Informer,
	type KubernetesIpamStore,
	type Resource,
	toNodeFacts,
} from '../kubernetes/index.ts';
import { type AddressHandlers, addressService } from './address-service.ts';
import type { GarbageService } from './garbage-service.ts';
import type { HostLocalLedger } from './host-local-ledger.ts';
import { hostLocalService, podRanges } from './host-local-service.ts';
import { ipamService } from './ipam-service.ts';
import { withTemporaryErrors } from './server-errors.ts';
import type { AddressMode } from './state.ts';

export interface ClusterAddressesDependencies {
	readonly node: string;
	readonly mode: AddressMode;
	/** Of the mode `host-local`; `undefined` in others. */
	readonly ledger: HostLocalLedger | undefined;
	readonly client: ApiClient;
	readonly store: KubernetesIpamStore;
	readonly allocator: Allocator;
	readonly garbage: GarbageService;
	readonly nodes: Informer;
	readonly pods: Informer;
	/** An address was released: its block may be empty. */
	readonly released: () => void;
	/** The node's own prefixes in BGP. */
	readonly announced: () => ReadonlySet<PrefixKey>;
	readonly clock: Clock;
	readonly log: Logger;
}

/** All handlers of address requests: of pods from the mode's source, of operators, of garbage. */
export function clusterAddresses(dependencies: ClusterAddressesDependencies): AddressHandlers {
	const { node, mode, ledger, client, store, allocator, garbage, nodes, pods, clock, log } = dependencies;
	const ofPods =
		ledger === undefined
			? addressService({
					node,
					allocator,
					store,
					client,
					pods,
					released: dependencies.released,
					nodeFamilies: () => familiesOf(nodes.items.get(node)),
					log,
				})
			: hostLocalService({ node, ledger, ranges: () => podRanges(nodes, node), log });
	const ofOperators = ipamService({ node, allocator, store, client, mode, clock, announced: dependencies.announced });
	return withTemporaryErrors({ ...garbage.handlers, ...ofPods, ...ofOperators });
}

/** The families in which a Node has an address. */
function familiesOf(node: Resource | undefined): readonly Family[] {
	const { ipv4, ipv6 } = node === undefined ? {} : toNodeFacts(node);
	return [...(ipv4 === undefined ? [] : (['ipv4'] as const)), ...(ipv6 === undefined ? [] : (['ipv6'] as const))];
}
