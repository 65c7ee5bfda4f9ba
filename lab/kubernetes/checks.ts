import type { SpecFailure, SpecResults } from './specs.ts';

/** Named checks, one after another; a failed one does not end the run. */
export class Checks {
	readonly #progress: (text: string) => void;
	readonly #failures: SpecFailure[] = [];
	#passed = 0;

	constructor(progress: (text: string) => void) {
		this.#progress = progress;
	}

	/** `act` resolves to the reason of the failure, or to `undefined`; a rejection is a failure. */
	async check(name: string, act: () => Promise<string | undefined>): Promise<void> {
		const reason = await act().catch((error: unknown) => (error instanceof Error ? error.message : String(error)));
		if (reason === undefined) this.#passed++;
		else this.#failures.push({ name, reason });
		this.#progress(
			`${reason === undefined ? 'passed' : 'FAILED'}: ${name}${reason === undefined ? '' : `: ${reason}`}`,
		);
	}

	results(): SpecResults {
		const failures = this.#failures;
		return { passed: this.#passed, failed: failures.length, skipped: 0, failures, skips: [] };
	}
}
