/** rtnetlink's numbers: linux/netlink.h, linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h. */

/** Length of `nlmsghdr`. */
export const headerLength = 16;

export const MessageType = {
	error: 2,
	done: 3,
	newLink: 16,
	deleteLink: 17,
	getLink: 18,
	newAddress: 20,
	deleteAddress: 21,
	getAddress: 22,
	newRoute: 24,
	deleteRoute: 25,
	getRoute: 26,
	newNeighbour: 28,
	deleteNeighbour: 29,
	getNeighbour: 30,
	newNextHop: 104,
	deleteNextHop: 105,
	getNextHop: 106,
} as const;

export const MessageFlag = {
	request: 0x1,
	ack: 0x4,
	/** In a dump: the table changed meanwhile, so that entries may be missing or duplicate. */
	dumpInterrupted: 0x10,
	dump: 0x300,
	replace: 0x100,
	exclusive: 0x200,
	create: 0x400,
	append: 0x800,
	/** In a response: only the header of the request is quoted. */
	capped: 0x100,
	/** In a response: attributes follow, such as the kernel's message. */
	ackTlvs: 0x200,
} as const;

export const ErrorAttribute = { message: 1, offset: 2 } as const;

export const AddressFamily = { unspecified: 0, ipv4: 2, ipv6: 10 } as const;

export const RouteAttribute = {
	destination: 1,
	outInterface: 4,
	gateway: 5,
	priority: 6,
	preferredSource: 7,
	multipath: 9,
	table: 15,
	via: 18,
	nextHopId: 30,
} as const;

export const RouteType = {
	unicast: 1,
	local: 2,
	broadcast: 3,
	anycast: 4,
	multicast: 5,
	blackhole: 6,
	unreachable: 7,
	prohibit: 8,
	throw: 9,
} as const;

export const RouteScope = { universe: 0, link: 253, host: 254, nowhere: 255 } as const;

export const RouteFlag = { dead: 1, onlink: 4, linkDown: 16, cloned: 0x200 } as const;

/**
 * `rtm_table` is a byte; the true number is in an attribute, and for greater ones the byte is 252.
 */
export const RouteTable = { compatibility: 252, main: 254, local: 255 } as const;

export const LinkAttribute = {
	address: 1,
	name: 3,
	mtu: 4,
	link: 5,
	master: 10,
	linkInfo: 18,
	alias: 20,
	namespaceFd: 28,
} as const;
export const LinkInfoAttribute = { kind: 1, data: 2 } as const;
export const LinkFlag = { up: 0x1, loopback: 0x8, running: 0x40 } as const;

export const AddressAttribute = { address: 1, local: 2, flags: 8 } as const;

/** Multicast groups for `NETLINK_ADD_MEMBERSHIP`. */
export const Group = { link: 1, neighbour: 3, ipv4Address: 5, ipv4Route: 7, ipv6Address: 9, ipv6Route: 11 } as const;
