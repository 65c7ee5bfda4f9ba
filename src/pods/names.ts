import { hashedInterfaceName, podInterfaceName, podInterfacePrefix } from '../core/index.ts';

/** What the alias of a pod's interface on the node records. */
export interface PodOwner {
	readonly network: string;
	readonly containerId: string;
	/** The interface's name in the pod. */
	readonly ifname: string;
	/** Without prefix lengths; at most one of each family. */
	readonly addresses: readonly string[];
}

/**
 * The hardware address of every pod's interface on the node, as Calico has it: the link-local
 * address follows from it.
 */
export const hostMac = new Uint8Array([0xee, 0xee, 0xee, 0xee, 0xee, 0xee]);

/** The gateway of pods: no interface has it, the node's end answers ARP for it. */
export const gatewayIpv4 = '169.254.1.1';

/**
 * The gateway of pods: the link-local address that follows from `hostMac` (RFC 4291 appendix A).
 */
export const gatewayIpv6 = 'fe80::ecee:eeff:feee:eeee';

const longestName = 15;

/**
 * The interface on the node. In Kubernetes: the name that follows from the pod; a second interface
 * of a pod takes its name into the hash. Elsewhere: `cali` and the first 11 characters of the
 * container's ID.
 */
export function hostInterfaceName(
	pod: { readonly namespace: string; readonly name: string } | undefined,
	containerId: string,
	ifname: string,
): string {
	if (pod === undefined && ifname === 'eth0') {
		const id = containerId.replaceAll(/[^A-Za-z0-9]/g, '');
		return `${podInterfacePrefix}${id.slice(0, longestName - podInterfacePrefix.length)}`;
	}
	return pod === undefined
		? hashedInterfaceName(containerId, ifname)
		: podInterfaceName(pod.namespace, pod.name, podInterfacePrefix, ifname);
}

const mark = 'bgpmesh';

/**
 * The alias of the interface on the node. Names of networks and IDs of containers have no blanks
 * (CNI §2).
 */
export const formatOwner = ({ network, containerId, ifname, addresses }: PodOwner): string =>
	[mark, network, containerId, ifname, addresses.join(',')].join(' ');

/** The reverse; `undefined` for an alias that is not ours. */
export function parseOwner(alias: string | undefined): PodOwner | undefined {
	const [first, network = '', containerId = '', ifname = '', addresses = ''] = (alias ?? '').split(' ');
	if (first !== mark || network === '' || containerId === '' || ifname === '') return undefined;
	return { network, containerId, ifname, addresses: addresses === '' ? [] : addresses.split(',') };
}
