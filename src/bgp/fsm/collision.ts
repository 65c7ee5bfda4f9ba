import type { Negotiated } from '../model/negotiated.ts';
/** The side that opened a connection, from the local view. */
export type Direction = 'outgoing' | 'incoming';

/** The identifiers of both speakers, known after one OPEN was received. */
interface CollisionSides {
	readonly localRouterId: number;
	readonly peerRouterId: number;
	readonly localAsNumber: number;
	readonly peerAsNumber: number;
}

/**
 * Decides which of two connections to one peer survives: that of the speaker with the higher
 * identifier, compared as unsigned numbers (RFC 4271 §6.8); if equal, that of the larger AS number
 * (RFC 6286 §2.3). Both speakers reach the same decision.
 */
export function collisionSurvivor({
	localRouterId,
	peerRouterId,
	localAsNumber,
	peerAsNumber,
}: CollisionSides): Direction {
	const [ours, theirs] = localRouterId === peerRouterId ? [localAsNumber, peerAsNumber] : [localRouterId, peerRouterId];
	return ours > theirs ? 'outgoing' : 'incoming';
}

/** Connection attempts of both sides that began together end within this time. */
const collisionMs = 10_000;

/** True if both sides negotiated graceful restart for a family. */
export const canRestart = (negotiated: Pick<Negotiated, 'families'> | undefined): boolean =>
	negotiated?.families.some(({ gracefulRestart }) => gracefulRestart !== undefined) === true;

/** An established session as the collision rules see it. */
export interface EstablishedSession {
	readonly negotiated: Pick<Negotiated, 'families'> | undefined;
	readonly direction: Direction;
	readonly establishedForMs: number;
}

/**
 * True if an incoming connection replaces the established session: its peer may have restarted (RFC
 * 4724 §5). Soon after we opened the session's connection, that of the peer began together with
 * ours and is closed (RFC 4271 §6.8): a peer opens one connection at a time.
 */
export const isReplaced = ({ negotiated, direction, establishedForMs }: EstablishedSession): boolean =>
	canRestart(negotiated) && (direction === 'incoming' || establishedForMs >= collisionMs);
