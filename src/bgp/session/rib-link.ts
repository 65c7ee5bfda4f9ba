import { PacketError } from 'bgp-packet';
import type { SessionEnd, SessionReceiver } from '../model/negotiated.ts';

/**
 * The calls of a session to the RIB. An event that ends the session during such a call waits until
 * the call has returned: `ended` never occurs inside an `update`, and no call follows it.
 */
export class RibLink {
	readonly #rejected: (error: PacketError) => void;
	#receiver: SessionReceiver | undefined;
	#inside = false;
	#pending: (() => void) | undefined;
	#over = false;

	/** `rejected` receives the error that the RIB throws for a message. */
	constructor(rejected: (error: PacketError) => void) {
		this.#rejected = rejected;
	}

	/** The first call: it returns the receiver of all others. */
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

	/**
	 * Ends the session: now, or as soon as the present call has returned. Only the first call
	 * counts.
	 */
	soon(act: () => void): void {
		if (this.#inside) this.#pending ??= act;
		else act();
	}

	/** The session is over. */
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
