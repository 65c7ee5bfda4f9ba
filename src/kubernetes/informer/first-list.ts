import type { Clock } from '../../core/index.ts';
import { NotListedError } from '../client/errors.ts';

/**
 * Whether the first list of a kind is complete (`synced`), and whether the server has answered at
 * all (`answered`: also by a denial). Both stay true during an outage.
 */
export class FirstList {
	readonly #kind: string;
	readonly #syncedListeners: (() => void)[] = [];
	readonly #answeredListeners: (() => void)[] = [];
	/** Called at each failure, for callers that wait for the list. */
	readonly #waiting = new Set<(failure: unknown) => void>();
	#synced = false;
	#answered = false;
	#failure: unknown;

	constructor(kind: string) {
		this.#kind = kind;
	}

	get synced(): boolean {
		return this.#synced;
	}

	onSynced(listener: () => void): void {
		if (this.#synced) listener();
		else this.#syncedListeners.push(listener);
	}

	onAnswered(listener: () => void): void {
		if (this.#answered) listener();
		else this.#answeredListeners.push(listener);
	}

	/** Waits for the list: `patienceMs`, or until a failure. @throws NotListedError */
	async wait(patienceMs: number, clock: Clock): Promise<void> {
		if (this.#synced) return;
		if (this.#failure !== undefined) throw new NotListedError(this.#kind, { cause: this.#failure });
		await new Promise<void>((resolve, reject) => {
			const end = (settle: () => void) => {
				timer.cancel();
				this.#waiting.delete(fail);
				settle();
			};
			const fail = (cause: unknown) => end(() => reject(new NotListedError(this.#kind, { cause })));
			const timer = clock.after(patienceMs, () => fail(undefined));
			this.#waiting.add(fail);
			this.onSynced(() => end(resolve));
		});
	}

	/** A request failed. */
	failed(error: unknown): void {
		this.#failure = error;
		for (const fail of [...this.#waiting]) fail(error);
	}

	/** The server answers again. */
	recovered(): void {
		this.#failure = undefined;
	}

	becomeSynced(): void {
		this.#synced = true;
		for (const listener of this.#syncedListeners.splice(0)) listener();
		this.becomeAnswered();
	}

	becomeAnswered(): void {
		this.#answered = true;
		for (const listener of this.#answeredListeners.splice(0)) listener();
	}
}
