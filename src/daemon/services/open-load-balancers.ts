import type { Config } from '../../config/index.ts';
import type { Clock, Logger } from '../../core/index.ts';
import { loadBalancerHost } from '../../ipam/index.ts';
import { textAt } from '../../json/index.ts';
import { ApiError, type ApiLayout, type ResourceKind } from '../../kubernetes/index.ts';
import { type Cluster, otherCollector } from '../../node/index.ts';
import type { AssignMode } from '../../services/index.ts';
import { LoadBalancerAddresses } from './load-balancers.ts';

/**
 * Constructs and starts the allocation of load balancer addresses; `undefined` if it is disabled.
 */
export function openLoadBalancers(
	node: string,
	{ loadBalancerAddresses }: Pick<Config['services'], 'loadBalancerAddresses'>,
	cluster: Cluster,
	{ log, clock }: { readonly log: Logger; readonly clock: Clock },
): LoadBalancerAddresses | undefined {
	if (loadBalancerAddresses === 'off') return undefined;
	const { client } = cluster;
	const { allocator, store } = cluster.allocatorOf(loadBalancerHost);
	const opened = new LoadBalancerAddresses({
		...{ node, client, allocator, store, clock, random: Math.random },
		log: log.child({ component: 'load-balancers' }),
		assignMode: () => assignMode(cluster),
		otherController: async () => (loadBalancerAddresses === 'on' ? undefined : otherCollector(client)),
	});
	opened.start();
	return opened;
}

/** Where Calico configures how LoadBalancer addresses are given. */
export const kubeControllersKind = (layout: ApiLayout): ResourceKind => ({
	kind: 'KubeControllersConfiguration',
	apiVersion: layout,
	plural: 'kubecontrollersconfigurations',
	namespaced: false,
});

/** Without the resource, or without permission to read it, Calico's default applies. */
async function assignMode({ client, layout }: Cluster): Promise<AssignMode> {
	try {
		const found = await client.get(kubeControllersKind(layout), 'default');
		const mode = textAt(found, 'spec', 'controllers', 'loadBalancer', 'assignIPs');
		return mode === 'RequestedServicesOnly' ? 'requested-services-only' : 'all-services';
	} catch (error) {
		if (error instanceof ApiError && (error.code === 403 || error.code === 404)) return 'all-services';
		throw error;
	}
}
