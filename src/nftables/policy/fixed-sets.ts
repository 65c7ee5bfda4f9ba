import { parseAddress } from '../../core/index.ts';
import { concatenate, interfaceKey, type SetElement } from '../../linux/index.ts';
import type { SetElementsChange, SetSpec } from '../table.ts';
import { dispatchMaps, sourceSets } from './base.ts';
import type { Tracked } from './tracked.ts';

/** The interface of a host endpoint for all interfaces: it is a chain of its own, no element. */
export const everyInterface = '*';

/** Chains of interfaces, by `MAP INTERFACE`. */
export type Dispatch = Tracked<string>;
/** Addresses that interfaces may send from, by `SET INTERFACE ADDRESS`. */
export type SourceAddresses = Tracked<true>;

/** The maps and sets that are always there, with all their elements. */
export function fixedSets(dispatch: Dispatch, sources: SourceAddresses): SetSpec[] {
	const fixed = emptySets();
	const elements = new Map<string, SetElement[]>(fixed.map(({ name }) => [name, []]));
	for (const [key, chain] of dispatch.entries()) {
		const [map = '', name = ''] = key.split(' ');
		if (name !== everyInterface) elements.get(map)?.push(dispatchElement(map, name, chain));
	}
	for (const [key] of sources.entries()) {
		const [set = '', name = '', address = ''] = key.split(' ');
		elements.get(set)?.push(sourceElement(name, address));
	}
	return fixed.map((set) => ({ ...set, elements: elements.get(set.name) ?? [] }));
}

/** What the last change means for the elements of the dispatch maps; removals are first. */
export function dispatchChanges(dispatch: Dispatch): SetElementsChange[] {
	const change = (verb: 'add' | 'remove', entries: readonly (readonly [string, string])[]) =>
		grouped(entries, ([key, chain]) => {
			const [map = '', name = ''] = key.split(' ');
			return name === everyInterface ? undefined : [map, dispatchElement(map, name, chain)];
		}).map(([set, elements]) => ({ set, verb, elements }));
	return [...change('remove', dispatch.removed()), ...change('add', dispatch.added())];
}

/** The same for the sets of source addresses. */
export function sourceChanges(sources: SourceAddresses): SetElementsChange[] {
	const change = (verb: 'add' | 'remove', entries: readonly (readonly [string, true])[]) =>
		grouped(entries, ([key]) => {
			const [set = '', name = '', address = ''] = key.split(' ');
			return [set, sourceElement(name, address)];
		}).map(([set, elements]) => ({ set, verb, elements }));
	return [...change('remove', sources.removed()), ...change('add', sources.added())];
}

function grouped<Entry>(
	entries: readonly Entry[],
	place: (entry: Entry) => readonly [set: string, element: SetElement] | undefined,
): (readonly [string, readonly SetElement[]])[] {
	const bySet = new Map<string, SetElement[]>();
	for (const entry of entries) {
		const placed = place(entry);
		if (placed === undefined) continue;
		const [set, element] = placed;
		const elements = bySet.get(set);
		if (elements === undefined) bySet.set(set, [element]);
		else elements.push(element);
	}
	return [...bySet];
}

function emptySets(): SetSpec[] {
	return [
		...dispatchMaps.map((name) => ({
			name,
			kind: 'map' as const,
			declaration: 'type ifname : verdict;',
			elements: [],
		})),
		...(['ipv4', 'ipv6'] as const).map((family) => ({
			name: sourceSets[family],
			kind: 'set' as const,
			declaration: `type ifname . ${family}_addr;`,
			elements: [],
		})),
	];
}

/**
 * For pods a jump: from a chain that another program emptied, a packet returns to the base chain,
 * which drops it. Chains of host endpoints may decide nothing.
 */
const dispatchElement = (map: string, name: string, chain: string): SetElement => ({
	key: interfaceKey(name),
	data: { type: map.endsWith('-workload') ? 'jump' : 'goto', chain },
});

const sourceElement = (name: string, address: string): SetElement => ({
	key: concatenate(interfaceKey(name), parseAddress(address).bytes),
});
