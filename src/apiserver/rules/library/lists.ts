import type { Environment } from '@marcbachmann/cel-js';

/** The type of `sets` in `sets.contains(...)`. */
class Sets {}

type Comparable = string | number | bigint | boolean;

const lowerFirst = (left: Comparable, right: Comparable): number => (left < right ? -1 : left > right ? 1 : 0);

/**
 * Kubernetes' list functions: order, sums, extremes, positions; also the sets of the CEL library.
 */
export function registerLists(environment: Environment): void {
	const elementTypes = ['int', 'double', 'string', 'bool', 'dyn'];
	for (const type of elementTypes) {
		environment.registerFunction(`list<${type}>.isSorted(): bool`, (list: readonly Comparable[]) =>
			list.every((item, index) => index === 0 || lowerFirst(list[index - 1] ?? item, item) <= 0),
		);
		environment.registerFunction(`list<${type}>.min(): ${type}`, (list: readonly Comparable[]) =>
			extreme('min', list, -1),
		);
		environment.registerFunction(`list<${type}>.max(): ${type}`, (list: readonly Comparable[]) =>
			extreme('max', list, 1),
		);
	}
	environment.registerFunction('list<int>.sum(): int', (list: readonly bigint[]) =>
		list.reduce((sum, item) => sum + item, 0n),
	);
	environment.registerFunction('list<double>.sum(): double', (list: readonly number[]) =>
		list.reduce((sum, item) => sum + item, 0),
	);
	environment.registerFunction('list.indexOf(dyn): int', (list: readonly unknown[], wanted: unknown) =>
		BigInt(list.indexOf(wanted)),
	);
	environment.registerFunction('list.lastIndexOf(dyn): int', (list: readonly unknown[], wanted: unknown) =>
		BigInt(list.lastIndexOf(wanted)),
	);
	environment.registerType('Sets', Sets);
	environment.registerConstant('sets', 'Sets', new Sets());
	const all = (of: readonly unknown[], within: readonly unknown[]) => of.every((item) => within.includes(item));
	environment.registerFunction(
		'Sets.contains(list, list): bool',
		(_sets: unknown, list: readonly unknown[], part: readonly unknown[]) => all(part, list),
	);
	environment.registerFunction(
		'Sets.equivalent(list, list): bool',
		(_sets: unknown, one: readonly unknown[], other: readonly unknown[]) => all(one, other) && all(other, one),
	);
	environment.registerFunction(
		'Sets.intersects(list, list): bool',
		(_sets: unknown, one: readonly unknown[], other: readonly unknown[]) => one.some((item) => other.includes(item)),
	);
}

function extreme(name: string, list: readonly Comparable[], sign: number): Comparable {
	const [first, ...rest] = list;
	if (first === undefined) throw new Error(`${name} called on empty list`);
	return rest.reduce((best, item) => (lowerFirst(item, best) * sign > 0 ? item : best), first);
}
