import { PacketError } from 'bgp-packet';
import type { SessionEnd, SessionReceiver } from '../negotiated.ts';

/**
 * The way from a session into the RIB. While the RIB is in one of its calls, what would end the session waits until the call returned:
 * so `ended` never comes in the middle of an `update`, and nothing comes after it.
 */
export class RibLink {
	readonly #rejected: (error: PacketError) => void;
	#receiver: SessionReceiver | undefined;
	#inside = false;
	#pending: (() => void) | undefined;
	#over = false;

	/** `rejected` is told of what the RIB throws at a message. */
	constructor(rejected: (error: PacketError) => void) {
		this.#rejected = rejected;
	}

	/** The first call: it gives the receiver of all others. */
	establish(act: () => SessionReceiver): void {
		this.#call(() => {
			this.#receiver = act();
		});
	}

	/** One UPDATE. */
	update(buffer: Uint8Array, start: number, end: number): void {
		this.#call(() => this.#receiver?.update(buffer, start, end));
	}

	/** Any other call. */
	tell(what: (receiver: SessionReceiver) => void): void {
		const receiver = this.#receiver;
		if (receiver !== undefined) this.#call(() => what(receiver));
	}

	/** Does what ends the session: now, or as soon as the present call returned. The first one counts. */
	soon(act: () => void): void {
		if (this.#inside) this.#pending ??= act;
		else act();
	}

	/** The session is over, whatever happens. */
	end(end: SessionEnd): void {
		if (this.#over) return;
		this.#over = true;
		this.#receiver?.ended(end);
	}

	#call(act: () => void): void {
		if (this.#over || this.#pending !== undefined) return;
		this.#inside = true;
		let error: unknown;
		try {
			act();
		} catch (thrown) {
			if (!(thrown instanceof PacketError)) throw thrown;
			error = thrown;
		} finally {
			this.#inside = false;
		}
		if (!this.#runPending() && error instanceof PacketError) this.#rejected(error);
	}

	#runPending(): boolean {
		const pending = this.#pending;
		this.#pending = undefined;
		pending?.();
		return pending !== undefined;
	}
}
