import { asTrans } from '../constants.ts';
import type { Aggregator } from './aggregator.ts';
import type { AsPath, AsSegment } from './as-path.ts';

const inConfederation = ({ type }: AsSegment) => type === 'confed-sequence' || type === 'confed-set';

/**
 * Hops of a path: a set counts 1, confederation segments 0. RFC 4271 §9.1.2.2 (a), RFC 5065 §5.3.
 */
export function asPathLength(path: AsPath): number {
	let length = 0;
	for (const segment of path)
		if (!inConfederation(segment)) length += segment.type === 'set' ? 1 : segment.asNumbers.length;
	return length;
}

/**
 * The real path behind what a speaker of 2-octet AS numbers sent. RFC 6793 §4.2.3: AS4_PATH is
 * believed only where AS_PATH is at least as long; then the leading part of AS_PATH stands before
 * it.
 */
export function mergeAs4Path(path: AsPath, as4Path: AsPath | undefined): AsPath {
	if (as4Path === undefined) return path;
	let leading = asPathLength(path) - asPathLength(as4Path);
	if (leading < 0) return path;
	const merged: AsSegment[] = [];
	for (const segment of path) {
		if (inConfederation(segment)) {
			// A confederation segment stays only if it leads or follows one that is kept.
			if (leading > 0 || merged.every(inConfederation)) merged.push(segment);
			continue;
		}
		if (leading <= 0) break;
		if (segment.type === 'set') {
			merged.push(segment);
			leading -= 1;
		} else {
			const kept = segment.asNumbers.slice(0, leading);
			merged.push({ type: segment.type, asNumbers: kept });
			leading -= kept.length;
		}
	}
	const [first, ...rest] = as4Path;
	const last = merged.at(-1);
	// Two sequences that meet are one: 10 23456 | 70000 80000 is the path 10 70000 80000.
	if (
		last?.type === 'sequence' &&
		first?.type === 'sequence' &&
		last.asNumbers.length + first.asNumbers.length <= 255
	) {
		return [...merged.slice(0, -1), { type: 'sequence', asNumbers: [...last.asNumbers, ...first.asNumbers] }, ...rest];
	}
	return [...merged, ...as4Path];
}

/** What `merge` yields for the four attributes of RFC 6793. */
export interface MergedAs {
	readonly asPath: AsPath | undefined;
	readonly aggregator: Aggregator | undefined;
}

/** RFC 6793 §4.2.3, for attributes from a speaker of 2-octet AS numbers. */
export function mergeAs4(given: {
	readonly asPath?: AsPath | undefined;
	readonly aggregator?: Aggregator | undefined;
	readonly as4Path?: AsPath | undefined;
	readonly as4Aggregator?: Aggregator | undefined;
}): MergedAs {
	const { asPath, aggregator, as4Path, as4Aggregator } = given;
	// Someone without 4-octet AS numbers aggregated after AS4_AGGREGATOR was set: both AS4 attributes
	// are old.
	if (aggregator !== undefined && as4Aggregator !== undefined && aggregator.asNumber !== asTrans)
		return { asPath, aggregator };
	return {
		asPath: asPath === undefined ? undefined : mergeAs4Path(asPath, as4Path),
		aggregator: aggregator === undefined ? undefined : (as4Aggregator ?? aggregator),
	};
}

/**
 * AS4_PATH for a speaker of 2-octet AS numbers; `undefined` where all numbers fit. RFC 6793 §4.2.2.
 */
export function as4PathFor(path: AsPath): AsPath | undefined {
	if (!path.some(({ asNumbers }) => asNumbers.some((asNumber) => asNumber > 0xffff))) return undefined;
	const real = path.filter((segment) => !inConfederation(segment));
	return real.some(({ asNumbers }) => asNumbers.length > 0) ? real : undefined;
}
