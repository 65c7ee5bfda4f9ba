import type { Family, PrefixKey } from '../../core/index.ts';

/**
 * Policy as data: ordered terms; within a term all matches must hold (absent: holds); the first term whose action is not
 * `continue` decides; operations of a matching term are applied whatever its action, `reject` aside. The matches and
 * operations contain those of Calico's BGPFilter, so that a BGPFilter rule becomes exactly one term. A list of policies is
 * asked in order: what one does not decide, `otherwise` included, goes on to the next with what its operations did, and what none
 * decides is rejected.
 */
export interface Policy {
	readonly name: string;
	readonly terms: readonly PolicyTerm[];
	/** What happens to a route that no term decided; `next`: the next policy of the list decides. */
	readonly otherwise: 'accept' | 'reject' | 'next';
}

export interface PolicyTerm {
	readonly name?: string;
	readonly match: PolicyMatch;
	readonly action: 'accept' | 'reject' | 'continue';
	readonly operations: readonly PolicyOperation[];
}

export interface PolicyMatch {
	/** Routes of this family alone. */
	readonly family?: Family;
	/** Any of these; a prefix of another family never matches, negated operators included. `in`: equal or more specific (Calico's `In`), clamped by `length`. */
	readonly prefixes?: readonly PrefixMatch[];
	readonly source?: 'internal' | 'external' | 'local' | 'remote';
	/** Of the peer the policy is applied towards (or from, on import). */
	readonly peerType?: 'internal' | 'external';
	/** All of these are present, `65000:100`. */
	readonly communities?: readonly string[];
	/** All of these are present, `65000:1:2`. */
	readonly largeCommunities?: readonly string[];
	/** All of these are present, `rt:65000:100` or `0x` and eight octets. */
	readonly extendedCommunities?: readonly string[];
	/** The AS path begins with these numbers. */
	readonly asPathPrefix?: readonly number[];
	/** A regular expression over the path's text, `^64999( |$)`. */
	readonly asPathMatches?: string;
	readonly asPathLength?: { readonly min?: number; readonly max?: number };
	/** The AS the route comes from (last of the path). */
	readonly originAs?: readonly number[];
	readonly nextHop?: readonly PrefixKey[];
	/** A missing MED is 0. */
	readonly med?: { readonly min?: number; readonly max?: number };
	readonly localPref?: { readonly min?: number; readonly max?: number };
	/**
	 * A pattern over the name of the interface that packets to the route's next hop leave through: `*` is any text, `?` any character
	 * (BIRD's `ifname ~`, Calico's `interface`). Where the interface is not known, or there is none (a route of this node), the name is
	 * empty: `*` alone matches.
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
