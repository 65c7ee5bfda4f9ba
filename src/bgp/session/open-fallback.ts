import type { PeerOptions } from './options.ts';

/** What a peer's refusals of our OPEN taught: the next one is made accordingly. */
export class OpenFallback {
	/** `false`: the peer knows no optional parameters (RFC 5492 §3). */
	capabilities = true;
	#usesGlobalAs = false;

	/** The peer's options as the next OPEN is to be made by. */
	applied(options: PeerOptions): PeerOptions {
		return this.#usesGlobalAs && options.dualAs ? { ...options, localAsNumber: undefined } : options;
	}

	/** The peer expects another AS number of us. The one that comes next, `undefined`: there is no other. */
	asNumberRefused({ dualAs, localAsNumber, asNumber }: PeerOptions, globalAs: number): number | undefined {
		// An internal peer would become an external one, or the reverse.
		if (!dualAs || localAsNumber === undefined || localAsNumber === asNumber || globalAs === asNumber) return undefined;
		this.#usesGlobalAs = !this.#usesGlobalAs;
		return this.#usesGlobalAs ? globalAs : localAsNumber;
	}

	/** The operator chose anew: his number is tried first again. */
	reconfigured(before: PeerOptions, after: PeerOptions): void {
		if (before.localAsNumber !== after.localAsNumber || before.dualAs !== after.dualAs) this.#usesGlobalAs = false;
	}
}
