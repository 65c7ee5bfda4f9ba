/**
 * The measured scenarios: each lays out prefixes and sessions, and describes the events in
 * generator commands.
 */
import type { Scenario } from '../types.ts';
import { meshScenarios } from './mesh.ts';
import { stormScenarios } from './storm.ts';
import { tableScenarios } from './tables.ts';

export { StepFailedError } from './steps.ts';

export const scenarios: readonly Scenario[] = [
	...tableScenarios.slice(0, 2),
	...meshScenarios,
	...tableScenarios.slice(2),
	...stormScenarios,
];

/**
 * The selected scenarios, by name or by group; all without a selection. Throws a `RangeError` for
 * an unknown name.
 */
export function chooseScenarios(names: readonly string[]): readonly Scenario[] {
	if (names.length === 0) return scenarios;
	const unknown = names.filter(
		(name) => !scenarios.some((scenario) => scenario.name === name || scenario.group === name),
	);
	if (unknown.length > 0)
		throw new RangeError(
			`no such scenario: ${unknown.join(', ')}; there are ${scenarios.map(({ name }) => name).join(', ')}`,
		);
	return scenarios.filter(({ name, group }) => names.includes(name) || (group !== undefined && names.includes(group)));
}
