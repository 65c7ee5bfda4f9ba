/**
 * The word of `known` that `given` probably stands for: an edit distance of at most two, ignoring
 * case.
 */
export function nearest(given: string, known: readonly string[]): string | undefined {
	const scored = known
		.map((word) => ({ word, distance: editDistance(given.toLowerCase(), word.toLowerCase()) }))
		.filter(({ word, distance }) => distance <= Math.min(2, word.length / 3))
		.toSorted((left, right) => left.distance - right.distance);
	return scored[0]?.word;
}

/** Levenshtein's distance. */
function editDistance(left: string, right: string): number {
	let row = Array.from({ length: right.length + 1 }, (_, index) => index);
	for (let at = 1; at <= left.length; at++) {
		const next = [at];
		for (let to = 1; to <= right.length; to++) {
			const replaced = (row[to - 1] ?? 0) + (left[at - 1] === right[to - 1] ? 0 : 1);
			next.push(Math.min(replaced, (row[to] ?? 0) + 1, (next[to - 1] ?? 0) + 1));
		}
		row = next;
	}
	return row[right.length] ?? 0;
}
