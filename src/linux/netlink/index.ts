/** rtnetlink: a pure codec, a socket for requests, a stream of events. */
export { Group, MessageType, RouteScope, RouteTable, RouteType } from './constants.ts';
export { NetlinkEvents } from './events.ts';
export { decodeAddress, decodeLink, isOfBridgePort, type Link, type LinkAddress } from './link.ts';
export type { Neighbour, NeighbourTable } from './neighbour.ts';
export type { DecodedNextHop, NextHopObject } from './next-hop.ts';
export { encodePlainRoute, type ListedRoute, type PlainRoute, PlainRouteReader } from './plain-route.ts';
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
	routeTypeOf,
} from './route.ts';
export { type NeighbourChangeRequest, Rtnetlink } from './rtnetlink.ts';
export {
	DumpInterruptedError,
	NetlinkError,
	NetlinkSocket,
} from './socket.ts';
export {
	decodeProgramFilter,
	decodeQdisc,
	encodeClsactAdd,
	encodeClsactRemove,
	encodeFilterDump,
	encodeProgramRemove,
	encodeProgramSet,
	encodeQdiscDump,
	type TrafficHook,
} from './traffic-control.ts';

export type { NewVxlan, VxlanChange } from './vxlan.ts';
export type { MessageWriter } from './writer.ts';
