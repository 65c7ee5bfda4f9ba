/**
 * A pod's interface. Each pod has a veth pair: one end in the pod (`eth0`), the other one on the
 * node (`cali` and a hash). The pod's addresses are /32 and /128; its default gateway is
 * 169.254.1.1 and fe80::ecee:eeff:feee:eeee, which the node's end answers for by proxy ARP and by
 * its own link-local address. A /32 or /128 route on the node leads to the pod, in front of the
 * blackhole of the node's block. Names and layout are Calico's, so that a node can change over
 * without a restart of its pods.
 *
 * The kernel is the record: the alias of the node's end holds network, container, interface and
 * addresses. A restart reads it back.
 */
export {
	type Attached,
	type AttachRequest,
	PodInterfaceError,
	PodInterfaces,
} from './interfaces.ts';

export { openPodKernel } from './kernel-netlink.ts';
export { formatOwner, hostInterfaceName, parseOwner } from './names.ts';
