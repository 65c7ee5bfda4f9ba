/**
 * Numbers of nfnetlink: linux/netfilter/nfnetlink.h, nf_tables.h, nfnetlink_conntrack.h,
 * nfnetlink_log.h.
 */

export const Subsystem = { conntrack: 1, log: 4, nfTables: 10 } as const;

/** `nlmsg_type` of a subsystem's message. */
export const messageType = (subsystem: number, message: number): number => (subsystem << 8) | message;

export const BatchMessage = { begin: 16, end: 17 } as const;
export const BatchAttribute = { generation: 1 } as const;

/** Length of `nfgenmsg`: family, version, resource ID. */
export const genericLength = 4;

export const NfTablesMessage = {
	newTable: 0,
	getTable: 1,
	newChain: 3,
	getChain: 4,
	deleteChain: 5,
	newRule: 6,
	getRule: 7,
	deleteRule: 8,
	newSet: 9,
	getSet: 10,
	deleteSet: 11,
	newElement: 12,
	getElement: 13,
	deleteElement: 14,
	newGeneration: 15,
	getGeneration: 16,
	newObject: 18,
	getObject: 19,
	deleteObject: 20,
} as const;

export const TableAttribute = { name: 1 } as const;
export const ChainAttribute = { table: 1, name: 3, hook: 4 } as const;
export const RuleAttribute = { table: 1, chain: 2, expressions: 4 } as const;
export const SetAttribute = {
	table: 1,
	name: 2,
	flags: 3,
	keyType: 4,
	keyLength: 5,
	dataType: 6,
	dataLength: 7,
	description: 9,
	id: 10,
	timeout: 11,
	userData: 13,
} as const;
export const SetFlag = { anonymous: 1, constant: 2, interval: 4, map: 8, timeout: 16, evaluated: 32 } as const;
/** NFTA_SET_DESC_SIZE. */
export const SetDescription = { size: 1 } as const;
export const ElementListAttribute = { table: 1, set: 2, elements: 3, setId: 4 } as const;
export const ElementAttribute = {
	key: 1,
	data: 2,
	flags: 3,
	timeout: 4,
	expiration: 5,
	userData: 6,
	expression: 7,
	keyEnd: 10,
} as const;
/** NFTNL_UDATA_SET_ELEM_COMMENT of libnftnl: type, length, text with its zero byte. */
export const userDataComment = 0;
export const ElementFlag = { intervalEnd: 1, catchAll: 2 } as const;
export const ExpressionAttribute = { name: 1, data: 2 } as const;
export const DataAttribute = { value: 1, verdict: 2 } as const;
export const VerdictAttribute = { code: 1, chain: 2 } as const;
export const ObjectAttribute = { table: 1, name: 2, type: 3, data: 4 } as const;
export const objectTypeCounter = 1;
export const CounterAttribute = { bytes: 1, packets: 2 } as const;
export const GenerationAttribute = { id: 1 } as const;
/** Member of any list attribute. */
export const listElement = 1;

export const ConntrackMessage = { add: 0, get: 1, delete: 2 } as const;
export const ConntrackAttribute = {
	original: 1,
	reply: 2,
	status: 3,
	protocolInfo: 4,
	timeout: 7,
	mark: 8,
	id: 12,
	zone: 18,
	markMask: 21,
} as const;
/** CTA_PROTOINFO_*. */
export const ProtocolInfo = { tcp: 1, tcpState: 1, tcpFlagsOriginal: 4, tcpFlagsReply: 5 } as const;
export const TupleAttribute = { address: 1, protocol: 2 } as const;
export const TupleAddress = { ipv4Source: 1, ipv4Destination: 2, ipv6Source: 3, ipv6Destination: 4 } as const;
export const TupleProtocol = {
	number: 1,
	sourcePort: 2,
	destinationPort: 3,
	icmpId: 4,
	icmpType: 5,
	icmpCode: 6,
	icmpv6Id: 7,
	icmpv6Type: 8,
	icmpv6Code: 9,
} as const;

export const LogMessage = { packet: 0, config: 1 } as const;
export const LogConfigAttribute = { command: 1, mode: 2, timeout: 4, threshold: 5 } as const;
export const LogCommand = { bind: 1, unbind: 2 } as const;
export const LogAttribute = { header: 1, mark: 2, inInterface: 4, outInterface: 5, payload: 9, prefix: 10 } as const;
