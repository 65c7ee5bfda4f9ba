import type { ResourceKind } from '../client/api-client.ts';
import type { ApiLayout } from '../model/resource.ts';

const calico = (layout: ApiLayout, kind: string, plural: string): ResourceKind => ({
	kind,
	apiVersion: layout,
	plural,
	namespaced: false,
});

/** Calico's kinds in one of its layouts. */
export const calicoKinds = (layout: ApiLayout) =>
	({
		pools: calico(layout, 'IPPool', 'ippools'),
		reservations: calico(layout, 'IPReservation', 'ipreservations'),
		blocks: calico(layout, 'IPAMBlock', 'ipamblocks'),
		affinities: calico(layout, 'BlockAffinity', 'blockaffinities'),
		handles: calico(layout, 'IPAMHandle', 'ipamhandles'),
		ipamConfigs:
			layout === 'crd.projectcalico.org/v1'
				? calico(layout, 'IPAMConfig', 'ipamconfigs')
				: calico(layout, 'IPAMConfiguration', 'ipamconfigurations'),
		bgpConfigurations: calico(layout, 'BGPConfiguration', 'bgpconfigurations'),
		bgpPeers: calico(layout, 'BGPPeer', 'bgppeers'),
		bgpFilters: calico(layout, 'BGPFilter', 'bgpfilters'),
		nodeStatuses: calico(layout, 'CalicoNodeStatus', 'caliconodestatuses'),
		clusterInformations: calico(layout, 'ClusterInformation', 'clusterinformations'),
		felixConfigurations: calico(layout, 'FelixConfiguration', 'felixconfigurations'),
	}) as const;

export type CalicoKinds = ReturnType<typeof calicoKinds>;

/** The kinds of Kubernetes. */
export const coreKinds = {
	nodes: { kind: 'Node', apiVersion: 'v1', plural: 'nodes', namespaced: false },
	namespaces: { kind: 'Namespace', apiVersion: 'v1', plural: 'namespaces', namespaced: false },
	pods: { kind: 'Pod', apiVersion: 'v1', plural: 'pods', namespaced: true },
	secrets: { kind: 'Secret', apiVersion: 'v1', plural: 'secrets', namespaced: true },
	services: { kind: 'Service', apiVersion: 'v1', plural: 'services', namespaced: true },
	endpointSlices: {
		kind: 'EndpointSlice',
		apiVersion: 'discovery.k8s.io/v1',
		plural: 'endpointslices',
		namespaced: true,
	},
	serviceCidrs: {
		kind: 'ServiceCIDR',
		apiVersion: 'networking.k8s.io/v1',
		plural: 'servicecidrs',
		namespaced: false,
	},
	leases: { kind: 'Lease', apiVersion: 'coordination.k8s.io/v1', plural: 'leases', namespaced: true },
} as const satisfies Readonly<Record<string, ResourceKind>>;
