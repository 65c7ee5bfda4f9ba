import { type BpfMap, MapFullError } from '../kernel/map.ts';
import type { LoadedProgram } from '../kernel/program.ts';

/** A number of the machine, as in keys and values of arrays. */
const word = (number: number): Uint8Array => new Uint8Array(Uint32Array.of(number).buffer);

/**
 * The array of programs with rules. Programs of one chain lie one behind the other. A place that is
 * given up is emptied one change later, so that a packet that is on its way there finds its
 * program.
 */
export class ProgramSlots {
	readonly #map: BpfMap;
	readonly #used: Uint8Array;
	#retired: { readonly first: number; readonly count: number }[] = [];

	constructor(map: BpfMap) {
		this.#map = map;
		this.#used = new Uint8Array(map.definition.entries);
	}

	/** Places that an earlier process filled are given up. @throws SystemCallError */
	adopt(): void {
		for (let slot = 0; slot < this.#used.length; slot++)
			if (this.#used[slot] === 0 && this.isFilled(slot, 1)) {
				this.#used[slot] = 1;
				this.retire(slot, 1);
			}
	}

	/** Are there programs in all of these places? @throws SystemCallError */
	isFilled(first: number, count: number): boolean {
		for (let slot = first; slot < first + count; slot++) if (this.#map.get(word(slot)) === undefined) return false;
		return true;
	}

	/** The place of the first one. @throws MapFullError, SystemCallError */
	place(programs: readonly LoadedProgram[]): number {
		const first = this.#find(programs.length);
		for (const [index, program] of programs.entries()) {
			this.#map.set(word(first + index), word(program.fd));
			this.#used[first + index] = 1;
		}
		return first;
	}

	/** No endpoint refers to these places any more. */
	retire(first: number, count: number): void {
		this.#retired.push({ first, count });
	}

	/** Empties the places that were given up before. @throws SystemCallError */
	sweep(): void {
		for (const { first, count } of this.#retired)
			for (let slot = first; slot < first + count; slot++) {
				this.#map.delete(word(slot));
				this.#used[slot] = 0;
			}
		this.#retired = [];
	}

	#find(count: number): number {
		for (let first = 0, free = 0; first + free < this.#used.length; ) {
			if (this.#used[first + free] !== 0) {
				first += free + 1;
				free = 0;
			} else if (++free >= count) return first;
		}
		throw new MapFullError(this.#map.definition);
	}
}
