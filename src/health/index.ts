/**
 * Health of this node. `problems` is a table: each row has an identifier, a severity, what it
 * blocks and what to do. `evaluate` is a pure function from facts to findings; `HealthTracker` adds
 * since when each finding holds. `status`, metrics, readiness, `lint` and the Node condition read
 * the same list. `hostSettings` is the table of kernel settings that the node depends on,
 * `hostLimits` that of numbers with a bound; `bgpmesh doctor` prints both.
 */
export { evaluate, peerFindings, sessionFinding } from './evaluate.ts';
export type { HealthFacts, PeerFact } from './facts.ts';
export { checkLimits, type HostNumbers, type LimitCheck, readConnections } from './host-limits.ts';
export {
	checkSettings,
	type SettingCheck,
	type SettingNeeds,
	settingName,
	settingRemedy,
	settingsToWrite,
} from './host-settings.ts';
export { type Finding, type ProblemId, type ProblemRow, problems } from './problems.ts';
export { problemsManual, settingsManual } from './reference.ts';
export { blocks, HealthTracker, isContradiction, type Problem, sustained } from './tracker.ts';
