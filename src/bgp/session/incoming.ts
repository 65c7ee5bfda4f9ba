import type { Socket } from 'node:net';
import { decodeMessage, type NotificationMessage, type OpenMessage, packetContext } from 'bgp-packet';
import { type Family, splitZone } from '../../core/index.ts';
import { familyFor } from '../fsm/capabilities.ts';
import { checkOpen, type Endpoints, type LocalSide } from '../fsm/open-check.ts';
import type { Negotiated } from '../model/negotiated.ts';
import type { PeerOptions } from '../model/peer-options.ts';
import { plainAddress, plainAddressBytes } from './dial.ts';
import type { InterfaceAddresses } from './interface-addresses.ts';

/** Until both OPENs are known, all messages are decoded with the same context. */
const context = packetContext({ extendedMessage: true });

/** @throws PacketError 2/x */
export function readOpen(frame: Uint8Array): OpenMessage {
	return expectType(decodeMessage(frame, context), 'open');
}

/**
 * Derives the session parameters from both OPENs. @throws PacketError 2/x if they are incompatible
 */
export function negotiate(
	received: OpenMessage,
	sent: OpenMessage,
	local: LocalSide,
	endpoints: Endpoints,
): Negotiated {
	const verdict = checkOpen(received, sent, local, endpoints);
	if (verdict.type === 'rejected') throw verdict.error;
	return verdict.negotiated;
}

/** The endpoints of a connection; if TCP has already closed, the configured ones. */
export function endpointsOf(
	socket: Socket | undefined,
	{ address, localAddress, device }: PeerOptions,
	interfaces: InterfaceAddresses,
): Endpoints {
	const local = socket?.localAddress ?? localAddress ?? '0.0.0.0';
	const interfaceName =
		device ?? splitZone(socket?.remoteAddress ?? '').interfaceName ?? interfaces.nameOf(plainAddress(local));
	return {
		peerAddress: plainAddressBytes(socket?.remoteAddress ?? address),
		localAddress: plainAddressBytes(local),
		interfaceName,
		interfaceAddresses: interfaceName === undefined ? {} : interfaces.globalOf(interfaceName),
	};
}

/** Any content is valid: RFC 4271 §6.4. */
export function readNotification(frame: Uint8Array): NotificationMessage {
	return expectType(decodeMessage(frame, context), 'notification');
}

/**
 * Decodes a ROUTE-REFRESH; `undefined` if it has no effect in this session. Ignored are families
 * that were not negotiated, unknown subtypes, and marks without RFC 7313 (RFC 2918 §4, RFC 7313
 * §5). @throws PacketError 7/1, 1/2
 */
export function readRefresh(
	frame: Uint8Array,
	{ families, enhancedRefresh }: Negotiated,
): { readonly family: Family; readonly subtype: 'request' | 'begin' | 'end' } | undefined {
	const message = expectType(decodeMessage(frame, { ...context, enhancedRefresh }), 'route-refresh');
	const { subtype } = message;
	const family = familyFor(message.afi, message.safi);
	if (
		family === undefined ||
		typeof subtype === 'number' ||
		!families.some((negotiated) => negotiated.family === family)
	)
		return undefined;
	return subtype === 'request' || enhancedRefresh ? { family, subtype } : undefined;
}

/** The type is known from the header. */
function expectType<M extends { readonly type: string }, T extends M['type']>(
	message: M,
	type: T,
): Extract<M, { type: T }> {
	if (message.type !== type) throw new TypeError(`a message of type ${message.type} where ${type} was framed`);
	// The discriminant was compared.
	return message as Extract<M, { type: T }>;
}
