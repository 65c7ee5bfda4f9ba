import type { AsPath } from 'bgp-packet';

/**
 * Prepends `asNumbers` to a path: into its first segment if that is a sequence with room. RFC 4271
 * §5.1.2.
 */
export function prepended(asNumbers: readonly number[], asPath: AsPath = []): AsPath {
	const [first, ...rest] = asPath;
	return first?.type === 'sequence' && first.asNumbers.length + asNumbers.length <= 255
		? [{ type: 'sequence', asNumbers: [...asNumbers, ...first.asNumbers] }, ...rest]
		: [...segments(asNumbers), ...asPath];
}

/** The number of AS numbers in a path, including those of sets. */
export function hopsOf(asPath: AsPath = []): number {
	return asPath.reduce((count, { asNumbers }) => count + asNumbers.length, 0);
}

/** A segment has at most 255 numbers (RFC 4271 §4.3). */
function segments(asNumbers: readonly number[]): AsPath {
	const count = Math.ceil(asNumbers.length / 255);
	return Array.from({ length: count }, (_, index) => ({
		type: 'sequence',
		asNumbers: asNumbers.slice(index * 255, index * 255 + 255),
	}));
}
