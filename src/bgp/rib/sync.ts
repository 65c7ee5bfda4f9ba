import type { Clock, Timer } from '../../core/index.ts';

/** Who has still to say that all is said, before anything that is not known may be swept. RFC 4724 §4.1. */
export class Sync {
	readonly #clock: Clock;
	readonly #waiting = new Set<string>();
	readonly #listeners: (() => void)[] = [];
	#timer: Timer | undefined = undefined;
	#begun = false;
	#done = false;
	#defers = false;

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	get inSync(): boolean {
		return this.#done;
	}

	/** Selection waits until then. */
	get defersSelection(): boolean {
		return this.#defers && !this.#done;
	}

	get waitingFor(): readonly string[] {
		return [...this.#waiting];
	}

	expect(names: readonly string[], timeoutSeconds: number, deferSelection: boolean): void {
		if (this.#done) return;
		this.#begun = true;
		this.#defers = deferSelection;
		for (const name of names) this.#waiting.add(name);
		this.#timer?.cancel();
		this.#timer = this.#clock.after(timeoutSeconds * 1000, () => {
			this.#waiting.clear();
			this.#check();
		});
		this.#check();
	}

	/** The peer has sent End-of-RIB for all families, or won't come. */
	complete(name: string): void {
		if (this.#waiting.delete(name)) this.#check();
	}

	onInSync(listener: () => void): void {
		if (this.#done) listener();
		else this.#listeners.push(listener);
	}

	#check(): void {
		if (this.#done || !this.#begun || this.#waiting.size > 0) return;
		this.#done = true;
		this.#timer?.cancel();
		for (const listener of this.#listeners.splice(0)) listener();
	}
}
