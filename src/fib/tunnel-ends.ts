import type { PrefixKey } from '../core/index.ts';
import type { KernelRoute } from './kernel.ts';

/** The addresses that wanted routes tunnel to, counted. */
export class TunnelEnds {
	readonly #byPrefix = new Map<PrefixKey, string>();
	readonly #counts = new Map<string, number>();
	readonly #onChange: ((addresses: ReadonlySet<string>) => void) | undefined;
	/** Of routes that a former life left: they count until all is in sync. */
	#inherited: ReadonlySet<string> = new Set();
	/** The first telling is due even where there is nothing to tell. */
	#changed = true;

	constructor(onChange: ((addresses: ReadonlySet<string>) => void) | undefined) {
		this.#onChange = onChange;
	}

	set(prefix: PrefixKey, end: string | undefined): void {
		if (this.#onChange === undefined) return;
		const before = this.#byPrefix.get(prefix);
		if (before === end) return;
		if (before !== undefined) this.#count(before, -1);
		if (end === undefined) this.#byPrefix.delete(prefix);
		else {
			this.#byPrefix.set(prefix, end);
			this.#count(end, 1);
		}
	}

	/** The ends of tunnel routes that were there before us; none once all is in sync. */
	inherit(routes: Iterable<readonly KernelRoute[]>): void {
		this.#inherited = new Set([...routes].flat().flatMap(({ via, onlink }) => (onlink && via !== undefined ? [via] : [])));
		this.#changed = true;
	}

	/** Tells the addresses, where they changed since the last time. */
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
