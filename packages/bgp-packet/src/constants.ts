/** Message types. RFC 4271 §4.1, RFC 2918 §3. */
export const MessageType = { open: 1, update: 2, notification: 3, keepalive: 4, routeRefresh: 5 } as const;

/** NOTIFICATION codes. RFC 4271 §4.5, RFC 7313 §5, RFC 9687 §4. */
export const ErrorCode = {
	messageHeader: 1,
	openMessage: 2,
	updateMessage: 3,
	holdTimerExpired: 4,
	finiteStateMachine: 5,
	cease: 6,
	routeRefresh: 7,
	sendHoldTimerExpired: 8,
} as const;

/** A NOTIFICATION code by its name. */
export type CodeName = keyof typeof ErrorCode;

/** Subcodes of Message Header Error. RFC 4271 §6.1. */
export const HeaderSubcode = { connectionNotSynchronized: 1, badMessageLength: 2, badMessageType: 3 } as const;

/** Subcodes of OPEN Message Error. RFC 4271 §6.2, RFC 5492 §5, RFC 9234 §4.2. */
export const OpenSubcode = {
	unspecific: 0,
	unsupportedVersionNumber: 1,
	badPeerAs: 2,
	badBgpIdentifier: 3,
	unsupportedOptionalParameter: 4,
	unacceptableHoldTime: 6,
	unsupportedCapability: 7,
	roleMismatch: 11,
} as const;

/** Subcodes of UPDATE Message Error. RFC 4271 §6.3. */
export const UpdateSubcode = {
	malformedAttributeList: 1,
	unrecognizedWellKnownAttribute: 2,
	missingWellKnownAttribute: 3,
	attributeFlagsError: 4,
	attributeLengthError: 5,
	invalidOrigin: 6,
	invalidNextHop: 8,
	optionalAttributeError: 9,
	invalidNetworkField: 10,
	malformedAsPath: 11,
} as const;

/** Subcodes of Finite State Machine Error. RFC 6608 §3. */
export const FsmSubcode = {
	unspecified: 0,
	unexpectedInOpenSent: 1,
	unexpectedInOpenConfirm: 2,
	unexpectedInEstablished: 3,
} as const;

/** Subcodes of Cease. RFC 4486 §4, RFC 8538 §3, RFC 9384 §3. */
export const CeaseSubcode = {
	maximumPrefixesReached: 1,
	administrativeShutdown: 2,
	peerDeconfigured: 3,
	administrativeReset: 4,
	connectionRejected: 5,
	otherConfigurationChange: 6,
	connectionCollisionResolution: 7,
	outOfResources: 8,
	hardReset: 9,
	bfdDown: 10,
} as const;

/** Subcodes of ROUTE-REFRESH Message Error. RFC 7313 §5. */
export const RouteRefreshSubcode = { invalidMessageLength: 1 } as const;

/** Path attribute type codes. */
export const AttributeCode = {
	origin: 1,
	asPath: 2,
	nextHop: 3,
	med: 4,
	localPref: 5,
	atomicAggregate: 6,
	aggregator: 7,
	communities: 8,
	originatorId: 9,
	clusterList: 10,
	mpReach: 14,
	mpUnreach: 15,
	extendedCommunities: 16,
	as4Path: 17,
	as4Aggregator: 18,
	ipv6ExtendedCommunities: 25,
	largeCommunities: 32,
	onlyToCustomer: 35,
} as const;

/** Attribute flags. RFC 4271 §4.3. */
export const AttributeFlag = { optional: 0x80, transitive: 0x40, partial: 0x20, extendedLength: 0x10 } as const;

/** Address family identifiers. */
export const Afi = { ipv4: 1, ipv6: 2, l2vpn: 25, bgpLs: 16388 } as const;

/** Subsequent address family identifiers. */
export const Safi = { unicast: 1, multicast: 2, labeledUnicast: 4, vpn: 128 } as const;

/** Capability codes. */
export const CapabilityCode = {
	multiprotocol: 1,
	routeRefresh: 2,
	extendedNextHop: 5,
	extendedMessage: 6,
	role: 9,
	gracefulRestart: 64,
	fourOctetAs: 65,
	addPath: 69,
	enhancedRouteRefresh: 70,
	longLivedGracefulRestart: 71,
} as const;

/** The AS number that stands for one that does not fit in 2 octets. RFC 6793 §9. */
export const asTrans = 23456;

/** Octets of the message header: marker, length, type. RFC 4271 §4.1. */
export const headerLength = 19;

/** The longest message without RFC 8654. RFC 4271 §4.1. */
export const maximumMessageLength = 4096;

/** The longest message with RFC 8654 §3. */
export const maximumExtendedMessageLength = 65535;

/** Well-known communities, as 32-bit numbers. */
export const WellKnownCommunity = {
	/** RFC 8326 §2. */
	gracefulShutdown: 0xffff0000,
	/** RFC 7611 §2. */
	acceptOwn: 0xffff0001,
	/** RFC 9494 §3.1. */
	llgrStale: 0xffff0006,
	/** RFC 9494 §3.2. */
	noLlgr: 0xffff0007,
	/** RFC 7999 §2. */
	blackhole: 0xffff029a,
	/** RFC 1997. */
	noExport: 0xffffff01,
	noAdvertise: 0xffffff02,
	noExportSubconfed: 0xffffff03,
	/** RFC 3765 §2. */
	noPeer: 0xffffff04,
} as const;
