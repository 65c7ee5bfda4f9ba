import type { Family } from '../../core/index.ts';
import { type AttributeTest, compileMatch, compilePrefixes, type PrefixTest } from './matches.ts';
import { type Apply, compileOperation } from './operations.ts';
import { type PolicyInput, PolicyState } from './state.ts';
import type { Policy, PolicyTerm } from './types.ts';

/** What policy says of a route, for all prefixes. */
export interface Decided {
	readonly type: 'decided';
	readonly accepted: boolean;
	/** The route as the operations left it. */
	readonly state: PolicyState;
}

/** What policy says of a route depends on the prefix. */
export interface ByPrefix {
	readonly type: 'by-prefix';
	/** One object per outcome, however often it is asked. */
	readonly decide: (address: Uint8Array, bits: number) => Decided;
}

export type Verdict = Decided | ByPrefix;

interface CompiledTerm {
	readonly attributes: AttributeTest;
	readonly prefixes: Readonly<Record<Family, PrefixTest>> | undefined;
	readonly operations: readonly Apply[];
	readonly action: PolicyTerm['action'];
}

/**
 * Policies, compiled once. `ask` decides all that the attributes of a route decide, once per attribute set; where prefixes
 * matter it leaves a small decision tree that is grown as prefixes walk through it.
 */
export class PolicyProgram {
	readonly #terms: readonly CompiledTerm[];
	/** Does any term look at attributes or change them? If not, one tree serves all routes of a kind. */
	readonly readsAttributes: boolean;
	readonly #shared = new Map<string, Verdict>();

	/** @throws CommunityError, AddressError, SyntaxError (a regular expression) */
	constructor(policies: readonly Policy[]) {
		this.#terms = policies.flatMap(termsOf).map(compileTerm);
		this.readsAttributes = this.#terms.some(({ attributes, operations }) => attributes.readsAttributes || operations.length > 0);
	}

	ask(input: PolicyInput): Verdict {
		if (this.readsAttributes) return this.#from(0, input, new PolicyState(input));
		const key = `${input.family} ${input.source} ${input.peerType} ${input.sourcePeer ?? ''}`;
		let verdict = this.#shared.get(key);
		if (verdict === undefined) {
			verdict = this.#from(0, input, new PolicyState(input));
			this.#shared.set(key, verdict);
		}
		return verdict;
	}

	#from(first: number, input: PolicyInput, state: PolicyState): Verdict {
		for (let index = first; index < this.#terms.length; index++) {
			const term = this.#terms[index];
			if (term === undefined || !term.attributes.holds(input, state)) continue;
			if (term.prefixes !== undefined) {
				return byPrefix(
					term.prefixes[input.family],
					() => this.#after(term, index, input, state),
					() => this.#from(index + 1, input, state),
				);
			}
			return this.#after(term, index, input, state);
		}
		return { type: 'decided', accepted: false, state };
	}

	/** What follows once a term has matched. */
	#after({ action, operations }: CompiledTerm, index: number, input: PolicyInput, state: PolicyState): Verdict {
		if (action === 'reject') return { type: 'decided', accepted: false, state };
		const changed = operations.reduce((before, apply) => apply(before), state);
		return action === 'accept' ? { type: 'decided', accepted: true, state: changed } : this.#from(index + 1, input, changed);
	}
}

/** A branch of the tree; what lies behind it is made when the first prefix gets there. */
function byPrefix(test: PrefixTest, match: () => Verdict, other: () => Verdict): ByPrefix {
	let matched: Verdict | undefined;
	let unmatched: Verdict | undefined;
	return {
		type: 'by-prefix',
		decide(address, bits) {
			let next: Verdict;
			if (test(address, bits)) {
				matched ??= match();
				next = matched;
			} else {
				unmatched ??= other();
				next = unmatched;
			}
			return next.type === 'decided' ? next : next.decide(address, bits);
		},
	};
}

/** The terms of a policy; `otherwise` is a last one that every route matches. */
function termsOf({ terms, otherwise }: Policy): readonly PolicyTerm[] {
	return otherwise === 'next' ? terms : [...terms, { match: {}, action: otherwise, operations: [] }];
}

function compileTerm({ match, action, operations }: PolicyTerm): CompiledTerm {
	const prefixes = match.prefixes === undefined ? undefined : compilePrefixes(match.prefixes);
	return {
		attributes: compileMatch(match),
		prefixes: prefixes === undefined ? undefined : { ipv4: prefixes('ipv4'), ipv6: prefixes('ipv6') },
		operations: operations.map(compileOperation),
		action,
	};
}
