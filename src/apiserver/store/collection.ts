import type { Stored, Version } from './version.ts';

/** The position of a key in a sorted list, present or not. */
function lowerBound(keys: readonly string[], key: string): number {
	let low = 0;
	let high = keys.length;
	while (low < high) {
		const middle = (low + high) >>> 1;
		if ((keys[middle] ?? '') < key) low = middle + 1;
		else high = middle;
	}
	return low;
}

/** The objects of one resource, each with the versions in the history. */
export class Collection {
	readonly #histories = new Map<string, Version[]>();
	/** Sorted; deleted keys remain while the history has them. */
	readonly #keys: string[] = [];

	/** The newest version at or before `revision`; a deletion is a version, too. */
	version(key: string, revision: number): Version | undefined {
		const history = this.#histories.get(key);
		if (history === undefined) return undefined;
		for (let index = history.length - 1; index >= 0; index--) {
			const version = history[index];
			if (version !== undefined && version.revision <= revision) return version;
		}
		return undefined;
	}

	/** Adds a version; revisions only grow. Returns the previous version. */
	push(key: string, version: Version): Version | undefined {
		const history = this.#histories.get(key);
		if (history !== undefined) {
			const previous = history.at(-1);
			history.push(version);
			return previous;
		}
		this.#histories.set(key, [version]);
		const last = this.#keys.at(-1);
		if (last === undefined || last < key) this.#keys.push(key);
		else this.#keys.splice(lowerBound(this.#keys, key), 0, key);
		return undefined;
	}

	/** Removes the newest version of a key after a failed write. */
	pop(key: string): void {
		const history = this.#histories.get(key);
		history?.pop();
		if (history?.length === 0) this.#forget(key);
	}

	/** Discards versions of a key that were superseded at or before `revision`. */
	compact(key: string, revision: number): void {
		const history = this.#histories.get(key);
		if (history === undefined) return;
		let keepFrom = 0;
		while ((history[keepFrom + 1]?.revision ?? Number.POSITIVE_INFINITY) <= revision) keepFrom++;
		const oldest = history[keepFrom];
		if (oldest?.value === undefined && oldest !== undefined && oldest.revision <= revision) keepFrom++;
		if (keepFrom > 0) history.splice(0, keepFrom);
		if (history.length === 0) this.#forget(key);
	}

	/** The objects at `revision` in key order: those with `prefix`, at or after `from`. */
	*scan(prefix: string, from: string, revision: number): Generator<Stored> {
		const start = lowerBound(this.#keys, from > prefix ? from : prefix);
		for (let index = start; index < this.#keys.length; index++) {
			const key = this.#keys[index] ?? '';
			if (!key.startsWith(prefix)) return;
			const version = this.version(key, revision);
			if (version?.value !== undefined) yield stored(key, version, version.value);
		}
	}

	#forget(key: string): void {
		this.#histories.delete(key);
		const index = lowerBound(this.#keys, key);
		if (this.#keys[index] === key) this.#keys.splice(index, 1);
	}
}

/** A version with its key; `value` is the version's own. */
export function stored(key: string, version: Version, value: NonNullable<Version['value']>): Stored {
	return {
		key,
		revision: version.revision,
		value,
		get text() {
			return version.text;
		},
	};
}
