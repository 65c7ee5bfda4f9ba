import type { Backend } from '../model.ts';

/**
 * The backends of a pool in the order of their numbers. Survivors keep their numbers as far as the
 * new size allows; a gap takes the survivor with the highest number above the size, or a new one.
 * One change of an endpoint thus changes at most two numbers.
 */
export function keepNumbers(before: readonly Backend[], backends: readonly Backend[]): readonly Backend[] {
	if (before.length === 0) return backends;
	const incoming = new Map(backends.map((backend) => [keyOf(backend), backend]));
	const numbered: (Backend | undefined)[] = new Array<undefined>(backends.length).fill(undefined);
	const displaced: Backend[] = [];
	for (const [number, { address, port }] of before.entries()) {
		const key = `${address} ${port}`;
		const survivor = incoming.get(key);
		if (survivor === undefined) continue;
		incoming.delete(key);
		if (number < numbered.length) numbered[number] = survivor;
		else displaced.push(survivor);
	}
	const rest = [...displaced.reverse(), ...incoming.values()][Symbol.iterator]();
	return numbered.map((backend) => backend ?? next(rest));
}

const keyOf = ({ address, port }: Backend): string => `${address} ${port}`;

function next(rest: Iterator<Backend>): Backend {
	const { value, done } = rest.next();
	// As many gaps as are left over: both counts come from one list without duplicates.
	if (done === true) throw new RangeError('backends of a pool are listed twice');
	return value;
}

/** Same backends under the same numbers. */
export const sameBackends = (left: readonly Backend[], right: readonly Backend[]): boolean =>
	left.length === right.length &&
	left.every(({ address, port, local, node }, number) => {
		const other = right[number];
		return other?.address === address && other.port === port && other.local === local && other.node === node;
	});
