import { collisionSurvivor, isReplaced } from '../fsm/collision.ts';
import type { Negotiated } from '../model/negotiated.ts';
import type { Session } from './session.ts';

/**
 * An outgoing connection is established: ends the `others` of the same peer that lose against it
 * (RFC 4271 §6.8). `false`: this connection loses.
 */
export function resolveOnConnect(others: readonly Session[]): boolean {
	for (const other of others) {
		if (other.state === 'established') return false;
		if (other.state !== 'open-confirm' || other.negotiated === undefined) continue;
		if (collisionSurvivor(other.negotiated) === 'incoming') return false;
		other.loseCollision();
	}
	return true;
}

/**
 * A valid OPEN was received on `session`: ends the `others` that lose against it. `false`: this one
 * loses.
 */
export function resolveCollision(session: Session, negotiated: Negotiated, others: readonly Session[]): boolean {
	for (const other of others) {
		const { state } = other;
		if (state === 'established') {
			if (session.direction === 'outgoing' || !isReplaced(other)) return false;
			other.abandon('superseded by a new connection of the peer');
		} else if (state === 'open-sent' || state === 'open-confirm') {
			// RFC 4271 §6.8: the identifiers decide; of two connections by the same side the newer
			// one counts.
			const isRival = other.direction !== session.direction;
			if (isRival && collisionSurvivor(negotiated) !== session.direction) return false;
			other.loseCollision();
		}
	}
	return true;
}
