import type { PrefixKey } from '../../src/core/index.ts';
import {
	type Affinity,
	type Block,
	ConflictError,
	defaultIpamConfig,
	type Handle,
	type IpamConfig,
	type IpamStore,
	type Listing,
	type Pool,
	type Store,
	type Unreadable,
	UnreadableError,
	type Versioned,
} from '../../src/ipam/index.ts';

/** The process died at this write: its pending calls never return. */
export class CrashError extends Error {
	override readonly name = 'CrashError';
}

/** Runs before each write: may throw (crash, outage), may run other requests first. */
export type BeforeWrite = (what: {
	readonly kind: string;
	readonly name: string;
	readonly verb: 'create' | 'write' | 'remove';
}) => Promise<void>;

/** The cluster's state, shared by the stores of several nodes. */
export class MemoryCluster {
	readonly blocks = new Map<string, Versioned<Block>>();
	readonly affinities = new Map<string, Versioned<Affinity>>();
	readonly handles = new Map<string, Versioned<Handle>>();
	/** Blocks that exist under these names and are unreadable. */
	readonly unreadable = new Map<string, Unreadable>();
	/** Unreadable blocks that were overwritten or removed with their current version. */
	readonly overwritten: string[] = [];
	pools: Pool[] = [];
	reservations: PrefixKey[] = [];
	config: IpamConfig = defaultIpamConfig;
	namespaceLabels: Record<string, Record<string, string>> = {};
	nodeLabels: Record<string, Record<string, string>> = {};
	readOnlyReason: string | undefined;
	version = 0;
}

/** Makes a block unreadable, as a new version of it; creates the block if it does not exist. */
export function spoilBlock(cluster: MemoryCluster, name: string, cidr: PrefixKey, problem = 'spoiled'): void {
	cluster.unreadable.set(name, { name, problem, cidrs: [cidr] });
	changeBlock(cluster, name, (block) => block);
}

/** A manual write to a block. */
export function changeBlock(cluster: MemoryCluster, name: string, change: (block: Block) => Block): void {
	const found = cluster.blocks.get(name);
	if (found !== undefined) cluster.blocks.set(name, { value: change(found.value), version: String(++cluster.version) });
}

/**
 * Behaves as the API server: refuses stale versions and duplicate creation, responds after a turn
 * of the event loop, counts requests.
 */
class MemoryStore<T extends { readonly deleted: boolean }> implements Store<T> {
	readonly #kind: string;
	readonly #cluster: MemoryCluster;
	readonly #entries: Map<string, Versioned<T>>;
	readonly #cache: Map<string, Versioned<T>> | undefined;
	readonly #counts: RequestCounts;
	readonly #beforeWrite: BeforeWrite;
	readonly #unreadable: ReadonlyMap<string, Unreadable>;

	constructor(
		kind: string,
		cluster: MemoryCluster,
		entries: Map<string, Versioned<T>>,
		cached: boolean,
		counts: RequestCounts,
		beforeWrite: BeforeWrite,
	) {
		this.#unreadable = kind === 'block' ? cluster.unreadable : new Map();
		this.#kind = kind;
		this.#cluster = cluster;
		this.#entries = entries;
		this.#cache = cached ? new Map([...entries].filter(([name]) => !this.#unreadable.has(name))) : undefined;
		this.#counts = counts;
		this.#beforeWrite = beforeWrite;
	}

	async read(name: string, fresh?: 'fresh'): Promise<Versioned<T> | undefined> {
		const cached = fresh === 'fresh' ? undefined : this.#cache?.get(name);
		if (cached !== undefined) return cached;
		this.#counts.reads++;
		await turn();
		const unreadable = this.#unreadable.get(name);
		if (unreadable !== undefined) throw new UnreadableError(unreadable);
		const found = this.#entries.get(name);
		if (found?.value.deleted !== true) return this.#remember(name, found);
		// A reader of the deletion mark completes the deletion.
		await this.remove(name, found).catch((error: unknown) => {
			if (!(error instanceof ConflictError)) throw error;
		});
		return this.#remember(name, undefined);
	}

	async create(name: string, value: T): Promise<Versioned<T>> {
		await this.#begin(name, 'create');
		if (this.#entries.has(name) || this.#unreadable.has(name)) throw new ConflictError(`${this.#kind}/${name} exists`);
		return this.#put(name, value);
	}

	async write(name: string, { value, version }: Versioned<T>): Promise<Versioned<T>> {
		await this.#begin(name, 'write');
		if (this.#entries.get(name)?.version !== version)
			throw new ConflictError(`${this.#kind}/${name} is not at ${version}`);
		if (this.#unreadable.has(name)) this.#cluster.overwritten.push(`${this.#kind}/${name}`);
		return this.#put(name, value);
	}

	async remove(name: string, { version }: Versioned<T>): Promise<void> {
		await this.#begin(name, 'remove');
		const current = this.#entries.get(name);
		if (current !== undefined && current.version !== version)
			throw new ConflictError(`${this.#kind}/${name} is not at ${version}`);
		if (this.#unreadable.has(name)) this.#cluster.overwritten.push(`${this.#kind}/${name}`);
		this.#entries.delete(name);
		this.#cache?.delete(name);
	}

	async list(): Promise<Listing<T>> {
		if (this.#cache === undefined) {
			this.#counts.reads++;
			await turn();
		}
		const readable = [...(this.#cache ?? this.#entries)].filter(
			([name, { value }]) => !value.deleted && !this.#unreadable.has(name),
		);
		return { items: readable.map(([name, entry]) => ({ name, ...entry })), unreadable: [...this.#unreadable.values()] };
	}

	async #begin(name: string, verb: 'create' | 'write' | 'remove'): Promise<void> {
		await this.#beforeWrite({ kind: this.#kind, name, verb });
		this.#counts.writes++;
		this.#counts.byKind[this.#kind] = (this.#counts.byKind[this.#kind] ?? 0) + 1;
		await turn();
	}

	#put(name: string, value: T): Versioned<T> {
		const entry = { value: structuredClone(value), version: String(++this.#cluster.version) };
		this.#entries.set(name, entry);
		this.#remember(name, entry);
		return entry;
	}

	#remember(name: string, entry: Versioned<T> | undefined): Versioned<T> | undefined {
		if (entry === undefined) this.#cache?.delete(name);
		else this.#cache?.set(name, entry);
		return entry;
	}
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Counts of requests to a store. */
export interface RequestCounts {
	reads: number;
	writes: number;
	readonly byKind: Record<string, number>;
}

/**
 * A node's view of the cluster. `cached`: with a copy of the current state that only the node's own
 * requests refresh.
 */
export function memoryStore(
	cluster: MemoryCluster,
	{
		cached = false,
		beforeWrite = async () => {},
	}: { readonly cached?: boolean; readonly beforeWrite?: BeforeWrite } = {},
): IpamStore & { readonly counts: RequestCounts } {
	const counts: RequestCounts = { reads: 0, writes: 0, byKind: {} };
	const affinities = new MemoryStore('affinity', cluster, cluster.affinities, cached, counts, beforeWrite);
	return {
		counts,
		blocks: new MemoryStore('block', cluster, cluster.blocks, cached, counts, beforeWrite),
		affinities,
		handles: new MemoryStore('handle', cluster, cluster.handles, false, counts, beforeWrite),
		async blockCidrs() {
			counts.reads++;
			await turn();
			return [
				...new Set([
					...[...cluster.blocks.values()].filter(({ value }) => !value.deleted).map(({ value }) => value.cidr),
					...[...cluster.unreadable.values()].flatMap(({ cidrs }) => cidrs),
				]),
			];
		},
		affinitiesOf: async (node) =>
			(await affinities.list()).items.map(({ value }) => value).filter((affinity) => affinity.node === node),
		async pools(fresh) {
			if (fresh === 'fresh') {
				counts.reads++;
				await turn();
			}
			return cluster.pools;
		},
		reservations: async () => cluster.reservations,
		config: async () => cluster.config,
		nodeLabels: async (node) => cluster.nodeLabels[node] ?? {},
		namespaceLabels: async (namespace) => cluster.namespaceLabels[namespace] ?? {},
		readOnlyReason: async () => cluster.readOnlyReason,
		unreadable: () => [...cluster.unreadable.values()].map(({ name, problem }) => ({ kind: 'block', name, problem })),
	};
}
