import type { Family, PrefixKey } from '../../core/index.ts';

/**
 * Policy as data: ordered terms. Within a term all matches must hold (an absent match holds). The
 * first matching term whose action is not `continue` decides. Operations of a matching term are
 * applied for each action except `reject`. Matches and operations include those of Calico's
 * BGPFilter, so that one BGPFilter rule becomes exactly one term. A list of policies is evaluated
 * in order: a route without a decision, `otherwise` included, continues with the next policy and
 * the operations so far; without any decision it is rejected.
 */
export interface Policy {
	readonly name: string;
	readonly terms: readonly PolicyTerm[];
	/**
	 * The action for a route without a matching term; `next`: the next policy of the list decides.
	 */
	readonly otherwise: 'accept' | 'reject' | 'next';
}

export interface PolicyTerm {
	readonly name?: string;
	readonly match: PolicyMatch;
	readonly action: 'accept' | 'reject' | 'continue';
	readonly operations: readonly PolicyOperation[];
}

export interface PolicyMatch {
	/** Only routes of this family. */
	readonly family?: Family;
	/**
	 * Any of these; a prefix of another family never matches, negated operators included. `in`:
	 * equal or more specific (Calico's `In`), clamped by `length`.
	 */
	readonly prefixes?: readonly PrefixMatch[];
	readonly source?: 'internal' | 'external' | 'local' | 'remote';
	/** The type of the peer that the policy applies to (or from, on import). */
	readonly peerType?: 'internal' | 'external';
	/** All of these are present, `65000:100`. */
	readonly communities?: readonly string[];
	/** All of these are present, `65000:1:2`. */
	readonly largeCommunities?: readonly string[];
	/** All of these are present, `rt:65000:100` or `0x` and eight octets. */
	readonly extendedCommunities?: readonly string[];
	/** The AS path begins with these numbers. */
	readonly asPathPrefix?: readonly number[];
	/** The number of communities of each kind; absent ones count as 0. */
	readonly communityCount?: { readonly min?: number; readonly max?: number };
	readonly largeCommunityCount?: { readonly min?: number; readonly max?: number };
	readonly extendedCommunityCount?: { readonly min?: number; readonly max?: number };
	/**
	 * A regular expression on the path's text, `^64999( |$)`, without lookaround and
	 * backreferences.
	 */
	readonly asPathMatches?: string;
	/** Number of AS numbers in the path; a set counts as one (RFC 4271 §9.1.2.2 (a)). */
	readonly asPathLength?: { readonly min?: number; readonly max?: number };
	/** The origin AS (last of the path). */
	readonly originAs?: readonly number[];
	readonly nextHop?: readonly PrefixKey[];
	/** A missing MED is 0. */
	readonly med?: { readonly min?: number; readonly max?: number };
	readonly localPref?: { readonly min?: number; readonly max?: number };
	/**
	 * A pattern for the outgoing interface towards the route's next hop: `*` is any text, `?` any
	 * character (BIRD's `ifname ~`, Calico's `interface`). If the interface is unknown or absent (a
	 * route of this node), its name is empty: only `*` matches.
	 */
	readonly interface?: string;
	/** Learned from one of these peers, by name. */
	readonly peers?: readonly string[];
	/** The kernel metric (Calico's `priority`). */
	readonly priority?: number;
}

export interface PrefixMatch {
	readonly prefix: PrefixKey;
	readonly operator: 'equal' | 'not-equal' | 'in' | 'not-in';
	readonly length?: { readonly min?: number; readonly max?: number };
}

export type PolicyOperation =
	| { readonly type: 'add-community'; readonly value: string }
	| { readonly type: 'remove-community'; readonly value: string }
	| { readonly type: 'set-communities'; readonly values: readonly string[] }
	| { readonly type: 'add-large-community'; readonly value: string }
	| { readonly type: 'remove-large-community'; readonly value: string }
	| { readonly type: 'set-large-communities'; readonly values: readonly string[] }
	| { readonly type: 'add-extended-community'; readonly value: string }
	| { readonly type: 'remove-extended-community'; readonly value: string }
	| { readonly type: 'set-extended-communities'; readonly values: readonly string[] }
	| { readonly type: 'prepend-as-path'; readonly asNumbers: readonly number[] }
	| { readonly type: 'set-med'; readonly value: number | undefined }
	| { readonly type: 'add-med'; readonly value: number }
	| { readonly type: 'set-local-pref'; readonly value: number }
	| { readonly type: 'set-next-hop'; readonly value: string | 'self' | 'keep' }
	| { readonly type: 'set-origin'; readonly value: 'igp' | 'egp' | 'incomplete' }
	/** The kernel metric of the installed route (Calico's `setPriority`). */
	| { readonly type: 'set-priority'; readonly value: number };
