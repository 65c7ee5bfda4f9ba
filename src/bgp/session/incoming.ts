import type { Socket } from 'node:net';
import { decodeMessage, type NotificationMessage, type OpenMessage, packetContext } from 'bgp-packet';
import type { Family } from '../../core/index.ts';
import { familyFor } from '../fsm/capabilities.ts';
import { checkOpen, type Endpoints, type LocalSide } from '../fsm/open-check.ts';
import type { Negotiated } from '../negotiated.ts';
import { plainAddressBytes } from './dial.ts';
import type { PeerOptions } from './options.ts';

/** Until both OPENs are known everything is read alike. */
const context = packetContext({ extendedMessage: true });

/** @throws PacketError 2/x */
export function readOpen(frame: Uint8Array): OpenMessage {
	return expectType(decodeMessage(frame, context), 'open');
}

/** What both OPENs make of the session. @throws PacketError 2/x where they don't fit */
export function negotiate(received: OpenMessage, sent: OpenMessage, local: LocalSide, endpoints: Endpoints): Negotiated {
	const verdict = checkOpen(received, sent, local, endpoints);
	if (verdict.type === 'rejected') throw verdict.error;
	return verdict.negotiated;
}

/** The ends of a connection; where TCP has forgotten them already, what is configured. */
export function endpointsOf(socket: Socket | undefined, { address, localAddress }: PeerOptions): Endpoints {
	return {
		peerAddress: plainAddressBytes(socket?.remoteAddress ?? address),
		localAddress: plainAddressBytes(socket?.localAddress ?? localAddress ?? '0.0.0.0'),
	};
}

/** Whatever is in it is legal: RFC 4271 §6.4. */
export function readNotification(frame: Uint8Array): NotificationMessage {
	return expectType(decodeMessage(frame, context), 'notification');
}

/**
 * A ROUTE-REFRESH as far as it means anything in this session. A family that was not negotiated, an unknown subtype, and marks without
 * RFC 7313 are ignored (RFC 2918 §4, RFC 7313 §5). @throws PacketError 7/1, 1/2
 */
export function readRefresh(
	frame: Uint8Array,
	{ families, enhancedRefresh }: Negotiated,
): { readonly family: Family; readonly subtype: 'request' | 'begin' | 'end' } | undefined {
	const message = expectType(decodeMessage(frame, { ...context, enhancedRefresh }), 'route-refresh');
	const { subtype } = message;
	const family = familyFor(message.afi, message.safi);
	if (family === undefined || typeof subtype === 'number' || !families.some((negotiated) => negotiated.family === family)) return undefined;
	return subtype === 'request' || enhancedRefresh ? { family, subtype } : undefined;
}

/** The header said the type already. */
function expectType<M extends { readonly type: string }, T extends M['type']>(message: M, type: T): Extract<M, { type: T }> {
	if (message.type !== type) throw new TypeError(`a message of type ${message.type} where ${type} was framed`);
	// The discriminant was compared.
	return message as Extract<M, { type: T }>;
}
