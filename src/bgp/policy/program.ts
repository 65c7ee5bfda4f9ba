import type { Family } from '../../core/index.ts';
import type { Policy, PolicyTerm } from '../model/policy.ts';
import { type AttributeTest, compileMatch, compilePrefixes, type PrefixTest } from './matches.ts';
import { type Apply, compileOperation } from './operations.ts';
import { type PolicyInput, PolicyState } from './state.ts';

/** The verdict of policy on a route, for all prefixes. */
export interface Decided {
	readonly type: 'decided';
	readonly accepted: boolean;
	/** The route after all operations. */
	readonly state: PolicyState;
}

/** The verdict of policy on a route depends on the prefix. */
export interface ByPrefix {
	readonly type: 'by-prefix';
	/** One object per outcome, independent of the number of calls. */
	readonly decide: (address: Uint8Array, bits: number) => Decided;
}

export type Verdict = Decided | ByPrefix;

/** The term that decides a route. */
export interface DecidingTerm {
	readonly policy: string;
	/** Its name, or its number from 1; `otherwise` if no term matched. */
	readonly term: string;
	readonly action: 'accept' | 'reject';
}

interface CompiledTerm {
	readonly policy: string;
	readonly name: string;
	readonly attributes: AttributeTest;
	readonly prefixes: Readonly<Record<Family, PrefixTest>> | undefined;
	readonly operations: readonly Apply[];
	readonly action: PolicyTerm['action'];
}

/**
 * Compiled policies. `ask` decides all that depends only on attributes, once per attribute set. If
 * prefixes matter, the result is a small decision tree, extended as prefixes are evaluated.
 */
export class PolicyProgram {
	readonly #terms: readonly CompiledTerm[];
	/**
	 * True if a term matches on or changes attributes. If not, one tree serves all routes of a
	 * kind.
	 */
	readonly readsAttributes: boolean;
	readonly #shared = new Map<string, Verdict>();

	/** @throws CommunityError, AddressError, SyntaxError (a regular expression) */
	constructor(policies: readonly Policy[]) {
		this.#terms = policies.flatMap(compilePolicy);
		this.readsAttributes = this.#terms.some(
			({ attributes, operations }) => attributes.readsAttributes || operations.length > 0,
		);
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

	/**
	 * The term that decides a route with this prefix; `undefined`: none matches, and the route is
	 * rejected. For output: no result is cached.
	 */
	trace(input: PolicyInput, address: Uint8Array, bits: number): DecidingTerm | undefined {
		let state = new PolicyState(input);
		for (const { attributes, prefixes, operations, action, policy, name } of this.#terms) {
			if (!attributes.holds(input, state)) continue;
			if (prefixes !== undefined && !prefixes[input.family](address, bits)) continue;
			if (action !== 'continue') return { policy, term: name, action };
			state = operations.reduce((before, apply) => apply(before), state);
		}
		return undefined;
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

	/** The steps after a matching term. */
	#after({ action, operations }: CompiledTerm, index: number, input: PolicyInput, state: PolicyState): Verdict {
		if (action === 'reject') return { type: 'decided', accepted: false, state };
		const changed = operations.reduce((before, apply) => apply(before), state);
		return action === 'accept'
			? { type: 'decided', accepted: true, state: changed }
			: this.#from(index + 1, input, changed);
	}
}

/** A branch of the tree; its successors are created at the first use. */
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

/** The terms of a policy; `otherwise` becomes a last term that matches every route. */
function compilePolicy({ name, terms, otherwise }: Policy): readonly CompiledTerm[] {
	const compiled = terms.map((term, index) => compileTerm(term, name, term.name ?? String(index + 1)));
	return otherwise === 'next'
		? compiled
		: [...compiled, compileTerm({ match: {}, action: otherwise, operations: [] }, name, 'otherwise')];
}

function compileTerm({ match, action, operations }: PolicyTerm, policy: string, name: string): CompiledTerm {
	const prefixes = match.prefixes === undefined ? undefined : compilePrefixes(match.prefixes);
	return {
		policy,
		name,
		attributes: compileMatch(match),
		prefixes: prefixes === undefined ? undefined : { ipv4: prefixes('ipv4'), ipv6: prefixes('ipv6') },
		operations: operations.map(compileOperation),
		action,
	};
}
