import type { Clock } from '../../core/index.ts';

/** Maximum duration of service before the event loop gets its turn. */
const sliceMs = 2;
/** A shorter round needs no pause. */
const shortMs = 1;
const longestPauseMs = 50;
const membersBetweenLooks = 16;

/** Serves a member, and acts after a round. */
interface RoundsDependencies<T> {
	readonly members: ReadonlyMap<number, T>;
	readonly visit: (member: T) => void;
	readonly end: () => void;
	readonly clock: Clock;
	/** Queues work for a later turn of the event loop. */
	readonly later: (step: () => boolean) => void;
}

/**
 * Serves all members of a group on request, at once if possible. After a round it pauses for the
 * duration of the round: with thousands of members and a table that changes continuously, the
 * changes in the meantime are sent in one write per member, instead of one write per member and
 * change.
 */
export class Rounds<T> {
	readonly #dependencies: RoundsDependencies<T>;
	#rest: Iterator<T> | undefined = undefined;
	/** True during a round and the pause after it. */
	#busy = false;
	#wanted = false;
	#spentMs = 0;

	constructor(dependencies: RoundsDependencies<T>) {
		this.#dependencies = dependencies;
	}

	/** Serves all members now or soon; those that the current round has passed, in the next one. */
	request(): void {
		if (this.#busy) this.#wanted = true;
		else this.#begin();
	}

	#begin(): void {
		this.#busy = true;
		this.#wanted = false;
		this.#spentMs = 0;
		this.#rest = this.#dependencies.members.values();
		if (this.#step()) this.#dependencies.later(() => this.#step());
	}

	/** `true`: more members are left. After an exception the next request begins a new round. */
	#step(): boolean {
		try {
			return this.#serve();
		} catch (error) {
			this.#rest = undefined;
			this.#busy = false;
			throw error;
		}
	}

	#serve(): boolean {
		const { clock, visit } = this.#dependencies;
		const start = clock.monotonicMs();
		let untilLook = membersBetweenLooks;
		for (let next = this.#rest?.next(); next !== undefined && next.done !== true; next = this.#rest?.next()) {
			visit(next.value);
			if (--untilLook > 0) continue;
			untilLook = membersBetweenLooks;
			const elapsed = clock.monotonicMs() - start;
			if (elapsed < sliceMs) continue;
			this.#spentMs += elapsed;
			return true;
		}
		this.#spentMs += clock.monotonicMs() - start;
		this.#rest = undefined;
		this.#dependencies.end();
		if (this.#spentMs >= shortMs) clock.after(Math.min(this.#spentMs, longestPauseMs), () => this.#rested());
		else this.#rested();
		return false;
	}

	#rested(): void {
		this.#busy = false;
		if (this.#wanted) this.#begin();
	}
}
