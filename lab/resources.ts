import { stringify } from 'yaml';
import type { LabNode, LabTopology } from './topology.ts';

const layout = 'crd.projectcalico.org/v1';
const reflectorLabel = 'route-reflector';

/** A file of resources for `bgpmesh apply` and `kubectl apply`. */
export interface ResourceFile {
	readonly name: string;
	readonly text: string;
}

/**
 * The cluster as resources, in the order in which they are applied: Nodes, a pool for each node's
 * pods, the neighbours. They are Calico's own kinds, so the same resources work in a cluster.
 */
export function clusterFiles(topology: LabTopology, poolMode: PoolMode = 'ipip'): ResourceFile[] {
	const { mode } = topology;
	return [
		{ name: '10-nodes.yaml', text: documents(nodeResources(topology, mode === 'reflector')) },
		{ name: '20-pools.yaml', text: documents(poolResources(topology, poolMode)) },
		{ name: '30-bgp.yaml', text: documents([configuration(topology, mode === 'mesh'), ...torResources(topology)]) },
		...(mode === 'reflector' ? [reflectorFile] : []),
	];
}

/** Sessions of all nodes with the nodes that have the reflectors' label. */
export const reflectorFile: ResourceFile = {
	name: '40-reflectors.yaml',
	text: documents([
		{
			apiVersion: layout,
			kind: 'BGPPeer',
			metadata: { name: 'reflectors' },
			spec: { nodeSelector: 'all()', peerSelector: `${reflectorLabel} == 'true'` },
		},
	]),
};

/** The Nodes with or without the labels and annotations of the reflectors. */
export const nodesFile = (topology: LabTopology, reflectors: boolean): ResourceFile => ({
	name: 'nodes.yaml',
	text: documents(nodeResources(topology, reflectors)),
});

/** The full mesh on or off. */
export const meshFile = (topology: LabTopology, on: boolean): ResourceFile => ({
	name: 'mesh.yaml',
	text: documents([configuration(topology, on)]),
});

function nodeResources({ nodes, clusterId }: LabTopology, reflectors: boolean): object[] {
	return nodes.map(({ name, subnet, address }) => {
		const reflects = reflectors && nodes.find((node) => node.subnet === subnet)?.name === name;
		return {
			apiVersion: 'v1',
			kind: 'Node',
			metadata: {
				name,
				labels: {
					'kubernetes.io/hostname': name,
					rack: subnet.name,
					...(reflects ? { [reflectorLabel]: 'true' } : {}),
				},
				annotations: {
					'projectcalico.org/IPv4Address': `${address}/${subnet.length}`,
					...(reflects ? { 'projectcalico.org/RouteReflectorClusterID': clusterId } : {}),
				},
			},
		};
	});
}

/** A pool of one node with room for many pods. */
export const crowdPool = 'crowd';

/** The file with that pool. */
export const crowdFile = ({ name }: LabNode): ResourceFile => ({
	name: 'crowd.yaml',
	text: documents([poolResource(crowdPool, name, '192.168.128.0/24')]),
});

/** The transport of the pools' packets to nodes of other subnets. */
export type PoolMode = 'ipip' | 'vxlan' | 'none';

/** The pools of all nodes with another mode. */
export const poolsFile = (topology: LabTopology, mode: PoolMode): ResourceFile => ({
	name: 'pools.yaml',
	text: documents(poolResources(topology, mode)),
});

function poolResources({ nodes }: LabTopology, mode: PoolMode = 'ipip'): object[] {
	return nodes.map(({ name, block }) => poolResource(`pods-${name}`, name, block, mode));
}

const poolResource = (name: string, node: string, cidr: string, mode: PoolMode = 'ipip'): object => ({
	apiVersion: layout,
	kind: 'IPPool',
	metadata: { name },
	spec: {
		cidr,
		blockSize: 26,
		ipipMode: mode === 'ipip' ? 'CrossSubnet' : 'Never',
		vxlanMode: mode === 'vxlan' ? 'CrossSubnet' : 'Never',
		natOutgoing: false,
		nodeSelector: `kubernetes.io/hostname == '${node}'`,
	},
});

const configuration = ({ asNumber }: LabTopology, mesh: boolean): object => ({
	apiVersion: layout,
	kind: 'BGPConfiguration',
	metadata: { name: 'default' },
	spec: { asNumber, nodeToNodeMeshEnabled: mesh },
});

function torResources({ subnets, torAsNumber, servicePrefix }: LabTopology): object[] {
	return [
		{
			apiVersion: layout,
			kind: 'BGPFilter',
			metadata: { name: 'services' },
			spec: {
				importV4: [
					{ action: 'Accept', matchOperator: 'In', cidr: servicePrefix },
					{ action: 'Reject', matchOperator: 'In', cidr: '0.0.0.0/0' },
				],
			},
		},
		...subnets.map(({ name, tor }) => ({
			apiVersion: layout,
			kind: 'BGPPeer',
			metadata: { name: `tor-${name}` },
			spec: { nodeSelector: `rack == '${name}'`, peerIP: tor, asNumber: torAsNumber, filters: ['services'] },
		})),
	];
}

function documents(resources: readonly object[]): string {
	return resources.map((resource) => `---\n${stringify(resource)}`).join('');
}
