import { asPathLength, type PathAttributes } from 'bgp-packet';
import {
	familyOf,
	formatAddress,
	formatExtendedCommunity,
	type Prefix,
	parsePrefix,
	prefixContains,
} from '../../core/index.ts';
import { forwardingAddress } from '../model/next-hop.ts';
import type { Policy, PolicyMatch, PrefixMatch } from '../model/policy.ts';
import { compileRegularExpression } from './regular-expression.ts';
import type { PolicyInput, PolicyState } from './state.ts';
import { formatAsPath, parseCommunity, parseLargeCommunity, readExtendedCommunity } from './text.ts';

/**
 * Tests a prefix: its first `bits` bits are at the front of `address`, the bits behind them are
 * undefined.
 */
export type PrefixTest = (address: Uint8Array, bits: number) => boolean;

/** A test that does not depend on the prefix. */
export interface AttributeTest {
	readonly readsAttributes: boolean;
	readonly holds: (input: PolicyInput, state: PolicyState) => boolean;
}

type Range = { readonly min?: number; readonly max?: number };
const within = (value: number, { min = 0, max = Number.POSITIVE_INFINITY }: Range) => value >= min && value <= max;

/** The next hop as bytes, from NEXT_HOP or MP_REACH_NLRI. */
export const nextHopOf = ({ nextHop, mpReach }: PathAttributes): Uint8Array | undefined => nextHop ?? mpReach?.nextHop;

/** One row per match on the route; absent matches hold. */
const attributeMatches: {
	readonly [K in keyof PolicyMatch]?: (wanted: NonNullable<PolicyMatch[K]>) => (state: PolicyState) => boolean;
} = {
	communities(texts) {
		const wanted = texts.map(parseCommunity);
		return ({ attributes }) => wanted.every((value) => attributes.communities?.includes(value));
	},
	largeCommunities(texts) {
		const wanted = texts.map((text) => parseLargeCommunity(text).join(':'));
		return ({ attributes }) =>
			wanted.every((value) => attributes.largeCommunities?.some((present) => present.join(':') === value));
	},
	extendedCommunities(texts) {
		// Canonical text, independent of the notation.
		const wanted = texts.map((text) => formatExtendedCommunity(readExtendedCommunity(text)));
		return ({ attributes }) => {
			const present = attributes.extendedCommunities?.map(formatExtendedCommunity);
			return wanted.every((value) => present?.includes(value));
		};
	},
	asPathPrefix: (wanted) => (state) => {
		const path = sequenceOf(state.attributes);
		return wanted.every((asNumber, index) => path[index] === asNumber);
	},
	asPathMatches(source) {
		const test = compileRegularExpression(source);
		return ({ attributes }) => test(formatAsPath(attributes.asPath ?? []));
	},
	communityCount: (range) => (state) => within(state.attributes.communities?.length ?? 0, range),
	largeCommunityCount: (range) => (state) => within(state.attributes.largeCommunities?.length ?? 0, range),
	extendedCommunityCount: (range) => (state) => within(state.attributes.extendedCommunities?.length ?? 0, range),
	asPathLength: (range) => (state) => within(asPathLength(state.attributes.asPath ?? []), range),
	originAs: (wanted) => (state) => {
		const last = state.attributes.asPath?.at(-1)?.asNumbers ?? [];
		const ends = state.attributes.asPath?.at(-1)?.type === 'sequence' ? last.slice(-1) : last;
		return ends.some((asNumber) => wanted.includes(asNumber));
	},
	nextHop(keys) {
		const prefixes = keys.map((key) => parsePrefix(key));
		return ({ attributes }) => {
			const nextHop = nextHopOf(attributes);
			if (nextHop === undefined) return false;
			const bytes = forwardingAddress(nextHop);
			return prefixes.some((prefix) => prefixContains(prefix, { family: familyOf(bytes), bytes }));
		};
	},
	med: (range) => (state) => within(state.attributes.med ?? 0, range),
	localPref: (range) => (state) => within(state.attributes.localPref ?? 100, range),
};

/** True if one of these policies matches on interfaces. */
export function asksForInterface(policies: readonly Policy[] | undefined): boolean {
	return policies?.some(({ terms }) => terms.some(({ match }) => match.interface !== undefined)) === true;
}

type PatternPart =
	| { readonly type: 'text' }
	| { readonly type: 'any' }
	| { readonly type: 'exactly'; readonly character: string };

/**
 * BIRD's patterns: `*` is any text, `?` any character, a backslash escapes the next one. Only the
 * last `*` is retried, so that the time stays within the product of both lengths.
 */
export function compilePattern(pattern: string): (text: string) => boolean {
	const parts = Array.from(pattern.matchAll(/\\?./gs), ([part]): PatternPart => {
		if (part === '*') return { type: 'text' };
		return part === '?' ? { type: 'any' } : { type: 'exactly', character: part.at(-1) ?? '' };
	});
	return (text) => {
		let part = 0;
		let at = 0;
		let star = -1;
		let resumeAt = 0;
		while (at < text.length) {
			const wanted = parts[part];
			if (wanted?.type === 'text') {
				star = part++;
				resumeAt = at;
			} else if (wanted !== undefined && (wanted.type === 'any' || wanted.character === text[at])) {
				part++;
				at++;
			} else if (star >= 0) {
				part = star + 1;
				at = ++resumeAt;
			} else return false;
		}
		return parts.slice(part).every(({ type }) => type === 'text');
	};
}

/** All matches except prefixes. @throws CommunityError, AddressError, RegularExpressionError */
export function compileMatch(match: PolicyMatch): AttributeTest {
	const { family, source, peerType, peers, priority } = match;
	const tests: ((state: PolicyState) => boolean)[] = [];
	const ofInterface = match.interface === undefined ? undefined : compilePattern(match.interface);
	for (const [name, make] of Object.entries(attributeMatches)) {
		const wanted = match[name as keyof PolicyMatch];
		// The row of a field takes the value of that field.
		if (wanted !== undefined) tests.push((make as (wanted: unknown) => (state: PolicyState) => boolean)(wanted));
	}
	return {
		readsAttributes: tests.length > 0 || priority !== undefined || ofInterface !== undefined,
		holds: (input, state) =>
			(family === undefined || family === input.family) &&
			(source === undefined || source === input.source || (source === 'remote' && input.source !== 'local')) &&
			(peerType === undefined || peerType === input.peerType) &&
			(peers === undefined || (input.sourcePeer !== undefined && peers.includes(input.sourcePeer))) &&
			(priority === undefined || priority === state.priority) &&
			(ofInterface === undefined || ofInterface(input.interfaceName())) &&
			tests.every((test) => test(state)),
	};
}

/** True if one of these prefix matches holds. @throws AddressError */
export function compilePrefixes(matches: readonly PrefixMatch[]): (family: 'ipv4' | 'ipv6') => PrefixTest {
	const compiled = matches.map((match) => ({ match, prefix: parsePrefix(match.prefix, 'clear') }));
	return (family) => {
		const tests = compiled
			.filter(({ prefix }) => prefix.family === family)
			.map(({ match, prefix }) => prefixTest(match, prefix));
		return (address, bits) => tests.some((test) => test(address, bits));
	};
}

/**
 * Calico's operators: `in` is equal or more specific, with the length clamped to the requested
 * range.
 */
function prefixTest({ operator, length = {} }: PrefixMatch, prefix: Prefix): PrefixTest {
	const shortest = Math.max(prefix.length, length.min ?? 0);
	const longest = Math.min(prefix.bytes.length * 8, length.max ?? 128);
	const inside: PrefixTest = (address, bits) => bits >= shortest && bits <= longest && sharesBits(prefix, address);
	const equal: PrefixTest = (address, bits) =>
		bits === prefix.length && bits >= shortest && bits <= longest && sharesBits(prefix, address);
	switch (operator) {
		case 'in':
			return inside;
		case 'not-in':
			return (address, bits) => !inside(address, bits);
		case 'equal':
			return equal;
		case 'not-equal':
			return (address, bits) => !equal(address, bits);
		default:
			return operator satisfies never;
	}
}

function sharesBits({ bytes, length }: Prefix, address: Uint8Array): boolean {
	const whole = length >> 3;
	for (let index = 0; index < whole; index++) if (bytes[index] !== address[index]) return false;
	const rest = length & 7;
	return rest === 0 || (((bytes[whole] ?? 0) ^ (address[whole] ?? 0)) & (0xff00 >> rest) & 0xff) === 0;
}

/** The AS numbers of a path in order, up to its first set. */
function sequenceOf({ asPath = [] }: PathAttributes): readonly number[] {
	const numbers: number[] = [];
	for (const { type, asNumbers } of asPath) {
		if (type !== 'sequence') break;
		numbers.push(...asNumbers);
	}
	return numbers;
}

/** Formats an address of 4, 16 or 32 bytes for output. */
export const formatNextHop = (bytes: Uint8Array): string => formatAddress(forwardingAddress(bytes));
