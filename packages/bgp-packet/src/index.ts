/**
 * The BGP-4 wire format: bytes to values and back. No I/O, no state but that of a `Framer`.
 *
 * Two levels read the same bytes. `decodeMessage` and `encodeMessage` make plain objects.
 * `scanUpdate`, `judgeAttributes` and `NlriCursor` walk the bytes without making any, for speakers
 * that see millions of routes. Both ask the same tables what is malformed, and both give problems
 * of an UPDATE as values with the remedy of RFC 7606; only what ends the session is thrown, as a
 * `PacketError` that carries the NOTIFICATION to send.
 */
export * from './attributes/index.ts';
export * from './capabilities/index.ts';
export * from './constants.ts';
export * from './context.ts';
export { MessageTooLongError, PacketError, type Remedy, strongestRemedy } from './errors.ts';
export { type FamilyCodec, families, familyCodec } from './families/index.ts';
export { type FrameHandler, Framer } from './framer.ts';
export { checkHeader } from './header.ts';
export { decodeMessage, encodeMessage, type Message } from './message.ts';
export type { KeepaliveMessage } from './messages/keepalive.ts';
export * from './messages/notification.ts';
export type { OpenMessage } from './messages/open.ts';
export { type RouteRefreshMessage, routeRefreshMessage } from './messages/route-refresh.ts';
export {
	badNetworkField,
	endOfRib,
	endOfRibMessage,
	type UpdateMessage,
	updateError,
	updateMessage,
	withdrawInstead,
} from './messages/update.ts';
export { isMulticast, type Nlri, NlriCursor, validateNlri } from './nlri.ts';
export { readU16, readU32 } from './reader.ts';
export { scanUpdate, UpdateSpans } from './update-scan.ts';
