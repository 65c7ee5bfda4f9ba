import { type PrefixState, routesOf } from './prefix-table.ts';

/** The remote tunnel addresses of desired routes, with counts. */
export class TunnelEnds {
	readonly #counts = new Map<string, number>();
	readonly #onChange: ((addresses: ReadonlySet<string>) => void) | undefined;
	/** Of routes of a previous run: they count until all sources are in sync. */
	#inherited: ReadonlySet<string> = new Set();
	/** The first report is due even if the set is empty. */
	#changed = true;

	constructor(onChange: ((addresses: ReadonlySet<string>) => void) | undefined) {
		this.#onChange = onChange;
	}

	/** Sets the tunnel ends of the desired route of a prefix. */
	set(state: PrefixState, ends: readonly string[] | undefined): void {
		if (this.#onChange === undefined) return;
		const before = state.tunnelEnds;
		if (before === ends || before?.join() === ends?.join()) return;
		state.tunnelEnds = ends;
		for (const end of before ?? []) this.#count(end, -1);
		for (const end of ends ?? []) this.#count(end, 1);
	}

	/** Sets the tunnel ends of routes of a previous run; none after all sources are in sync. */
	inherit(states: Iterable<PrefixState>): void {
		const inherited = new Set<string>();
		for (const state of states)
			for (const { via, onlink } of routesOf(state)) if (onlink && via !== undefined) inherited.add(via);
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
