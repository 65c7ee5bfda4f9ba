import { type Finding, type ProblemId, type ProblemRow, problems } from './problems.ts';

/** A finding with its row and since when it holds. */
export interface Problem {
	readonly id: ProblemId;
	readonly severity: 'error' | 'warning';
	readonly subject: string;
	readonly text: string;
	readonly reason: string;
	readonly remedy: string;
	/** Page of `docs/`. */
	readonly docs: string;
	readonly sinceMs: number;
}

const keyOf = ({ id, subject, reason }: Finding): string => `${id}\n${subject === '' ? reason : subject}`;

/** Remembers since when each finding holds: a finding that goes and comes again begins anew. */
export class HealthTracker {
	#since = new Map<string, number>();

	/** Errors first, the oldest of each severity first. `nowMs`: milliseconds since 1970. */
	update(findings: readonly Finding[], nowMs: number): readonly Problem[] {
		const before = this.#since;
		this.#since = new Map();
		const listed = findings.map((finding): Problem => {
			const key = keyOf(finding);
			const sinceMs = finding.sinceMs ?? before.get(key) ?? nowMs;
			this.#since.set(key, sinceMs);
			const { severity, text, remedy, docs } = problems[finding.id];
			const { id, subject, reason } = finding;
			return { id, severity, subject, text, reason, remedy: finding.remedy ?? remedy, docs, sinceMs };
		});
		const rank = ({ severity }: Problem) => (severity === 'error' ? 0 : 1);
		return listed.sort((left, right) => rank(left) - rank(right) || left.sinceMs - right.sinceMs);
	}
}

/** True for a contradiction of the configuration, which `lint` lists. */
export function isContradiction(id: ProblemId): boolean {
	const row: ProblemRow = problems[id];
	return row.contradiction === true;
}

/** The problems that block readiness, or the network of the Node. */
export function blocks<P extends Pick<Problem, 'id'>>(what: 'ready' | 'network', listed: readonly P[]): readonly P[] {
	return listed.filter(({ id }) => {
		const row: ProblemRow = problems[id];
		return row.blocks.includes(what);
	});
}

/**
 * Problems that began at `latestMs` or earlier, and those of `reported` that persist: a problem
 * that was reported without patience, at the start, is not withdrawn while it is younger. Pure.
 */
export function sustained<P extends Pick<Problem, 'id' | 'subject' | 'sinceMs'>>(
	found: readonly P[],
	reported: readonly Pick<Problem, 'id' | 'subject'>[],
	latestMs: number,
): readonly P[] {
	const known = new Set(reported.map(({ id, subject }) => `${id} ${subject}`));
	return found.filter(({ id, subject, sinceMs }) => sinceMs <= latestMs || known.has(`${id} ${subject}`));
}
