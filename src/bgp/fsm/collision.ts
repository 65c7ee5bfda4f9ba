/** Which side opened a connection, seen from here. */
export type Direction = 'outgoing' | 'incoming';

/** What both speakers know of each other once one OPEN was received. */
export interface CollisionSides {
	readonly localRouterId: number;
	readonly peerRouterId: number;
	readonly localAsNumber: number;
	readonly peerAsNumber: number;
}

/**
 * Which of two connections to one peer survives: the one opened by the speaker with the higher identifier, compared as unsigned
 * numbers (RFC 4271 §6.8); where they are equal, by the one with the larger AS number (RFC 6286 §2.3). Both speakers come to the same answer.
 */
export function collisionSurvivor({ localRouterId, peerRouterId, localAsNumber, peerAsNumber }: CollisionSides): Direction {
	const [ours, theirs] = localRouterId === peerRouterId ? [localAsNumber, peerAsNumber] : [localRouterId, peerRouterId];
	return ours > theirs ? 'outgoing' : 'incoming';
}
