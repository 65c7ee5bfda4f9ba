import type { PathAttributes } from 'bgp-packet';
import type { Family, RouteSource } from '../../core/index.ts';

/** A route as the input of policy, without its prefix. */
export interface PolicyInput {
	/** The attributes, decoded only if a match or an operation uses them. */
	readonly attributes: () => PathAttributes;
	readonly family: Family;
	readonly source: RouteSource;
	/** The peer that sent it; `undefined` for a route of this node. */
	readonly sourcePeer: string | undefined;
	/** The kind of the peer that the policy applies to, or from on import. */
	readonly peerType: 'internal' | 'external';
	/** The interface towards its next hop; empty if there is none or it is unknown. */
	readonly interfaceName: () => string;
	/** Kernel metric, if an earlier policy set one. */
	readonly priority: number | undefined;
}

/** The results of operations so far. */
interface Changes {
	readonly attributes: PathAttributes;
	readonly nextHop: 'self' | 'keep' | undefined;
	readonly medSet: boolean;
	readonly priority: number | undefined;
}

/** A route during evaluation: its present attributes, and further requests. Immutable. */
export class PolicyState {
	readonly #input: PolicyInput;
	readonly #changes: Changes | undefined;
	#decoded: PathAttributes | undefined;

	constructor(input: PolicyInput, changes?: Changes) {
		this.#input = input;
		this.#changes = changes;
	}

	/** True if an operation has been applied. */
	get changed(): boolean {
		return this.#changes !== undefined;
	}

	get attributes(): PathAttributes {
		if (this.#changes !== undefined) return this.#changes.attributes;
		this.#decoded ??= this.#input.attributes();
		return this.#decoded;
	}

	/** NEXT_HOP becomes our own, or is kept, independent of the session's mode. */
	get nextHop(): 'self' | 'keep' | undefined {
		return this.#changes?.nextHop;
	}

	/** An operation set MULTI_EXIT_DISC: it is sent to external peers, too. */
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
