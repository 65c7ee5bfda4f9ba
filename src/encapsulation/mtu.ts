import { type Link, type LinkAddress, RouteScope } from '../linux/index.ts';

/** The MTU of Ethernet, where no interface between nodes is known. */
const usualMtuBytes = 1500;

/**
 * Devices that carry no traffic between nodes; Calico leaves out the same ones when it detects the
 * node's address.
 */
const notBetweenNodes =
	/^(docker|cbr|dummy|podman|virbr|lxcbr|lo$|br-|cali|tunl|flannel|kube-ipvs|cni|vxlan|wireguard|wg|nodelocaldns)/;
const tunnelKinds = new Set(['ipip', 'sit', 'gre', 'vxlan', 'wireguard', 'tun', 'ip6tnl']);

/**
 * Bytes that each tunnel adds to a packet. Calico: ipipMTU host-20, vxlanMTU host-50, vxlanMTUV6
 * host-70.
 */
export const tunnelOverheadBytes = { ipip: 20, vxlan: 50, vxlanIpv6: 70 } as const;

/**
 * The MTU of a tunnel: the least of the interfaces between nodes, less what the tunnel adds. Pure.
 */
export function tunnelMtuBytes(
	links: readonly Link[],
	addresses: readonly LinkAddress[],
	overheadBytes: number = tunnelOverheadBytes.ipip,
): number {
	const addressed = new Set(
		addresses
			.filter(({ family, scope, length }) => scope === RouteScope.universe && length < (family === 'ipv4' ? 32 : 128))
			.map(({ interfaceIndex }) => interfaceIndex),
	);
	const between = links.filter(
		({ index, name, up, loopback, kind }) =>
			up && !loopback && addressed.has(index) && !notBetweenNodes.test(name) && !tunnelKinds.has(kind ?? ''),
	);
	const least = Math.min(...between.map(({ mtuBytes }) => mtuBytes));
	return (Number.isFinite(least) ? least : usualMtuBytes) - overheadBytes;
}
