import { createHash } from 'node:crypto';
import type { SetElement, TableFamily } from '../linux/index.ts';

/**
 * A chain. Its name contains a hash of its content, so that a chain that exists under a name has
 * that content.
 */
export interface ChainSpec {
	readonly name: string;
	/** `type filter hook forward priority -10; policy accept;` for a base chain. */
	readonly hook?: string;
	/** One rule each, in nft's language. */
	readonly rules: readonly string[];
}

/** A set or map. What its name does not tell of its type never changes. */
export interface SetSpec {
	readonly name: string;
	readonly kind: 'set' | 'map';
	/** `type ipv4_addr; flags interval;` */
	readonly declaration: string;
	/** Filled by rules: its elements are neither read nor written by us. */
	readonly dynamic?: boolean;
	readonly elements: readonly SetElement[];
}

/** Elements of a set that exists. */
export interface SetElementsChange {
	readonly set: string;
	readonly verb: 'add' | 'remove';
	readonly elements: readonly SetElement[];
}

/** What turns one state of a table into another. */
export interface TableChange {
	readonly addCounters: readonly string[];
	readonly addSets: readonly SetSpec[];
	readonly addChains: readonly ChainSpec[];
	/** Of sets that exist before; removals stand before additions of the same key. */
	readonly elements: readonly SetElementsChange[];
	readonly removeChains: readonly ChainSpec[];
	readonly removeSets: readonly Pick<SetSpec, 'name' | 'kind'>[];
	readonly removeCounters: readonly string[];
	/** Absent: none. Elements that no rule leads to after the change. */
	readonly removeElements?: readonly Pick<SetElementsChange, 'set' | 'elements'>[];
}

/** A table as it should be. */
export interface TableSpec {
	readonly chains: ReadonlyMap<string, ChainSpec>;
	readonly sets: ReadonlyMap<string, SetSpec>;
	readonly counters: ReadonlySet<string>;
}

/** A table as it was read; without one, everything is empty. */
export interface TableContent {
	/** Number of rules by chain. */
	readonly chains: ReadonlyMap<string, number>;
	readonly sets: ReadonlyMap<string, Pick<SetSpec, 'kind' | 'elements'>>;
	readonly counters: ReadonlySet<string>;
}

export const nothingChanges: TableChange = {
	addCounters: [],
	addSets: [],
	addChains: [],
	elements: [],
	removeChains: [],
	removeSets: [],
	removeCounters: [],
};

/** How many objects and elements a change adds and removes. */
export function sizeOf(change: TableChange): { readonly added: number; readonly removed: number } {
	const count = (parts: readonly Pick<SetElementsChange, 'elements'>[]) =>
		parts.reduce((sum, part) => sum + part.elements.length, 0);
	const elements = (verb: SetElementsChange['verb']) => count(change.elements.filter((part) => part.verb === verb));
	const filled = change.addSets.reduce((sum, { elements: initial }) => sum + initial.length, 0);
	return {
		added: change.addCounters.length + change.addSets.length + change.addChains.length + filled + elements('add'),
		removed:
			change.removeCounters.length +
			change.removeSets.length +
			change.removeChains.length +
			count(change.removeElements ?? []) +
			elements('remove'),
	};
}

/** `PREFIX-HASH`: the name of a chain with this content. */
export function chainNamed(prefix: string, rules: readonly string[], hook?: string): ChainSpec {
	const hash = shortHash([hook ?? '', ...rules].join('\n'));
	return { name: `${prefix}-${hash}`, rules, ...(hook === undefined ? {} : { hook }) };
}

/** 12 hexadecimal digits. */
export const shortHash = (text: string): string => createHash('sha1').update(text).digest('hex').slice(0, 12);

/** Text that identifies an element within its set. */
export const elementKey = ({ key, keyEnd, intervalEnd }: SetElement): string => {
	const end = keyEnd === undefined ? '' : `|${Buffer.from(keyEnd).toString('latin1')}`;
	return `${Buffer.from(key).toString('latin1')}${intervalEnd === true ? '|end' : ''}${end}`;
};

/**
 * Removals from these sets happen later, those of keys that come back at once excepted. A packet
 * that is on its way when a change is committed has found the way of before in one map, and looks
 * up in the next one after it.
 */
export function removedLater(change: TableChange, isLater: (set: string) => boolean): TableChange {
	const later = change.elements.filter(({ verb, set }) => verb === 'remove' && isLater(set));
	if (later.length === 0) return change;
	const added = new Map<string, Set<string>>();
	for (const { verb, set, elements } of change.elements)
		if (verb === 'add') added.set(set, new Set([...(added.get(set) ?? []), ...elements.map(elementKey)]));
	const returns = (set: string) => (element: SetElement) => added.get(set)?.has(elementKey(element)) === true;
	return {
		...change,
		elements: change.elements.flatMap((part) => {
			if (!later.includes(part)) return [part];
			const elements = part.elements.filter(returns(part.set));
			return elements.length === 0 ? [] : [{ ...part, elements }];
		}),
		removeElements: later.flatMap(({ set, elements }) => {
			const gone = elements.filter((element) => !returns(set)(element));
			return gone.length === 0 ? [] : [{ set, elements: gone }];
		}),
	};
}

const dataKey = ({ data }: SetElement): string =>
	data === undefined
		? ''
		: data instanceof Uint8Array
			? Buffer.from(data).toString('latin1')
			: `${data.type} ${'chain' in data ? data.chain : ''}`;

/** Ascending, the end of an interval before the start of the next at the same place. */
const byKey = (left: SetElement, right: SetElement): number =>
	Buffer.compare(left.key, right.key) || Number(right.intervalEnd === true) - Number(left.intervalEnd === true);

/** What turns a list of elements into another. */
export function elementsDifference(
	set: string,
	before: readonly SetElement[],
	after: readonly SetElement[],
): SetElementsChange[] {
	const known = new Map(before.map((element) => [elementKey(element), element]));
	const added: SetElement[] = [];
	const removed: SetElement[] = [];
	for (const element of after) {
		const key = elementKey(element);
		const old = known.get(key);
		if (old !== undefined && dataKey(old) === dataKey(element)) known.delete(key);
		else added.push(element);
	}
	// What was read may be in descending order, in which the kernel (6.18) does not find the end of
	// an interval.
	removed.push(...[...known.values()].sort(byKey));
	const change = (verb: 'add' | 'remove', elements: readonly SetElement[]) =>
		elements.length === 0 ? [] : [{ set, verb, elements }];
	return [...change('remove', removed), ...change('add', added)];
}

/**
 * The difference of what was read and what should be. A chain with a wrong number of rules was
 * changed by others and is replaced.
 */
export function tableDifference(content: TableContent, spec: TableSpec): TableChange {
	const addChains: ChainSpec[] = [];
	const removeChains: ChainSpec[] = [];
	for (const chain of spec.chains.values()) {
		const rules = content.chains.get(chain.name);
		if (rules === chain.rules.length) continue;
		// Both lists name a base chain whose rules are replaced; any other is flushed when it is added.
		if (rules !== undefined && chain.hook !== undefined) removeChains.push(chain);
		addChains.push(chain);
	}
	for (const name of content.chains.keys()) if (!spec.chains.has(name)) removeChains.push({ name, rules: [] });
	const elements: SetElementsChange[] = [];
	const addSets: SetSpec[] = [];
	for (const set of spec.sets.values()) {
		const present = content.sets.get(set.name);
		if (present === undefined) addSets.push(set);
		else if (set.dynamic !== true) elements.push(...elementsDifference(set.name, present.elements, set.elements));
	}
	return {
		addCounters: [...spec.counters].filter((name) => !content.counters.has(name)),
		addSets,
		addChains,
		elements,
		removeChains,
		removeSets: [...content.sets].flatMap(([name, { kind }]) => (spec.sets.has(name) ? [] : [{ name, kind }])),
		removeCounters: [...content.counters].filter((name) => !spec.counters.has(name)),
	};
}

/** nft text of the parts of a change, each one transaction. Empty: nothing to do. */
export interface ChangeTexts {
	/** Counters, sets without elements, chains that no packet passes yet. */
	readonly prepare: string;
	/** New base chains, and new rules of base chains that keep their name. */
	readonly hook: string;
	/**
	 * Removes old base chains. A transaction of its own: a packet that entered the new chain before
	 * the commit, where it is empty, and the old one behind it would pass both.
	 */
	readonly unhook: string;
}

/** Renders the structure of a change; elements go another way. */
export function changeTexts(family: TableFamily, table: string, change: TableChange): ChangeTexts {
	const at = `${family} ${table}`;
	const isBase = (chain: ChainSpec) => chain.hook !== undefined || chain.name.startsWith(basePrefix);
	const plain = change.addChains.filter((chain) => !isBase(chain));
	const chainLines = (chain: ChainSpec): string[] => [
		chain.hook === undefined ? `add chain ${at} ${chain.name}` : `add chain ${at} ${chain.name} { ${chain.hook} }`,
		...(chain.hook === undefined ? [`flush chain ${at} ${chain.name}`] : []),
	];
	const ruleLines = (chain: ChainSpec) => chain.rules.map((rule) => `add rule ${at} ${chain.name} ${rule}`);
	// All chains first: a rule may jump to any of them.
	const prepare = [
		...change.addCounters.map((name) => `add counter ${at} ${name}`),
		...change.addSets.map(({ kind, name, declaration }) => `add ${kind} ${at} ${name} { ${declaration} }`),
		...plain.flatMap(chainLines),
		...plain.flatMap(ruleLines),
	];
	const bases = change.addChains.filter(isBase);
	const kept = new Set(bases.map(({ name }) => name));
	const removedBases = change.removeChains.filter(isBase);
	// A base chain that others changed keeps its hook: rules that are replaced in one transaction
	// leave no gap.
	const [replaced, removed] = [
		removedBases.filter(({ name }) => kept.has(name)),
		removedBases.filter(({ name }) => !kept.has(name)),
	];
	const hook = [
		...replaced.map(({ name }) => `flush chain ${at} ${name}`),
		...bases.flatMap((chain) => [...chainLines(chain), ...ruleLines(chain)]),
	];
	const unhook = removed.flatMap(({ name }) => [`flush chain ${at} ${name}`, `delete chain ${at} ${name}`]);
	const text = (lines: readonly string[]) => (lines.length === 0 ? '' : `${lines.join('\n')}\n`);
	return { prepare: text(prepare), hook: text(hook), unhook: text(unhook) };
}

/** Names of base chains begin with this, so that they are known when they are read back. */
export const basePrefix = 'base-';
