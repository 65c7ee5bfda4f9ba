import type { Clock, Timer } from '../../core/index.ts';

/**
 * Initial convergence, in two steps. After our restart, selection is deferred until End-of-RIB of
 * those peers that did not restart themselves: peers that restart together would otherwise wait for
 * each other (RFC 4724 §4.1). The kernel is not swept before every expected peer has sent
 * End-of-RIB, restarted ones included. One timer limits both.
 */
export class Sync {
	readonly #clock: Clock;
	/**
	 * Peers whose End-of-RIB is required before the sweep, and those of them that selection waits
	 * for.
	 */
	readonly #waiting = new Set<string>();
	readonly #deferring = new Set<string>();
	readonly #listeners: (() => void)[] = [];
	readonly #selectable: () => void;
	#timer: Timer | undefined = undefined;
	#begun = false;
	#done = false;
	#defers = false;

	/** `selectable` is called when deferred selection may start. */
	constructor(clock: Clock, selectable: () => void) {
		this.#clock = clock;
		this.#selectable = selectable;
	}

	get inSync(): boolean {
		return this.#done;
	}

	/** True while selection is deferred. */
	get defersSelection(): boolean {
		return this.#defers;
	}

	get waitingFor(): readonly string[] {
		return [...this.#waiting];
	}

	expect(names: readonly string[], timeoutSeconds: number, deferSelection: boolean): void {
		if (this.#done) return;
		this.#begun = true;
		this.#defers = deferSelection;
		for (const name of names) {
			this.#waiting.add(name);
			this.#deferring.add(name);
		}
		this.#timer?.cancel();
		this.#timer = this.#clock.after(timeoutSeconds * 1000, () => {
			this.#waiting.clear();
			this.#deferring.clear();
			this.#check();
		});
		this.#check();
	}

	/** The peer has sent End-of-RIB for all families. */
	complete(name: string): void {
		this.#deferring.delete(name);
		this.#waiting.delete(name);
		this.#check();
	}

	/**
	 * Selection does not wait for this peer: it restarts as well, or has no graceful restart and
	 * need not send End-of-RIB (RFC 4724 §4.1).
	 */
	exclude(name: string): void {
		if (this.#deferring.delete(name)) this.#check();
	}

	onInSync(listener: () => void): void {
		if (this.#done) listener();
		else this.#listeners.push(listener);
	}

	#check(): void {
		if (this.#done || !this.#begun) return;
		if (this.#defers && this.#deferring.size === 0) {
			this.#defers = false;
			this.#selectable();
		}
		if (this.#waiting.size > 0) return;
		this.#done = true;
		this.#timer?.cancel();
		for (const listener of this.#listeners.splice(0)) listener();
	}
}
