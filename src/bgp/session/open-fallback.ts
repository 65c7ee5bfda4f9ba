import type { PeerOptions } from '../model/peer-options.ts';

/** Adapts the next OPEN to the peer's rejections of earlier ones. */
export class OpenFallback {
	/** `false`: the peer rejects optional parameters (RFC 5492 §3). */
	capabilities = true;
	#usesGlobalAs = false;

	/** The peer's options for the next OPEN. */
	applied(options: PeerOptions): PeerOptions {
		return this.#usesGlobalAs && options.dualAs ? { ...options, localAsNumber: undefined } : options;
	}

	/**
	 * The peer expects another AS number. Returns the next one to try; `undefined`: there is no
	 * other.
	 */
	asNumberRefused({ dualAs, localAsNumber, asNumber }: PeerOptions, globalAs: number): number | undefined {
		// The other number must not turn an internal peer into an external one, or the reverse.
		if (!dualAs || localAsNumber === undefined || localAsNumber === asNumber || globalAs === asNumber) return undefined;
		this.#usesGlobalAs = !this.#usesGlobalAs;
		return this.#usesGlobalAs ? globalAs : localAsNumber;
	}

	/** The operator has changed the options: the configured number is tried first again. */
	reconfigured(before: PeerOptions, after: PeerOptions): void {
		if (before.localAsNumber !== after.localAsNumber || before.dualAs !== after.dualAs) this.#usesGlobalAs = false;
	}
}
