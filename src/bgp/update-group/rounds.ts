import type { Clock } from '../../core/index.ts';

/** How long the members of one round are served before the event loop gets its turn. */
const sliceMs = 2;
/** A round that took less is not worth a pause. */
const shortMs = 1;
const longestPauseMs = 50;
const membersBetweenLooks = 16;

/** What serves a member, and what follows a round. */
export interface RoundWork<T> {
	readonly members: ReadonlyMap<number, T>;
	readonly visit: (member: T) => void;
	readonly end: () => void;
	readonly clock: Clock;
	/** Queues work for a later turn of the event loop. */
	readonly later: (step: () => boolean) => void;
}

/**
 * Serves all members of a group whenever somebody asks, at once if it can. After a round it rests as long as the round took: where
 * there are thousands of members and the table changes all the time, what changed meanwhile goes out together in one write a
 * member, instead of one write a member and change.
 */
export class Rounds<T> {
	readonly #work: RoundWork<T>;
	#rest: Iterator<T> | undefined = undefined;
	/** In a round, or resting after one. */
	#busy = false;
	#wanted = false;
	#spentMs = 0;

	constructor(work: RoundWork<T>) {
		this.#work = work;
	}

	/** Everybody is served now or soon; who was served in a round that is not over yet, in the next one. */
	request(): void {
		if (this.#busy) this.#wanted = true;
		else this.#begin();
	}

	#begin(): void {
		this.#busy = true;
		this.#wanted = false;
		this.#spentMs = 0;
		this.#rest = this.#work.members.values();
		if (this.#step()) this.#work.later(() => this.#step());
	}

	/** `true`: there are more. */
	#step(): boolean {
		const { clock, visit } = this.#work;
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
		this.#work.end();
		if (this.#spentMs >= shortMs) clock.after(Math.min(this.#spentMs, longestPauseMs), () => this.#rested());
		else this.#rested();
		return false;
	}

	#rested(): void {
		this.#busy = false;
		if (this.#wanted) this.#begin();
	}
}
