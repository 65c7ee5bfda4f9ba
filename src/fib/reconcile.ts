import type { PrefixKey } from '../core/index.ts';
import { diffPrefix, ordered } from './diff.ts';
import type { KernelRoute, RouteFailure, RouteKernel, RouteOperation } from './kernel.ts';
import { othersFirst, slices } from './slices.ts';

const noRoutes: readonly KernelRoute[] = [];

/** What is wanted, and what is known to be in the kernel. */
export interface ReconcileState {
	readonly wanted: (prefix: PrefixKey) => KernelRoute | undefined;
	/** Our routes in the kernel by prefix; kept up to date as operations succeed. */
	readonly actual: Map<PrefixKey, readonly KernelRoute[]>;
	/** May what is in the kernel for this prefix go, where nothing is wanted? */
	readonly maySweep: (prefix: PrefixKey) => boolean;
}

export interface ReconcileReport {
	readonly applied: number;
	readonly failures: readonly RouteFailure[];
}

/**
 * Makes the kernel hold what is wanted for these prefixes. New routes stand before old ones go, over all of the prefixes;
 * one refused route does not hold up the rest. `wanted` is asked at the last moment, so it may change meanwhile.
 */
export async function reconcile(prefixes: Iterable<PrefixKey>, state: ReconcileState, kernel: RouteKernel): Promise<ReconcileReport> {
	let applied = 0;
	const failures: RouteFailure[] = [];
	const removable: PrefixKey[] = [];
	const run = async (slice: readonly PrefixKey[], phase: 'make' | 'break') => {
		const now: RouteOperation[] = [];
		for (const prefix of slice) {
			for (const operation of diffPrefix(state.wanted(prefix), state.actual.get(prefix) ?? noRoutes, state.maySweep(prefix))) {
				if ((operation.type === 'remove') === (phase === 'break')) now.push(operation);
				else if (phase === 'make') removable.push(prefix);
			}
		}
		if (now.length === 0) return;
		const refused = await kernel.apply(ordered(now));
		const refusedOperations = new Set(refused.map(({ operation }) => operation));
		for (const operation of now) if (refusedOperations.size === 0 || !refusedOperations.has(operation)) record(state.actual, operation);
		applied += now.length - refused.length;
		failures.push(...refused);
	};
	for (const slice of slices(prefixes)) {
		await run(slice, 'make');
		// A slice that needs nothing awaits nothing.
		await othersFirst();
	}
	// A removal for a prefix whose new route was refused would break without having made.
	const broken = new Set(failures.map(({ operation }) => operation.route.prefix));
	for (const slice of slices(new Set(removable))) {
		await run(
			slice.filter((prefix) => !broken.has(prefix)),
			'break',
		);
	}
	return { applied, failures };
}

/** What the kernel holds after an operation that succeeded. */
export function record(actual: Map<PrefixKey, readonly KernelRoute[]>, operation: RouteOperation): void {
	const { type, route } = operation;
	const gone = type === 'replace' ? operation.old : type === 'remove' ? route : undefined;
	const held = actual.get(route.prefix);
	const rest = held === undefined ? [] : held.filter((other) => other !== gone);
	if (type !== 'remove') rest.push(route);
	if (rest.length === 0) actual.delete(route.prefix);
	else actual.set(route.prefix, rest);
}
