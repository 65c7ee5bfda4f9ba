import {
	type LinkKernel,
	type Neighbour,
	type NeighbourChangeRequest,
	type NeighbourTable,
	type NewVxlan,
	netlinkLinks,
	Rtnetlink,
	type VxlanChange,
} from '../linux/index.ts';

/**
 * The kernel's devices, and their neighbours and forwarding databases. Implemented for netlink, and
 * by a fake.
 */
export interface VxlanKernel extends Omit<LinkKernel, 'addLink'> {
	/** @throws NetlinkError */
	addVxlan(device: NewVxlan): Promise<void>;
	/** Changes a device in place. @throws NetlinkError where the kernel refuses that */
	changeVxlan(change: VxlanChange): Promise<void>;
	/** @throws NetlinkError */
	removeLink(index: number): Promise<void>;
	/** Permanent entries with a MAC address. @throws DumpInterruptedError */
	neighbours(table: NeighbourTable, interfaceIndex: number): Promise<readonly Neighbour[]>;
	/**
	 * Carries out the changes in order; gives what was refused, by position, with the kernel's words.
	 */
	changeNeighbours(changes: readonly NeighbourChangeRequest[]): Promise<ReadonlyMap<number, Error>>;
}

/** Opens the interfaces of the network namespace we are in. @throws SystemCallError */
export function openVxlanKernel(): VxlanKernel {
	const netlink = new Rtnetlink();
	return {
		...netlinkLinks(netlink),
		addVxlan: (device) => netlink.addVxlan(device),
		changeVxlan: (change) => netlink.changeVxlan(change),
		removeLink: (index) => netlink.removeLink(index),
		neighbours: (table, index) => netlink.neighbours(table, index),
		async changeNeighbours(changes) {
			const refused = await netlink.changeNeighbours(changes);
			// An entry that is gone is as good as removed.
			return new Map(
				[...refused].filter(([index, { code }]) => changes[index]?.verb !== 'remove' || code !== 'ENOENT'),
			);
		},
	};
}
