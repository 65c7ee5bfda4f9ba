/** A failure of a plane, with the kernel's message. */
export interface PlaneFailure {
	/** The object: a prefix, a device, a rule set, the address of a node. */
	readonly subject: string;
	/** The kernel's error message, with its errno if there is one. */
	readonly reason: string;
	/**
	 * Identifier of failures that health reports separately; absent: any other object of the plane.
	 */
	readonly kind?: 'device' | 'guard' | 'masquerade';
}

/** One object whose state in the kernel differs from the desired state. */
export interface PlaneDifference {
	readonly subject: string;
	/**
	 * `missing`: desired and absent; `failed`: desired and refused by the kernel; `extra`: present
	 * and not desired.
	 */
	readonly state: 'missing' | 'failed' | 'extra';
}

/** Desired and actual state of one plane, as plain JSON. */
export interface PlaneView {
	readonly name: string;
	/** `false`: the plane reads and writes nothing. */
	readonly enabled: boolean;
	/** Every source of desired state is complete. */
	readonly inSync: boolean;
	/** Sources that are not complete yet; nothing is swept before they are. */
	readonly waitingFor: readonly string[];
	/** Number of objects: routes, rules, entries of a forwarding database. */
	readonly desired: number;
	/** Number of desired objects that are in the kernel. */
	readonly installed: number;
	/** At most some hundred; `desired` and `installed` are exact. */
	readonly differences: readonly PlaneDifference[];
	readonly failures: readonly PlaneFailure[];
}

/**
 * One kind of kernel state of this node: routes, a tunnel device, packet filters. A plane computes
 * the desired kernel state from a state, compares it with the actual one, and writes the
 * difference. Failed objects stay dirty and are retried.
 */
export interface DataPlane<State> {
	/** Unique, kebab-case: a label of metrics and a field of `status`. */
	readonly name: string;
	/** Sets the desired state. Never throws; the work continues in the background. */
	apply(state: State): void;
	/** A source of desired state is complete. Nothing is swept before every source is. */
	inSync(source: string): void;
	/** A plane with many objects computes it in slices. */
	view(): PlaneView | Promise<PlaneView>;
	/** Resolves when no work is in progress; failed work may be waiting for its next attempt. */
	whenIdle(): Promise<void>;
	/**
	 * Stops reading and writing. The kernel keeps its state, so that packets are forwarded until
	 * the next start.
	 */
	stop(): Promise<void>;
}

/**
 * Removes all kernel state of one kind that this project wrote, and nothing else (`bgpmesh
 * cleanup`).
 */
export interface PlaneCleanup {
	/** The name of the plane. */
	readonly name: string;
	/**
	 * Returns the removed objects, one line per object; with `dryRun` only lists them. @throws
	 * Error with the kernel's message
	 */
	cleanup(options: { readonly dryRun: boolean }): Promise<readonly string[]>;
}

/** Maximum number of differences in a view. */
export const mostDifferences = 200;
