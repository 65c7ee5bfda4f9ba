import {
	type CounterInfo,
	type ElementChange,
	type LoadRules,
	NfTables,
	type SetElement,
	type TableFamily,
} from '../linux/index.ts';
import { additions, removals } from './structure.ts';
import {
	basePrefix,
	type ChainSpec,
	changeTexts,
	elementKey,
	type SetElementsChange,
	type SetSpec,
	type TableChange,
	type TableContent,
} from './table.ts';

/** Sweeping costs as much as a change; those of this time go together. */
const sweepAfterMs = 500;

/** A new set with more elements is filled in a transaction of its own. */
const mostInitialElements = 500;

export interface TableKernelDependencies {
	readonly load: LoadRules;
}

/** One table of ours in the kernel: read back whole, changed by difference. */
export class TableKernel {
	readonly family: TableFamily;
	readonly name: string;
	readonly #load: LoadRules;
	readonly #tables = new NfTables();
	/** What nothing refers to any more and is still there, by name. */
	readonly #orphans = new Map<string, Partial<Pick<TableChange, 'removeChains' | 'removeSets' | 'removeCounters'>>>();
	/** Elements that no rule leads to any more and are still there, by set and key. */
	readonly #elements = new Map<string, Map<string, SetElement>>();
	#timer: NodeJS.Timeout | undefined;
	/** The generation of the ruleset at which the table was last seen to be whole. */
	#intactAt: number | undefined;
	#last: Promise<unknown> = Promise.resolve();

	/** @throws SystemCallError */
	constructor(family: TableFamily, name: string, { load }: TableKernelDependencies) {
		this.family = family;
		this.name = name;
		this.#load = load;
	}

	/** What nothing refers to is left for the next process to find. */
	close(): void {
		clearTimeout(this.#timer);
		this.#tables.close();
	}

	/** Number of the ruleset; it differs from an earlier one after any change, ours or others'. */
	generation(): Promise<number> {
		return this.#tables.generation();
	}

	/** Everything that the table holds; elements of `dynamic` sets are left out. */
	read(): Promise<TableContent> {
		return this.#exclusive(async () => {
			await this.#sweep();
			return this.#readContent();
		});
	}

	async #readContent(): Promise<TableContent> {
		const chains = new Map<string, number>();
		for (const name of await this.#tables.chains(this.family, this.name)) chains.set(name, 0);
		for (const [name, count] of await this.#tables.ruleCounts(this.family, this.name)) chains.set(name, count);
		const sets = new Map<string, Pick<SetSpec, 'kind' | 'elements'>>();
		for (const { name, dynamic, map } of await this.#tables.sets(this.family, this.name))
			sets.set(name, {
				kind: map ? 'map' : 'set',
				elements: dynamic ? [] : await this.#tables.elements(this.family, this.name, name),
			});
		const counters = new Set((await this.counters()).map(({ name }) => name));
		return { chains, sets, counters };
	}

	/**
	 * Does the table hold these chains, each with its number of rules, and these sets? Elements are
	 * not looked at. Costs one question as long as the ruleset of the machine does not change at all.
	 */
	holds(chains: Iterable<ChainSpec>, sets: Iterable<string>): Promise<boolean> {
		return this.#exclusive(async () => {
			const generation = await this.#tables.generation();
			if (generation === this.#intactAt) return true;
			const counts = await this.#tables.ruleCounts(this.family, this.name);
			for (const { name, rules } of chains) if ((counts.get(name) ?? 0) !== rules.length) return false;
			const present = new Set((await this.#tables.sets(this.family, this.name)).map(({ name }) => name));
			for (const name of sets) if (!present.has(name)) return false;
			this.#intactAt = generation;
			return true;
		});
	}

	/** Names of the sets and maps. */
	async setNames(): Promise<string[]> {
		return (await this.#tables.sets(this.family, this.name)).map(({ name }) => name);
	}

	/** The elements of one set, dynamic ones included. */
	elements(set: string): Promise<SetElement[]> {
		return this.#tables.elements(this.family, this.name, set);
	}

	/** Changes elements of sets that exist, in one transaction. @throws NfTablesError */
	changeElements(changes: readonly SetElementsChange[]): Promise<void> {
		return this.#tables.transaction(changes.map((part) => ({ family: this.family, table: this.name, ...part })));
	}

	counters(): Promise<CounterInfo[]> {
		return this.#tables.counters(this.family, this.name);
	}

	/**
	 * Writes a change. Packets see it at one point, the transaction with all elements; new sets and
	 * chains stand before it and base chains are replaced behind it. What nothing refers to any more
	 * goes some time later, and so do elements that no rule leads to. The order matters: a packet
	 * that is judged during a commit sees the rules of before and the elements of after, thus a
	 * chain that comes in the transaction of the element that leads to it is empty for this packet,
	 * and lets it pass. @throws RulesetError, NfTablesError: the change is partly done and the table
	 * must be read again
	 */
	change(change: TableChange): Promise<void> {
		return this.#exclusive(() => this.#write(change));
	}

	/** Resolves when nothing is left that nothing refers to. */
	settled(): Promise<void> {
		return this.#exclusive(() => this.#sweep());
	}

	async #write(change: TableChange): Promise<void> {
		const added = [...change.addChains, ...change.addSets, ...change.addCounters.map((name) => ({ name }))];
		// What comes back under a name that is about to go must be made anew.
		if (added.some(({ name }) => this.#orphans.has(name))) await this.#sweep();
		const { prepare, hook, unhook } = changeTexts(this.family, this.name, change);
		const structure = prepare === '' ? undefined : additions(change);
		const common = { family: this.family, table: this.name } as const;
		if (structure !== undefined) await this.#tables.transaction([], { structure: { ...common, changes: structure } });
		else if (prepare !== '' || hook !== '') await this.#load(`add table ${this.family} ${this.name}\n${prepare}`);
		const filled: ElementChange[] = [];
		for (const { name: set, elements } of change.addSets) {
			const part = { ...common, verb: 'add' as const, set, elements };
			// No packet passes a new set yet. What is large goes before the rest, one at a time: its
			// elements need not be in memory together, and the rest commits sooner.
			if (elements.length > mostInitialElements) await this.#tables.transaction([part]);
			else filled.push(part);
		}
		const elements = [
			...this.#returning(change.elements),
			...filled,
			...change.elements.map((part) => ({ ...common, ...part })),
		].filter((part) => part.elements.length > 0);
		if (elements.length > 0) await this.#tables.transaction(elements);
		if (hook !== '') await this.#load(hook);
		if (unhook !== '') await this.#load(unhook);
		this.#orphan(change);
	}

	/** What is about to go and is added again: it goes in the same transaction, before that. */
	#returning(changes: TableChange['elements']): ElementChange[] {
		return changes.flatMap(({ verb, set, elements }) => {
			const leaving = this.#elements.get(set);
			if (verb === 'remove' || leaving === undefined) return [];
			const returning = elements.filter((element) => leaving.delete(elementKey(element)));
			const common = { family: this.family, table: this.name, set, verb: 'remove' } as const;
			return returning.length === 0 ? [] : [{ ...common, elements: returning.map(({ key }) => ({ key })) }];
		});
	}

	#orphan({ removeChains, removeSets, removeCounters, removeElements = [] }: TableChange): void {
		for (const { set, elements } of removeElements) {
			const leaving = this.#elements.get(set) ?? new Map<string, SetElement>();
			for (const element of elements) leaving.set(elementKey(element), element);
			this.#elements.set(set, leaving);
		}
		for (const chain of removeChains)
			if (!chain.name.startsWith(basePrefix)) this.#orphans.set(chain.name, { removeChains: [chain] });
		for (const set of removeSets) this.#orphans.set(set.name, { removeSets: [set] });
		for (const name of removeCounters) this.#orphans.set(name, { removeCounters: [name] });
		if (this.#orphans.size === 0 && this.#elements.size === 0) return;
		this.#timer ??= setTimeout(() => {
			// A failure leaves what the next reading finds.
			void this.settled().catch(() => undefined);
		}, sweepAfterMs).unref();
	}

	async #sweep(): Promise<void> {
		clearTimeout(this.#timer);
		this.#timer = undefined;
		if (this.#orphans.size === 0 && this.#elements.size === 0) return;
		const all = [...this.#orphans.values()];
		const common = { family: this.family, table: this.name } as const;
		// A set that goes takes its elements along.
		const elements = [...this.#elements]
			.filter(([set, leaving]) => leaving.size > 0 && !this.#orphans.has(set))
			.map(([set, leaving]) => ({ ...common, verb: 'remove' as const, set, elements: [...leaving.values()] }));
		this.#orphans.clear();
		this.#elements.clear();
		const changes = removals({
			removeChains: all.flatMap(({ removeChains = [] }) => removeChains),
			removeSets: all.flatMap(({ removeSets = [] }) => removeSets),
			removeCounters: all.flatMap(({ removeCounters = [] }) => removeCounters),
		});
		await this.#tables.transaction(elements, { structure: { ...common, changes } });
	}

	#exclusive<T>(work: () => Promise<T>): Promise<T> {
		const result = this.#last.then(work);
		this.#last = result.catch(() => undefined);
		return result;
	}

	/** Removes the table with everything in it; `false`: there was none. */
	remove(): Promise<boolean> {
		return this.#exclusive(() => this.#removeTable());
	}

	async #removeTable(): Promise<boolean> {
		clearTimeout(this.#timer);
		this.#timer = undefined;
		this.#orphans.clear();
		this.#elements.clear();
		if (!(await this.#tables.tables(this.family)).includes(this.name)) return false;
		await this.#load(`delete table ${this.family} ${this.name}\n`);
		return true;
	}
}
