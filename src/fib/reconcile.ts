import type { PrefixKey } from '../core/index.ts';
import { diffPrefix, ordered, sameRoute } from './diff.ts';
import type { KernelRoute, RouteFailure, RouteKernel, RouteOperation } from './kernel.ts';
import { type PrefixState, type PrefixTable, routesOf } from './prefix-table.ts';
import { othersFirst } from './slices.ts';

/**
 * Prefixes compared in one turn of the event loop: below a millisecond, so that the next batch of a
 * write in progress is not late.
 */
const prefixesPerTurn = 500;
/** The kernel begins early. */
const operationsOfFirstWrite = 1000;
const operationsPerWrite = 4000;
/** Writes that the kernel has not finished: one in progress, and one that follows it at once. */
const writesUnderWay = 2;

/** The desired state, and the known state of the kernel. */
export interface ReconcileState {
	/** Holds our routes in the kernel; updated after each successful operation. */
	readonly table: PrefixTable;
	readonly wanted: (state: PrefixState) => KernelRoute | undefined;
	/** True if routes of this prefix may be removed if none is desired. */
	readonly maySweep: (prefix: PrefixKey) => boolean;
	/** Called at the end of a prefix without a desired and a present route. */
	readonly onEmpty?: (state: PrefixState) => void;
}

export interface ReconcileReport {
	readonly applied: number;
	readonly failures: readonly RouteFailure[];
}

/** An operation with the state that its success changes. */
type Change = RouteOperation & { readonly state: PrefixState };

/**
 * Brings these prefixes to their desired state. All additions precede all removals; a refused route
 * does not block the others. `wanted` is evaluated at the last moment, so that it may change
 * meanwhile.
 */
export async function reconcile(
	prefixes: readonly PrefixState[],
	{ table, wanted, maySweep, onEmpty }: ReconcileState,
	kernel: RouteKernel,
): Promise<ReconcileReport> {
	let applied = 0;
	const failures: RouteFailure[] = [];
	const removable: PrefixState[] = [];
	const make = (state: PrefixState, changes: Change[]): void => {
		const route = wanted(state);
		const { held, further } = state;
		if (held === undefined) {
			// The first of many routes: nothing to compare, and no lists to make.
			if (route !== undefined) changes.push({ type: 'add', route, state });
			else onEmpty?.(state);
		} else if (route !== undefined && further.length === 0 && held.metric === route.metric) {
			// The usual change: one route in the place of another.
			if (!sameRoute(route, held)) changes.push({ type: 'replace', route, old: held, state });
		} else if (route === undefined && further.length === 0) {
			if (maySweep(state.prefix)) removable.push(state);
		} else {
			let removes = false;
			for (const operation of diffPrefix(route, routesOf(state), maySweep(state.prefix))) {
				if (operation.type === 'remove') removes = true;
				else changes.push({ ...operation, state });
			}
			if (removes) removable.push(state);
		}
	};
	const remove = (state: PrefixState, changes: Change[]): void => {
		const route = wanted(state);
		const { held, further } = state;
		if (route === undefined && held !== undefined && further.length === 0) {
			if (maySweep(state.prefix)) changes.push({ type: 'remove', route: held, state });
			return;
		}
		for (const operation of diffPrefix(route, routesOf(state), maySweep(state.prefix)))
			if (operation.type === 'remove') changes.push({ ...operation, state });
	};
	const settle = (written: readonly Change[], refused: readonly RouteFailure[]) => {
		const refusedOperations = new Set(refused.map(({ operation }) => operation));
		for (const change of written) {
			if (refusedOperations.size > 0 && refusedOperations.has(change)) continue;
			record(table, change);
			if (change.state.held === undefined) onEmpty?.(change.state);
		}
		applied += written.length - refused.length;
		failures.push(...refused);
	};
	/**
	 * While the kernel processes one write, the next one waits, and the results of earlier ones are
	 * recorded: a prefix is in one write only.
	 */
	const inPipeline = async (
		states: readonly PrefixState[],
		compare: (state: PrefixState, changes: Change[]) => void,
	) => {
		const underWay: { readonly written: readonly Change[]; readonly result: Promise<readonly RouteFailure[]> }[] = [];
		let now: Change[] = [];
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
		let compared = 0;
		for (const state of states) {
			compare(state, now);
			if (++compared % prefixesPerTurn > 0) continue;
			if (now.length >= most) await write();
			await othersFirst();
		}
		if (now.length > 0) await write();
		while (underWay.length > 0) await finish();
	};
	await inPipeline(prefixes, make);
	// Skips removals for a prefix whose new route was refused: it would be left without a route.
	const broken = new Set(failures.map(({ operation }) => operation.route.prefix));
	await inPipeline(broken.size === 0 ? removable : removable.filter(({ prefix }) => !broken.has(prefix)), remove);
	return { applied, failures };
}

/** The kernel's state after a successful operation. */
export function record(table: PrefixTable, change: Change): void {
	const { type, route, state } = change;
	const gone = type === 'replace' ? change.old : type === 'remove' ? route : undefined;
	const made = type === 'remove' ? undefined : route;
	if (state.further.length === 0 && (state.held === undefined || state.held === gone)) {
		table.setRoutes(state, made);
		return;
	}
	const rest = routesOf(state).filter((other) => other !== gone);
	const [held, ...further] = made === undefined ? rest : [...rest, made];
	table.setRoutes(state, held, further);
}
