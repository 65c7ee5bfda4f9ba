import type { Probe } from './cases.ts';
import type { Party, PreparedStep } from './cluster.ts';

/**
 * The outcome of a probe: `.` arrived; `e`, `i`, `x`: denied by the sender's side, the receiver's,
 * both. A backend that only observes packets reports `denied`, which matches all three.
 */
export type Outcome = '.' | 'e' | 'i' | 'x' | 'denied';

/** One cell to evaluate. */
export interface CellRequest {
	readonly from: Party;
	readonly to: Party;
	readonly probe: Probe;
}

/** A method of evaluating policies. Cases run one after the other, their steps in order. */
export interface PolicyBackend {
	/** Starts a new case: no state of the previous case may be left. */
	begin(caseId: string): Promise<void>;
	/** Installs a step. */
	apply(step: PreparedStep): Promise<void>;
	/** The outcomes of the cells, in their order, with the installed step. */
	probe(cells: readonly CellRequest[]): Promise<readonly Outcome[]>;
	/** Removes everything. */
	close(): Promise<void>;
}

/** Creates a backend; may fail if the machine lacks a requirement. */
export type BackendFactory = () => Promise<PolicyBackend>;
