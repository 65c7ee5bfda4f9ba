/** rtnetlink in our own words: a codec that is pure, a socket for requests, a stream of events. */
export { Group, MessageType, RouteScope, RouteTable, RouteType } from './constants.ts';
export { type NetlinkEventOptions, NetlinkEvents } from './events.ts';
export { decodeAddress, decodeLink, isOfBridgePort, type Link, type LinkAddress } from './link.ts';
export { type Message, NetlinkFormatError } from './reader.ts';
export { decodeRoute, type NextHop, type RouteFilter, type RouteMessage, type RouteVerb } from './route.ts';
export { type RouteChangeRequest, Rtnetlink } from './rtnetlink.ts';
export { DumpInterruptedError, NetlinkError } from './socket.ts';
