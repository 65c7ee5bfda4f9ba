import { inSlices, type Steps } from '../core/index.ts';
import type { PrefixState } from './prefix-table.ts';

/** What the next pass has to do: prefixes to compare, and lists to read from the kernel. */
export class Pending {
	#dirty: PrefixState[] = [];
	/** The number of the present list: a state holds that of the last one with it. */
	#number = 1;
	/** All prefixes are dirty: the next pass adds them in slices. */
	#all = false;
	#wantsAudit = true;
	#wantsForeign = true;

	get isEmpty(): boolean {
		return !this.#wantsAudit && !this.#wantsForeign && !this.#all && this.#dirty.length === 0;
	}
	/** Our routes are to be read. */
	get wantsAudit(): boolean {
		return this.#wantsAudit;
	}
	/** The routes of other programs are to be read. */
	get wantsForeign(): boolean {
		return this.#wantsForeign;
	}

	add(state: PrefixState): void {
		if (state.pendingIn === this.#number) return;
		state.pendingIn = this.#number;
		this.#dirty.push(state);
	}

	/** True if the prefix was added since the last `take`. */
	has(state: PrefixState): boolean {
		return state.pendingIn === this.#number;
	}

	addAll(): void {
		this.#all = true;
	}

	wantAudit(): void {
		this.#wantsAudit = true;
	}

	wantForeign(): void {
		this.#wantsForeign = true;
	}

	/** The read of our routes begins: a later wish is a new one. */
	auditBegins(): void {
		this.#wantsAudit = false;
	}

	foreignBegins(): void {
		this.#wantsForeign = false;
	}

	/** Number of dirty prefixes; `all`: their number if all are. */
	size(all: number): number {
		return Math.max(this.#dirty.length, this.#all ? all : 0);
	}

	/** Takes the dirty prefixes, each once; `every` yields all prefixes, if all are dirty. */
	async take(every: () => Iterable<PrefixState>): Promise<readonly PrefixState[]> {
		if (this.#all) {
			this.#all = false;
			await inSlices(this.#addEach(every()));
		}
		const taken = this.#dirty;
		this.#dirty = [];
		this.#number++;
		return taken;
	}

	*#addEach(states: Iterable<PrefixState>): Steps<void> {
		let seen = 0;
		for (const state of states) {
			this.add(state);
			if (++seen % 256 === 0) yield;
		}
	}
}
