import { type Family, hostPrefix } from '../core/index.ts';
import { encapsulation, type InterfaceAddress } from '../encapsulation/index.ts';
import type { Link } from '../linux/index.ts';
import type { ProbeTarget } from '../tunnel-probe/index.ts';
import { type NodeState, poolsOf, tunnelsOf, vxlanRemotesOf } from './node-state.ts';

/** The inputs of the targets besides the state of the cluster. */
export interface ProbeTargetsDependencies {
	readonly interfaces: readonly InterfaceAddress[];
	readonly links: readonly Pick<Link, 'name' | 'mtuBytes' | 'up'>[];
	/** The IP-in-IP device. */
	readonly tunnelDevice: string;
}

/**
 * The tunnels of this node that a probe can cross: to remote tunnel addresses whose route leads
 * through a tunnel device that is up. With `CrossSubnet` nodes of the own subnet are none. Pure.
 */
export function probeTargetsOf(state: NodeState, dependencies: ProbeTargetsDependencies): ProbeTarget[] {
	const { interfaces, links, tunnelDevice } = dependencies;
	const remotes = vxlanRemotesOf(state);
	const encapsulate = encapsulation({
		interfaces,
		tunnelDevice,
		pools: poolsOf(state),
		vxlanTunnels: tunnelsOf(remotes),
	});
	const mtus = new Map(links.filter(({ up }) => up).map(({ name, mtuBytes }) => [name, mtuBytes]));
	const target = (
		node: string,
		family: Family,
		tunnelAddress: string | undefined,
		nodeAddress: string,
	): ProbeTarget[] => {
		if (tunnelAddress === undefined) return [];
		const way = encapsulate(hostPrefix(tunnelAddress), nodeAddress, 'datastore');
		const device = way.type === 'ipip' || way.type === 'vxlan' ? way.device : undefined;
		const mtuBytes = device === undefined ? undefined : mtus.get(device);
		return device === undefined || mtuBytes === undefined
			? []
			: [{ node, family, tunnelAddress, nodeAddress, device, mtuBytes }];
	};
	const ofVxlan = remotes.flatMap(({ node, family, tunnelAddress, nodeAddress }) =>
		target(node, family, tunnelAddress, nodeAddress),
	);
	const ofIpip = (state.cluster?.nodes ?? []).flatMap(({ name, ipv4, tunnelAddresses }) =>
		name === state.node || ipv4 === undefined || tunnelAddresses.ipip === undefined
			? []
			: target(name, 'ipv4', tunnelAddresses.ipip, ipv4.address),
	);
	return [...ofVxlan, ...ofIpip];
}
