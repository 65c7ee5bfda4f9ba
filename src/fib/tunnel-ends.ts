import type { PrefixKey } from '../core/index.ts';
import type { KernelRoute } from './kernel.ts';

/** The remote tunnel addresses of desired routes, with counts. */
export class TunnelEnds {
	readonly #byPrefix = new Map<PrefixKey, readonly string[]>();
	readonly #counts = new Map<string, number>();
	readonly #onChange: ((addresses: ReadonlySet<string>) => void) | undefined;
	/** Of routes of a previous run: they count until all sources are in sync. */
	#inherited: ReadonlySet<string> = new Set();
	/** The first report is due even if the set is empty. */
	#changed = true;

	constructor(onChange: ((addresses: ReadonlySet<string>) => void) | undefined) {
		this.#onChange = onChange;
	}

	set(prefix: PrefixKey, ends: readonly string[] | undefined): void {
		if (this.#onChange === undefined || (ends === undefined && this.#byPrefix.size === 0)) return;
		const before = this.#byPrefix.get(prefix);
		if (before === ends || before?.join() === ends?.join()) return;
		for (const end of before ?? []) this.#count(end, -1);
		if (ends === undefined) this.#byPrefix.delete(prefix);
		else {
			this.#byPrefix.set(prefix, ends);
			for (const end of ends) this.#count(end, 1);
		}
	}

	/** Sets the tunnel ends of routes of a previous run; none after all sources are in sync. */
	inherit(routes: Iterable<readonly KernelRoute[]>): void {
		const inherited = new Set<string>();
		for (const ofPrefix of routes)
			for (const { via, onlink } of ofPrefix) if (onlink && via !== undefined) inherited.add(via);
		this.#inherited = inherited;
		this.#changed = true;
	}

	/** Reports the addresses if they have changed since the last report. */
	tell(): void {
		if (!this.#changed) return;
		this.#changed = false;
		this.#onChange?.(new Set([...this.#counts.keys(), ...this.#inherited]));
	}

	#count(end: string, by: 1 | -1): void {
		const count = (this.#counts.get(end) ?? 0) + by;
		if (count === 0) this.#counts.delete(end);
		else this.#counts.set(end, count);
		if (count === 0 || (count === 1 && by === 1)) this.#changed = true;
	}
}
