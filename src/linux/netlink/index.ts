/** rtnetlink: a pure codec, a socket for requests, a stream of events. */
export { Group, MessageType, RouteScope, RouteTable, RouteType } from './constants.ts';
export { type NetlinkEventOptions, NetlinkEvents } from './events.ts';
export { decodeAddress, decodeLink, isOfBridgePort, type Link, type LinkAddress } from './link.ts';
export type { Neighbour, NeighbourTable } from './neighbour.ts';
export type { DecodedNextHop, NextHopObject } from './next-hop.ts';
export { encodePlainRoute, type PlainRoute } from './plain-route.ts';
export { type Message, NetlinkFormatError } from './reader.ts';
export {
	decodeRoute,
	encodeRouteChange,
	hasRoutePriority,
	isOnlinkRoute,
	type NextHop,
	type RouteFilter,
	type RouteMessage,
	type RouteVerb,
} from './route.ts';
export { type NeighbourChangeRequest, type RouteChangeRequest, Rtnetlink } from './rtnetlink.ts';
export {
	DumpInterruptedError,
	NetlinkError,
	NetlinkProtocol,
	NetlinkSocket,
	type NetlinkSocketOptions,
} from './socket.ts';
export {
	decodeClsact,
	decodeProgramFilter,
	encodeClsactAdd,
	encodeClsactRemove,
	encodeFilterDump,
	encodeProgramRemove,
	encodeProgramSet,
	encodeQdiscDump,
	type ProgramFilter,
	type TrafficHook,
} from './traffic-control.ts';
export type { VethEnd, VethPair } from './veth.ts';
export type { NewVxlan, VxlanChange, VxlanProperties } from './vxlan.ts';
export type { MessageWriter } from './writer.ts';
