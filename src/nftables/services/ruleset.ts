import { type Family, parseAddress } from '../../core/index.ts';
import { concatenate, type SetElement } from '../../linux/index.ts';
import {
	type Backend,
	type Frontend,
	type FrontendKey,
	type Pool,
	type PoolKey,
	type ServicesDifference,
	type ServicesModel,
	type ServicesSettings,
	serviceOutcomes,
} from '../../services/index.ts';
import { intervalElements } from '../policy/sets.ts';
import { Tracked } from '../policy/tracked.ts';
import {
	type ChainSpec,
	elementsDifference,
	nothingChanges,
	removedLater,
	type SetElementsChange,
	type SetSpec,
	type TableChange,
	type TableSpec,
} from '../table.ts';
import { baseServiceChains, countingChains, type FrontendTrees, treatmentKey, treesOf } from './chains.ts';
import { frontendElements, type PlacedElement, poolsOf } from './elements.ts';
import {
	clusterIpsSet,
	families,
	fixedSets,
	hairpinSet,
	isBackendMap,
	kindOf,
	nodeAddressesSet,
	podsSet,
	serviceRangesSet,
} from './names.ts';

/** Frontends are treated in fewer ways than this. */
const mostTrees = 10_000;

/**
 * Ways of treatment that are kept after the last frontend has another one. A Service whose
 * endpoints come and go returns to them; making chains by text takes 10 ms and more.
 */
const mostKept = 64;

/** A change, and the dynamic sets whose clients must be forgotten because a backend left. */
export interface ServicesTableChange {
	readonly change: TableChange;
	/** By frontends with affinity whose backends changed. */
	readonly forget: readonly Frontend[];
}

/**
 * Services of a node as one table. It holds the model that the kernel has, no element: what a
 * change writes is rendered from the parts before and after it.
 */
export class ServicesRuleset {
	readonly #frontends = new Map<FrontendKey, Frontend>();
	readonly #pools = new Map<PoolKey, Pool>();
	readonly #frontendsOfPool = new Map<PoolKey, Set<FrontendKey>>();
	readonly #clusterIps = new Set<string>();
	readonly #chains = new Tracked<ChainSpec>(() => true);
	readonly #sets = new Tracked<SetSpec>(() => true);
	/** Addresses of all backends: also one of another node may come back by this one. */
	readonly #backends = new Tracked<true>();
	readonly #trees = new Map<string, FrontendTrees>();
	/** Recently used; the oldest first. */
	readonly #kept = new Set<FrontendTrees>();
	#settings: ServicesSettings | undefined;
	#base: readonly ChainSpec[] = [];

	constructor() {
		for (const set of fixedSets()) this.#sets.hold(set.name, set);
	}

	/** Names of what is there, with the chains' rules; elements are left out. */
	structure(): { readonly chains: readonly ChainSpec[]; readonly sets: readonly string[] } {
		return {
			chains: [...this.#chains.entries()].map(([, chain]) => chain),
			sets: [...this.#sets.entries()].map(([name]) => name),
		};
	}

	/** The whole table. */
	spec(): TableSpec {
		const elements = new Map<string, SetElement[]>();
		const place = ({ set, element }: PlacedElement) => {
			const list = elements.get(set);
			if (list === undefined) elements.set(set, [element]);
			else list.push(element);
		};
		for (const frontend of this.#frontends.values()) this.#elements(frontend, this.#treesOf(frontend)).forEach(place);
		for (const address of this.#clusterIps) place(addressElement(clusterIpsSet, address));
		for (const [address] of this.#backends.entries()) place(hairpinElement(address));
		if (this.#settings !== undefined)
			for (const [set, list] of settingsElements(this.#settings)) for (const element of list) place({ set, element });
		return {
			chains: new Map(this.#chains.entries()),
			sets: new Map(
				[...this.#sets.entries()].map(([name, set]) => [name, { ...set, elements: elements.get(name) ?? [] }]),
			),
			counters: new Set(serviceOutcomes),
		};
	}

	/** Takes over a whole model, from any earlier state; nothing is rendered yet. */
	replace(model: ServicesModel): void {
		for (const key of [...this.#frontends.keys()]) this.#setFrontend(key, undefined);
		for (const key of [...this.#pools.keys()]) this.#removePool(key);
		for (const tracked of [this.#chains, this.#sets]) tracked.clear();
		this.#kept.clear();
		for (const set of fixedSets()) this.#sets.hold(set.name, set);
		this.#base = [];
		this.#changeSettings(model.settings);
		for (const pool of model.pools.values()) this.#setPool(pool);
		for (const frontend of model.frontends.values()) {
			this.#setFrontend(frontend.key, frontend);
			this.#count(this.#treesOf(frontend), 'hold');
		}
		this.#clusterIps.clear();
		for (const address of model.clusterIps) this.#clusterIps.add(address);
	}

	/** What a difference of the model changes in the table. */
	change({
		settings,
		pools,
		frontends,
		clusterIps,
	}: Pick<ServicesDifference, 'settings' | 'pools' | 'frontends' | 'clusterIps'>): ServicesTableChange {
		for (const tracked of [this.#chains, this.#sets, this.#backends]) tracked.begin();
		const touched = new Set<FrontendKey>();
		for (const { after } of frontends.set) touched.add(after.key);
		for (const { key } of frontends.removed) touched.add(key);
		for (const key of [...pools.set.map(({ after }) => after.key), ...pools.removed.map((pool) => pool.key)])
			for (const frontend of this.#frontendsOfPool.get(key) ?? []) touched.add(frontend);
		const before = this.#collect(touched, 'release');
		const forget = this.#withChangedAffinity(
			touched,
			pools.set.map(({ after }) => after),
		);
		for (const { after } of pools.set) this.#setPool(after);
		for (const { key } of frontends.removed) this.#setFrontend(key, undefined);
		for (const { after } of frontends.set) this.#setFrontend(after.key, after);
		for (const { key } of pools.removed) this.#removePool(key);
		const after = this.#collect(touched, 'hold');
		const elements: SetElementsChange[] = [];
		for (const set of new Set([...before.keys(), ...after.keys()]))
			elements.push(...elementsDifference(set, before.get(set) ?? [], after.get(set) ?? []));
		elements.push(...this.#changeClusterIps(clusterIps), ...this.#hairpinChanges());
		if (settings !== undefined) elements.push(...this.#changeSettings(settings));
		return { change: this.#tableChange(elements), forget };
	}

	/** Releases what is kept and not used. */
	dropKept(): TableChange {
		for (const tracked of [this.#chains, this.#sets]) tracked.begin();
		for (const trees of this.#kept) this.#count(trees, 'release');
		this.#kept.clear();
		return this.#tableChange([]);
	}

	/** Elements, with the chains and sets that have come or gone since the last `begin`. */
	#tableChange(elements: readonly SetElementsChange[]): TableChange {
		const addSets = this.#sets.added().map(([, set]) => set);
		const added = new Set(addSets.map(({ name }) => name));
		const removedSets = this.#sets.removed().map(([, set]) => set);
		const gone = new Set(removedSets.map(({ name }) => name));
		const change: TableChange = {
			...nothingChanges,
			addSets: addSets.map((set) => ({
				...set,
				elements: elements
					.filter((part) => part.set === set.name && part.verb === 'add')
					.flatMap((part) => part.elements),
			})),
			addChains: this.#chains.added().map(([, chain]) => chain),
			// A set that goes takes its elements along; one that comes has them from the beginning.
			elements: elements.filter(({ set }) => !added.has(set) && !gone.has(set)),
			removeChains: this.#chains.removed().map(([, chain]) => chain),
			removeSets: removedSets,
		};
		return removedLater(change, isBackendMap);
	}

	#pool = (key: PoolKey): Pool | undefined => this.#pools.get(key);

	#elements(frontend: Frontend, trees: FrontendTrees): PlacedElement[] {
		return frontendElements(frontend, this.#pool, trees);
	}

	/** Chains depend on few things: those of one key are made once. */
	#treesOf(frontend: Frontend): FrontendTrees {
		const { family, actions } = frontend;
		const treatment = { family, kind: kindOf(frontend), actions, pool: this.#pool };
		const key = treatmentKey(treatment);
		const known = this.#trees.get(key);
		if (known !== undefined) return known;
		if (this.#trees.size >= mostTrees) this.#trees.clear();
		const trees = treesOf(treatment);
		this.#trees.set(key, trees);
		return trees;
	}

	/** The chains and sets of a frontend are held or released. */
	#count({ translates, refuses }: FrontendTrees, verb: 'hold' | 'release'): void {
		for (const tree of [translates, refuses]) {
			for (const chain of tree?.chains ?? []) this.#chains[verb](chain.name, chain);
			for (const set of tree?.sets ?? []) this.#sets[verb](set.name, set);
		}
	}

	/** Before the last frontend leaves: what is kept has one user more. */
	#keep(trees: FrontendTrees): void {
		if (!this.#kept.delete(trees)) this.#count(trees, 'hold');
		this.#kept.add(trees);
		if (this.#kept.size <= mostKept) return;
		const [oldest] = this.#kept;
		if (oldest === undefined) return;
		this.#kept.delete(oldest);
		this.#count(oldest, 'release');
	}

	/**
	 * The elements of these frontends as they are, by set; their chains and sets are held or
	 * released.
	 */
	#collect(keys: ReadonlySet<FrontendKey>, verb: 'hold' | 'release'): Map<string, SetElement[]> {
		const bySet = new Map<string, SetElement[]>();
		for (const key of keys) {
			const frontend = this.#frontends.get(key);
			if (frontend === undefined) continue;
			const trees = this.#treesOf(frontend);
			this.#keep(trees);
			this.#count(trees, verb);
			for (const { set, element } of this.#elements(frontend, trees)) {
				const list = bySet.get(set);
				if (list === undefined) bySet.set(set, [element]);
				else list.push(element);
			}
		}
		return bySet;
	}

	/** Frontends with affinity of which a number stands for another backend now. */
	#withChangedAffinity(touched: ReadonlySet<FrontendKey>, pools: readonly Pool[]): Frontend[] {
		const moved = new Set(
			pools.flatMap((pool) => {
				const old = this.#pools.get(pool.key)?.backends ?? [];
				const same = old.every((backend, index) => isSameBackend(backend, pool.backends[index]));
				return pool.affinityTimeoutSeconds === undefined || same ? [] : [pool.key];
			}),
		);
		return [...touched].flatMap((key) => {
			const frontend = this.#frontends.get(key);
			return frontend !== undefined && poolsOf(frontend).some((pool) => moved.has(pool)) ? [frontend] : [];
		});
	}

	#setPool(pool: Pool): void {
		this.#removePool(pool.key);
		this.#pools.set(pool.key, pool);
		for (const { address } of pool.backends) this.#backends.hold(address, true);
	}

	#removePool(key: PoolKey): void {
		for (const { address } of this.#pools.get(key)?.backends ?? []) this.#backends.release(address);
		this.#pools.delete(key);
	}

	#setFrontend(key: FrontendKey, frontend: Frontend | undefined): void {
		const old = this.#frontends.get(key);
		for (const pool of old === undefined ? [] : poolsOf(old)) {
			const users = this.#frontendsOfPool.get(pool);
			users?.delete(key);
			if (users?.size === 0) this.#frontendsOfPool.delete(pool);
		}
		if (frontend === undefined) {
			this.#frontends.delete(key);
			return;
		}
		this.#frontends.set(key, frontend);
		for (const pool of poolsOf(frontend)) {
			const users = this.#frontendsOfPool.get(pool) ?? new Set();
			this.#frontendsOfPool.set(pool, users.add(key));
		}
	}

	#changeClusterIps({ added, removed }: ServicesDifference['clusterIps']): SetElementsChange[] {
		const gone = removed.filter((address) => this.#clusterIps.delete(address));
		const come = added.filter((address) => !this.#clusterIps.has(address));
		for (const address of come) this.#clusterIps.add(address);
		return byPlace([
			...gone.map((address) => ({ verb: 'remove' as const, ...addressElement(clusterIpsSet, address) })),
			...come.map((address) => ({ verb: 'add' as const, ...addressElement(clusterIpsSet, address) })),
		]);
	}

	#hairpinChanges(): SetElementsChange[] {
		return byPlace([
			...this.#backends.removed().map(([address]) => ({ verb: 'remove' as const, ...hairpinElement(address) })),
			...this.#backends.added().map(([address]) => ({ verb: 'add' as const, ...hairpinElement(address) })),
		]);
	}

	#changeSettings(settings: ServicesSettings): SetElementsChange[] {
		const before = this.#settings === undefined ? new Map<string, SetElement[]>() : settingsElements(this.#settings);
		this.#settings = settings;
		const base = [...baseServiceChains(settings), ...countingChains(settings)];
		for (const chain of base) this.#chains.hold(chain.name, chain);
		for (const chain of this.#base) this.#chains.release(chain.name);
		this.#base = base;
		return [...settingsElements(settings)].flatMap(([set, elements]) =>
			elementsDifference(set, before.get(set) ?? [], elements),
		);
	}
}

const isSameBackend = (left: Backend, right: Backend | undefined): boolean =>
	right !== undefined && left.address === right.address && left.port === right.port;

const familyOf = (address: string): Family => (address.includes(':') ? 'ipv6' : 'ipv4');

const addressElement = (set: (family: Family) => string, address: string): PlacedElement => ({
	set: set(familyOf(address)),
	element: { key: parseAddress(address).bytes },
});

function hairpinElement(address: string): PlacedElement {
	const { bytes } = parseAddress(address);
	return { set: hairpinSet(familyOf(address)), element: { key: concatenate(bytes, bytes) } };
}

function byPlace(changes: readonly (PlacedElement & { readonly verb: 'add' | 'remove' })[]): SetElementsChange[] {
	const lists = new Map<string, { set: string; verb: 'add' | 'remove'; elements: SetElement[] }>();
	for (const { set, verb, element } of changes) {
		const key = `${verb} ${set}`;
		const list = lists.get(key) ?? { set, verb, elements: [] };
		list.elements.push(element);
		lists.set(key, list);
	}
	return [...lists.values()];
}

/** Elements of the sets that follow from the settings. */
function settingsElements({
	podRanges,
	serviceRanges,
	nodePortAddresses,
}: ServicesSettings): Map<string, SetElement[]> {
	const of = (ranges: ServicesSettings['serviceRanges'], family: Family) =>
		intervalElements(ranges.filter((range) => familyOf(range) === family));
	return new Map(
		families.flatMap((family) => {
			const answers = nodePortAddresses[family];
			const addresses = answers.type === 'addresses' ? [...new Set(answers.addresses)] : [];
			return [
				[podsSet(family), of(podRanges ?? [], family)] as const,
				[serviceRangesSet(family), of(serviceRanges, family)] as const,
				[nodeAddressesSet(family), addresses.map((address) => ({ key: parseAddress(address).bytes }))] as const,
			];
		}),
	);
}
