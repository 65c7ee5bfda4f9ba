import { findWay, type Way } from './desired.ts';
import type { ForeignRoute } from './kernel.ts';

/** The ways to next hops by the routes of others, each worked out once. */
export class Ways {
	#foreign: readonly ForeignRoute[] = [];
	readonly #known = new Map<string, Way | undefined>();

	/** Somebody has asked for a way: the routes of others matter. */
	get used(): boolean {
		return this.#known.size > 0;
	}

	to(nextHop: string): Way | undefined {
		if (this.#known.has(nextHop)) return this.#known.get(nextHop);
		const way = findWay(nextHop, this.#foreign);
		this.#known.set(nextHop, way);
		return way;
	}

	/** Takes over the routes of others; the next hops whose way is another now. */
	learn(foreign: readonly ForeignRoute[]): ReadonlySet<string> {
		this.#foreign = foreign;
		const moved = new Set<string>();
		for (const [nextHop, before] of this.#known) {
			const way = findWay(nextHop, foreign);
			if (way?.via === before?.via && way?.device === before?.device) continue;
			this.#known.set(nextHop, way);
			moved.add(nextHop);
		}
		return moved;
	}
}
