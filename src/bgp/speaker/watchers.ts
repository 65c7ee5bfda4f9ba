import { type Clock, tryEach } from '../../core/index.ts';
import type { SessionEvent } from '../model/speaker-options.ts';
import type { Peer } from '../session/peer.ts';

/**
 * The observers of session events. An exception of one affects neither the others nor the session.
 */
export class Watchers {
	readonly #clock: Clock;
	readonly #onFault: ((error: unknown) => void) | undefined;
	readonly #watchers = new Set<(event: SessionEvent) => void>();

	/** `onFault` receives the exceptions; without it they propagate. */
	constructor(clock: Clock, onFault: ((error: unknown) => void) | undefined) {
		this.#clock = clock;
		this.#onFault = onFault;
	}

	add(listener: (event: SessionEvent) => void): () => void {
		this.#watchers.add(listener);
		return () => this.#watchers.delete(listener);
	}

	tell(peer: Peer, type: SessionEvent['type'], reason?: string): void {
		if (this.#watchers.size === 0) return;
		const at = new Date(this.#clock.wallMs()).toISOString();
		const event: SessionEvent = {
			type,
			peer: peer.options.name,
			at,
			state: peer.state,
			...(reason === undefined ? {} : { reason }),
		};
		const calls = [...this.#watchers].map((watcher) => () => watcher(event));
		if (this.#onFault !== undefined) tryEach(calls, this.#onFault);
		else for (const call of calls) call();
	}
}
