import type { Clock, Logger } from '../../core/index.ts';
import type { ApiClient } from './api-client.ts';

/** A component that sends requests periodically; they fail while the server is away. */
export interface Follower {
	/** For the log: `Node`, or `Secret in kube-system`. */
	readonly what: string;
	/** Called after another follower got a response: send the next request at once. */
	wake(): void;
}

/**
 * Availability of one API server, from the requests of all its followers. The server is away while
 * requests fail: logged once, with one start time. The first response wakes all other followers, so
 * that they recover together.
 */
export class ServerState {
	readonly #server: string;
	readonly #log: Logger;
	readonly #clock: Clock;
	readonly #failing = new Map<Follower, number>();
	#awaySinceMs: number | undefined;

	constructor(server: string, log: Logger, clock: Clock) {
		this.#server = server;
		this.#log = log;
		this.#clock = clock;
	}

	/**
	 * Time of the first failure, in milliseconds since 1970; `undefined`: the server is available.
	 */
	get awaySinceMs(): number | undefined {
		return this.#awaySinceMs;
	}

	/** A request of this follower got no response, or an error that reports unavailability. */
	failed(follower: Follower, reason: string, cause: string): void {
		if (!this.#failing.has(follower)) this.#failing.set(follower, this.#clock.wallMs());
		if (this.#awaySinceMs !== undefined) return;
		this.#awaySinceMs = this.#clock.wallMs();
		this.#log.warn('API server away, going on with what is known', {
			server: this.#server,
			first: follower.what,
			reason,
			cause,
		});
	}

	/** A request of this follower got a response. */
	answered(follower: Follower): void {
		this.#failing.delete(follower);
		const since = this.#awaySinceMs;
		if (since === undefined) return;
		this.#awaySinceMs = undefined;
		this.#log.info('API server is back', { server: this.#server, awayMs: this.#clock.wallMs() - since });
		const waiting = [...this.#failing.keys()];
		this.#failing.clear();
		for (const other of waiting) other.wake();
	}

	/** This follower sends no more requests. */
	left(follower: Follower): void {
		this.#failing.delete(follower);
	}
}

const states = new WeakMap<ApiClient, ServerState>();

/** The state of a client's server: one instance per client. */
export function serverStateOf(client: ApiClient, log: Logger, clock: Clock): ServerState {
	const state = states.get(client) ?? new ServerState(client.server, log, clock);
	states.set(client, state);
	return state;
}
