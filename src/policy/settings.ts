import { nodesSet } from './model.ts';
import { type FailsafePort, type NodeSettings, ProtocolNumber } from './rules.ts';

const ports = (protocol: number, numbers: readonly number[]): readonly FailsafePort[] =>
	numbers.map((port) => ({ protocol, port }));

/** Calico's defaults; the endpoint to host action is that of its manifests. */
export const defaultNodeSettings: NodeSettings = {
	endpointToHostAction: 'accept',
	// SSH, BGP, etcd, Typha, the API server, older etcd, DHCP.
	failsafeInbound: [
		...ports(ProtocolNumber.TCP, [22, 179, 2379, 2380, 5473, 6443, 6666, 6667]),
		...ports(ProtocolNumber.UDP, [68]),
	],
	failsafeOutbound: [
		...ports(ProtocolNumber.TCP, [179, 2379, 2380, 5473, 6443, 6666, 6667]),
		...ports(ProtocolNumber.UDP, [53, 67]),
	],
	dropInvalid: true,
	allowVxlanFromWorkloads: false,
	allowIpipFromWorkloads: false,
	vxlanPort: 4789,
	nodes: nodesSet.id,
};
