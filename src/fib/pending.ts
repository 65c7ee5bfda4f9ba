import { inSlices, type PrefixKey } from '../core/index.ts';
import { addAll } from './slices.ts';

/** What the next pass has to do: prefixes to compare, and lists to read from the kernel. */
export class Pending {
	#dirty = new Set<PrefixKey>();
	/** All prefixes are dirty: the next pass adds them in slices. */
	#all = false;
	#wantsAudit = true;
	#wantsForeign = true;

	get isEmpty(): boolean {
		return !this.#wantsAudit && !this.#wantsForeign && !this.#all && this.#dirty.size === 0;
	}
	/** Our routes are to be read. */
	get wantsAudit(): boolean {
		return this.#wantsAudit;
	}
	/** The routes of other programs are to be read. */
	get wantsForeign(): boolean {
		return this.#wantsForeign;
	}

	add(prefix: PrefixKey): void {
		this.#dirty.add(prefix);
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
		return Math.max(this.#dirty.size, this.#all ? all : 0);
	}

	/** Takes the dirty prefixes; `every` yields all prefixes, if all are dirty. */
	async take(every: () => Iterable<PrefixKey>): Promise<ReadonlySet<PrefixKey>> {
		if (this.#all) {
			this.#all = false;
			await inSlices(addAll(this.#dirty, every()));
		}
		const taken = this.#dirty;
		this.#dirty = new Set();
		return taken;
	}
}
