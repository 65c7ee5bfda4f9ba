import type { PathAttributes } from 'bgp-packet';
import type { Family, RouteSource } from '../../core/index.ts';

/** A route as policy is asked about it, its prefix aside. */
export interface PolicyInput {
	/** The attributes, made only when a match or an operation looks at them. */
	readonly attributes: () => PathAttributes;
	readonly family: Family;
	readonly source: RouteSource;
	/** The peer it was learned from; `undefined` for a route of this node. */
	readonly sourcePeer: string | undefined;
	/** The kind of the peer that the policy is applied towards, or from on import. */
	readonly peerType: 'internal' | 'external';
	/** The interface of the way to its next hop; empty for none and where it is not known. */
	readonly interfaceName: () => string;
	/** Kernel metric, where an earlier policy set one. */
	readonly priority: number | undefined;
}

/** What operations did so far. */
interface Changes {
	readonly attributes: PathAttributes;
	readonly nextHop: 'self' | 'keep' | undefined;
	readonly medSet: boolean;
	readonly priority: number | undefined;
}

/** A route on its way through the terms: its attributes as they are now, and what was asked for beside them. A value. */
export class PolicyState {
	readonly #input: PolicyInput;
	readonly #changes: Changes | undefined;
	#decoded: PathAttributes | undefined;

	constructor(input: PolicyInput, changes?: Changes) {
		this.#input = input;
		this.#changes = changes;
	}

	/** Has any operation been applied? */
	get changed(): boolean {
		return this.#changes !== undefined;
	}

	get attributes(): PathAttributes {
		if (this.#changes !== undefined) return this.#changes.attributes;
		this.#decoded ??= this.#input.attributes();
		return this.#decoded;
	}

	/** NEXT_HOP is to be our own, or to stay, whatever the session's mode. */
	get nextHop(): 'self' | 'keep' | undefined {
		return this.#changes?.nextHop;
	}

	/** An operation set MULTI_EXIT_DISC: it is ours to send, to external peers too. */
	get medSet(): boolean {
		return this.#changes?.medSet ?? false;
	}

	get priority(): number | undefined {
		return this.#changes === undefined ? this.#input.priority : this.#changes.priority;
	}

	with(changes: Partial<Changes>): PolicyState {
		const { attributes, nextHop, medSet, priority } = this;
		return new PolicyState(this.#input, { attributes, nextHop, medSet, priority, ...changes });
	}
}
