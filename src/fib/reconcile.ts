import type { PrefixKey } from '../core/index.ts';
import { diffPrefix, ordered, sameRoute } from './diff.ts';
import type { KernelRoute, RouteFailure, RouteKernel, RouteOperation } from './kernel.ts';
import { othersFirst, slices } from './slices.ts';

/**
 * Prefixes compared in one turn of the event loop: below a millisecond, so that the next batch of a
 * write in progress is not late.
 */
const prefixesPerTurn = 250;
/** The kernel begins early. */
const operationsOfFirstWrite = 1000;
const operationsPerWrite = 4000;
/** Writes that the kernel has not finished: one in progress, and one that follows it at once. */
const writesUnderWay = 2;

/** The desired state, and the known state of the kernel. */
export interface ReconcileState {
	readonly wanted: (prefix: PrefixKey) => KernelRoute | undefined;
	/** Our routes in the kernel by prefix; updated after each successful operation. */
	readonly actual: Map<PrefixKey, readonly KernelRoute[]>;
	/** True if routes of this prefix may be removed if none is desired. */
	readonly maySweep: (prefix: PrefixKey) => boolean;
}

export interface ReconcileReport {
	readonly applied: number;
	readonly failures: readonly RouteFailure[];
}

/**
 * Brings these prefixes to their desired state. All additions precede all removals; a refused route
 * does not block the others. `wanted` is evaluated at the last moment, so that it may change
 * meanwhile.
 */
export async function reconcile(
	prefixes: Iterable<PrefixKey>,
	state: ReconcileState,
	kernel: RouteKernel,
): Promise<ReconcileReport> {
	let applied = 0;
	const failures: RouteFailure[] = [];
	const removable: PrefixKey[] = [];
	const collect = (slice: readonly PrefixKey[], phase: 'make' | 'break', now: RouteOperation[]): void => {
		for (const prefix of slice) {
			const wanted = state.wanted(prefix);
			const held = state.actual.get(prefix);
			if (held === undefined) {
				// The first of many routes: nothing to compare, and no lists to make.
				if (wanted !== undefined && phase === 'make') now.push({ type: 'add', route: wanted });
				continue;
			}
			const [only] = held;
			if (wanted !== undefined && only !== undefined && held.length === 1 && only.metric === wanted.metric) {
				// The usual change: one route in the place of another.
				if (phase === 'make' && !sameRoute(wanted, only)) now.push({ type: 'replace', route: wanted, old: only });
				continue;
			}
			for (const operation of diffPrefix(wanted, held, state.maySweep(prefix))) {
				if ((operation.type === 'remove') === (phase === 'break')) now.push(operation);
				else if (phase === 'make') removable.push(prefix);
			}
		}
	};
	const settle = (written: readonly RouteOperation[], refused: readonly RouteFailure[]) => {
		const refusedOperations = new Set(refused.map(({ operation }) => operation));
		for (const operation of written)
			if (refusedOperations.size === 0 || !refusedOperations.has(operation)) record(state.actual, operation);
		applied += written.length - refused.length;
		failures.push(...refused);
	};
	/**
	 * While the kernel processes one write, the next one waits, and the results of earlier ones are
	 * recorded: a prefix is in one write only.
	 */
	const inPipeline = async (all: Iterable<PrefixKey>, phase: 'make' | 'break') => {
		const underWay: {
			readonly written: readonly RouteOperation[];
			readonly result: Promise<readonly RouteFailure[]>;
		}[] = [];
		let now: RouteOperation[] = [];
		let most = operationsOfFirstWrite;
		const finish = async () => {
			const oldest = underWay.shift();
			if (oldest !== undefined) settle(oldest.written, await oldest.result);
		};
		const write = async () => {
			const written = ordered(now);
			const result = kernel.apply(written);
			// `finish` throws the failure.
			result.catch(() => undefined);
			underWay.push({ written, result });
			now = [];
			most = operationsPerWrite;
			if (underWay.length > writesUnderWay) await finish();
		};
		for (const slice of slices(all, prefixesPerTurn)) {
			collect(slice, phase, now);
			if (now.length >= most) await write();
			await othersFirst();
		}
		if (now.length > 0) await write();
		while (underWay.length > 0) await finish();
	};
	await inPipeline(prefixes, 'make');
	// Skips removals for a prefix whose new route was refused: it would be left without a route.
	const broken = new Set(failures.map(({ operation }) => operation.route.prefix));
	await inPipeline(removable.length === 0 ? [] : new Set(removable.filter((prefix) => !broken.has(prefix))), 'break');
	return { applied, failures };
}

/** The kernel's state after a successful operation. */
export function record(actual: Map<PrefixKey, readonly KernelRoute[]>, operation: RouteOperation): void {
	const { type, route } = operation;
	const gone = type === 'replace' ? operation.old : type === 'remove' ? route : undefined;
	const held = actual.get(route.prefix);
	if (type === 'remove' && held?.length === 1 && held[0] === route) {
		actual.delete(route.prefix);
		return;
	}
	if (type !== 'remove' && (held === undefined || (held.length === 1 && held[0] === gone))) {
		actual.set(route.prefix, [route]);
		return;
	}
	const rest = held === undefined ? [] : held.filter((other) => other !== gone);
	if (type !== 'remove') rest.push(route);
	if (rest.length === 0) actual.delete(route.prefix);
	else actual.set(route.prefix, rest);
}
