import { z } from 'zod';
import { regularExpressionProblem } from '../bgp/index.ts';
import {
	address,
	asNumber,
	community,
	expects,
	extendedCommunity,
	integer,
	interfacePattern,
	key,
	largeCommunity,
	list,
	oneOf,
	prefix,
	word,
} from '../schema/index.ts';

const u32 = integer(0, 0xffff_ffff);
const range = (most: number) =>
	expects(
		z.strictObject({ min: integer(0, most).exactOptional(), max: integer(0, most).exactOptional() }),
		'bounds such as { min: 1, max: 5 }',
	);

const prefixMatch = expects(
	z.union([
		prefix.transform((only) => ({ prefix: only, operator: 'in' as const })),
		z.strictObject({
			prefix,
			operator: oneOf('equal', 'not-equal', 'in', 'not-in').default('in'),
			length: range(128).exactOptional(),
		}),
	]),
	'a prefix (it and everything inside it), or { prefix, operator: equal | not-equal | in | ' +
		'not-in, length: { min, max } }',
);

const regularExpression = expects(
	z.string().refine((text) => regularExpressionProblem(text) === undefined),
	'a regular expression over the AS path, such as ^64999( |$), without lookaround and backreferences',
);

const match = z.strictObject({
	prefixes: key(list(prefixMatch, 'prefixes').exactOptional(), 'any of these prefixes', 'routes'),
	source: key(
		oneOf('internal', 'external', 'local', 'remote').exactOptional(),
		'where this node has the route from',
		'routes',
	),
	peerType: key(
		oneOf('internal', 'external').exactOptional(),
		'the kind of peer that the policy is applied for',
		'routes',
	),
	communities: key(list(community, 'communities').exactOptional(), 'all of these are present', 'routes'),
	largeCommunities: key(
		list(largeCommunity, 'large communities').exactOptional(),
		'all of these are present',
		'routes',
	),
	extendedCommunities: key(
		list(extendedCommunity, 'extended communities').exactOptional(),
		'all of these are present',
		'routes',
	),
	asPathPrefix: key(list(asNumber, 'AS numbers').exactOptional(), 'the AS path begins with these', 'routes'),
	asPathMatches: key(regularExpression.exactOptional(), "matches the AS path's text", 'routes'),
	communityCount: key(range(65535).exactOptional(), 'the number of communities is within the bounds', 'routes'),
	largeCommunityCount: key(
		range(65535).exactOptional(),
		'the number of large communities is within the bounds',
		'routes',
	),
	extendedCommunityCount: key(
		range(65535).exactOptional(),
		'the number of extended communities is within the bounds',
		'routes',
	),
	asPathLength: key(range(65535).exactOptional(), 'the number of AS hops', 'routes'),
	originAs: key(list(asNumber, 'AS numbers').exactOptional(), 'the route comes from one of these', 'routes'),
	nextHop: key(list(prefix, 'prefixes').exactOptional(), 'the next hop is in one of these', 'routes'),
	med: key(range(0xffff_ffff).exactOptional(), 'MULTI_EXIT_DISC is within the bounds', 'routes'),
	localPref: key(range(0xffff_ffff).exactOptional(), 'LOCAL_PREF is within the bounds', 'routes'),
	interface: key(
		interfacePattern.exactOptional(),
		'the interface that leads to the next hop: `*` is any text, `?` any character; with ' +
			'`bgp.nextHopTracking` off, and for routes of this node, only `*` matches',
		'routes',
	),
	peers: key(list(word, 'peer names').exactOptional(), 'the route was learned from one of these', 'routes'),
	priority: key(integer(0, 0xffff_ffff).exactOptional(), 'the kernel metric of the route', 'routes'),
});

const operation = expects(
	z.discriminatedUnion('type', [
		z.strictObject({ type: z.literal('add-community'), value: community }),
		z.strictObject({ type: z.literal('remove-community'), value: community }),
		z.strictObject({ type: z.literal('set-communities'), values: list(community, 'communities') }),
		z.strictObject({ type: z.literal('add-large-community'), value: largeCommunity }),
		z.strictObject({ type: z.literal('remove-large-community'), value: largeCommunity }),
		z.strictObject({ type: z.literal('set-large-communities'), values: list(largeCommunity, 'large communities') }),
		z.strictObject({ type: z.literal('add-extended-community'), value: extendedCommunity }),
		z.strictObject({ type: z.literal('remove-extended-community'), value: extendedCommunity }),
		z.strictObject({
			type: z.literal('set-extended-communities'),
			values: list(extendedCommunity, 'extended communities'),
		}),
		z.strictObject({ type: z.literal('prepend-as-path'), asNumbers: list(asNumber, 'AS numbers') }),
		z.strictObject({ type: z.literal('set-med'), value: u32 }),
		z.strictObject({ type: z.literal('remove-med') }).transform(() => ({ type: 'set-med' as const, value: undefined })),
		z.strictObject({ type: z.literal('add-med'), value: integer(-0x8000_0000, 0x7fff_ffff) }),
		z.strictObject({ type: z.literal('set-local-pref'), value: u32 }),
		z.strictObject({
			type: z.literal('set-next-hop'),
			value: expects(z.union([z.enum(['self', 'keep']), address]), 'self, keep or an address'),
		}),
		z.strictObject({ type: z.literal('set-origin'), value: oneOf('igp', 'egp', 'incomplete') }),
		z.strictObject({ type: z.literal('set-priority'), value: u32 }),
	]),
	'an operation such as { type: set-med, value: 50 }',
);

const term = expects(
	z.strictObject({
		name: key(word.exactOptional(), 'shown where the term decides', 'live'),
		match: key(match.prefault({}), 'all of these must hold; without any, every route matches', 'routes'),
		action: key(oneOf('accept', 'reject', 'continue'), 'what happens to a route that matches', 'routes'),
		operations: key(
			list(operation, 'operations').default([]),
			'applied to a route that matches, `reject` aside',
			'routes',
		),
	}),
	'a term such as { match: { prefixes: [10.0.0.0/8] }, action: accept }',
);

/** One policy of the file; its name is its key in the map. */
export const policySchema = expects(
	z.strictObject({
		terms: key(list(term, 'terms').default([]), 'in order; the first one that accepts or rejects decides', 'routes'),
		otherwise: key(
			oneOf('accept', 'reject', 'next').default('next'),
			'what happens to a route that no term decided; `next`: the next policy of the list is asked, ' +
				'and behind the last one it is rejected',
			'routes',
		),
	}),
	'a policy such as { terms: [...], otherwise: accept }',
);
