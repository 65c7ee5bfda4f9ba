import { type PrefixKey, parsePrefix } from '../../src/core/index.ts';
import {
	type Affinity,
	addressCount,
	affinityName,
	type Block,
	blockName,
	ConflictError,
	handleName,
	type IpamStore,
	ordinalToAddress,
	type Pool,
	type Store,
	type Versioned,
} from '../../src/ipam/index.ts';

/** Calico's `datastoreRetries`. */
const attempts = 100;

/** The parameters of one assignment. */
export interface ForeignRequest {
	readonly handleId: string;
	/** Requested addresses; fewer may be assigned, and the handle still counts all of them. */
	readonly count: number;
	readonly pool: Pool;
	readonly blocks: readonly PrefixKey[];
}

/**
 * Another writer in the same cluster that behaves as Calico's own allocator: sequential requests,
 * every object read afresh, the handle count raised by the requested number, deletions in two
 * steps. It shares only the shape of the resources with `src/ipam`.
 */
export class CalicoAllocator {
	readonly #node: string;
	readonly #store: IpamStore;
	readonly #nowMs: () => number;
	readonly #cooldownSeconds: number;
	#turn: Promise<unknown> = Promise.resolve();

	constructor(options: {
		readonly node: string;
		readonly store: IpamStore;
		readonly nowMs: () => number;
		readonly cooldownSeconds: number;
	}) {
		this.#node = options.node;
		this.#store = options.store;
		this.#nowMs = options.nowMs;
		this.#cooldownSeconds = options.cooldownSeconds;
	}

	/** The assigned addresses; may be empty. */
	assign(request: ForeignRequest): Promise<readonly string[]> {
		return this.#alone(async () => {
			const given: string[] = [];
			for (const cidr of await this.#affineBlocks(request.pool)) {
				if (given.length === request.count) return given;
				const block = await this.#confirmed(cidr);
				if (block !== undefined) given.push(...(await this.#take(cidr, request, request.count - given.length)));
			}
			for (const cidr of request.blocks) {
				if (given.length === request.count) return given;
				if ((await this.#block(cidr)) !== undefined || (await this.#confirmed(cidr)) === undefined) continue;
				given.push(...(await this.#take(cidr, request, request.count - given.length)));
			}
			for (const cidr of request.blocks) {
				if (given.length === request.count) return given;
				given.push(...(await this.#take(cidr, request, request.count - given.length)));
			}
			return given;
		});
	}

	/** Releases all addresses of the handle; returns the released addresses. */
	release(handleId: string): Promise<readonly string[]> {
		return this.#alone(async () => {
			const handle = await this.#store.handles.read(handleName(handleId), 'fresh');
			const freed: string[] = [];
			// The keys are CIDRs.
			for (const cidr of Object.keys(handle?.value.blocks ?? {}) as PrefixKey[]) {
				const ordinals = await this.#releaseIn(cidr, handleId);
				if (ordinals.length === 0) continue;
				freed.push(...ordinals.map((ordinal) => ordinalToAddress(cidr, ordinal)));
				await this.#lowerHandle(handleId, cidr, ordinals.length);
			}
			return freed;
		});
	}

	/** The host-wide lock. */
	#alone<R>(action: () => Promise<R>): Promise<R> {
		const result = this.#turn.then(action);
		this.#turn = result.catch(() => undefined);
		return result;
	}

	async #affineBlocks(pool: Pool): Promise<readonly PrefixKey[]> {
		const first = pool.cidr.split('.').slice(0, 3).join('.');
		return (await this.#store.affinities.list()).items
			.map(({ value }) => value)
			.filter(({ node, cidr, deleted }) => node === this.#node && !deleted && cidr.startsWith(`${first}.`))
			.map(({ cidr }) => cidr);
	}

	/** The current block, without the cooldowns that have ended, as in every read by Calico. */
	async #block(cidr: PrefixKey): Promise<Versioned<Block> | undefined> {
		const read = await this.#store.blocks.read(blockName(cidr), 'fresh');
		if (read === undefined) return undefined;
		const { value } = read;
		const over = value.allocations.flatMap((index, ordinal) => {
			const at = index === null ? undefined : value.attributes[index]?.releasedAt;
			return at !== undefined && Date.parse(at) < this.#nowMs() - this.#cooldownSeconds * 1000 ? [ordinal] : [];
		});
		return over.length === 0 ? read : { ...read, value: freed(value, over) };
	}

	/**
	 * Claims the block, or completes the claim: affinity pending, block, affinity confirmed.
	 * `undefined`: another node owns it.
	 */
	async #confirmed(cidr: PrefixKey): Promise<Block | undefined> {
		const name = affinityName(this.#node, cidr);
		for (let attempt = 0; attempt < attempts; attempt++) {
			try {
				let affinity = await this.#store.affinities.read(name, 'fresh');
				const block = await this.#block(cidr);
				if (block !== undefined && block.value.affinity !== `host:${this.#node}`) {
					if (affinity !== undefined) await softDelete(this.#store.affinities, name, affinity);
					return undefined;
				}
				if (
					block !== undefined &&
					affinity !== undefined &&
					(affinity.value.state === 'confirmed' || affinity.value.state === '')
				)
					return block.value;
				const pending: Affinity = { state: 'pending', node: this.#node, type: 'host', cidr, deleted: false, other: {} };
				affinity =
					affinity === undefined
						? await this.#store.affinities.create(name, pending)
						: await this.#store.affinities.write(name, { ...affinity, value: { ...affinity.value, state: 'pending' } });
				const touched =
					block === undefined
						? await this.#store.blocks.create(blockName(cidr), this.#newBlock(cidr))
						: await this.#store.blocks.write(blockName(cidr), raised(block));
				await this.#store.affinities.write(name, { ...affinity, value: { ...affinity.value, state: 'confirmed' } });
				return touched.value;
			} catch (error) {
				if (!(error instanceof ConflictError)) throw error;
			}
		}
		throw new Error(`${cidr}: still conflicting`);
	}

	#newBlock(cidr: PrefixKey): Block {
		const size = addressCount(parsePrefix(cidr));
		return {
			cidr,
			affinity: `host:${this.#node}`,
			affinityClaimTime: this.#now(),
			allocations: new Array<null>(size).fill(null),
			unallocated: Array.from({ length: size }, (_, ordinal) => ordinal),
			attributes: [],
			sequenceNumber: BigInt(this.#nowMs()) * 1_000_000n + 1n,
			sequenceNumberForAllocation: {},
			deleted: false,
			other: {},
		};
	}

	readonly #now = (): string => `${new Date(this.#nowMs()).toISOString().slice(0, -5)}Z`;

	/** Up to `count` addresses of a block. */
	async #take(cidr: PrefixKey, { handleId }: ForeignRequest, count: number): Promise<readonly string[]> {
		for (let attempt = 0; attempt < attempts; attempt++) {
			const read = await this.#block(cidr);
			if (read === undefined || read.value.unallocated.length === 0) return [];
			const { value } = read;
			const ordinals = value.unallocated.slice(0, count);
			const allocations = [...value.allocations];
			const sequenceNumberForAllocation = { ...value.sequenceNumberForAllocation };
			for (const ordinal of ordinals) {
				allocations[ordinal] = value.attributes.length;
				sequenceNumberForAllocation[ordinal] = value.sequenceNumber;
			}
			// Counts the requested addresses, not the assigned ones.
			await this.#raiseHandle(handleId, cidr, count);
			const attributes = [
				...value.attributes,
				{ handleId, secondary: { node: this.#node }, releasedAt: undefined, other: {} },
			];
			try {
				await this.#store.blocks.write(
					blockName(cidr),
					raised({
						...read,
						value: {
							...value,
							allocations,
							sequenceNumberForAllocation,
							attributes,
							unallocated: value.unallocated.slice(ordinals.length),
						},
					}),
				);
				return ordinals.map((ordinal) => ordinalToAddress(cidr, ordinal));
			} catch (error) {
				if (!(error instanceof ConflictError)) throw error;
				await this.#lowerHandle(handleId, cidr, count);
			}
		}
		throw new Error(`${cidr}: still conflicting`);
	}

	async #releaseIn(cidr: PrefixKey, handleId: string): Promise<readonly number[]> {
		for (let attempt = 0; attempt < attempts; attempt++) {
			const read = await this.#block(cidr);
			if (read === undefined) return [];
			const { value } = read;
			const ordinals = value.allocations.flatMap((index, ordinal) =>
				index !== null && value.attributes[index]?.handleId === handleId ? [ordinal] : [],
			);
			if (ordinals.length === 0) return [];
			const next = this.#cooldownSeconds === 0 ? freed(value, ordinals) : cooling(value, ordinals, this.#now());
			try {
				if (next.affinity === undefined && next.allocations.every((index) => index === null))
					await softDelete(this.#store.blocks, blockName(cidr), { ...read, value: next });
				else await this.#store.blocks.write(blockName(cidr), raised({ ...read, value: next }));
				return ordinals;
			} catch (error) {
				if (!(error instanceof ConflictError)) throw error;
			}
		}
		throw new Error(`${cidr}: still conflicting`);
	}

	async #raiseHandle(handleId: string, cidr: PrefixKey, count: number): Promise<void> {
		await this.#changeHandle(handleId, cidr, count);
	}

	async #lowerHandle(handleId: string, cidr: PrefixKey, count: number): Promise<void> {
		await this.#changeHandle(handleId, cidr, -count);
	}

	async #changeHandle(handleId: string, cidr: PrefixKey, by: number): Promise<void> {
		const { handles } = this.#store;
		const name = handleName(handleId);
		for (let attempt = 0; attempt < attempts; attempt++) {
			const read = await handles.read(name, 'fresh');
			const counts = { ...read?.value.blocks };
			const left = (counts[cidr] ?? 0) + by;
			if (left > 0) counts[cidr] = left;
			else delete counts[cidr];
			try {
				if (read === undefined) {
					if (by > 0) await handles.create(name, { handleId, blocks: counts, deleted: false, other: {} });
				} else if (Object.keys(counts).length === 0) await softDelete(handles, name, read);
				else await handles.write(name, { ...read, value: { ...read.value, blocks: counts } });
				return;
			} catch (error) {
				if (!(error instanceof ConflictError)) throw error;
			}
		}
		throw new Error(`${handleId}: still conflicting`);
	}
}

/** First marked, then deleted as marked: a crash in between leaves the mark. */
async function softDelete<T extends { readonly deleted: boolean }>(
	store: Store<T>,
	name: string,
	seen: Versioned<T>,
): Promise<void> {
	await store.remove(name, await store.write(name, { ...seen, value: { ...seen.value, deleted: true } }));
}

const raised = (block: Versioned<Block>): Versioned<Block> => ({
	...block,
	value: { ...block.value, sequenceNumber: block.value.sequenceNumber + 1n },
});

function freed(block: Block, ordinals: readonly number[]): Block {
	const allocations = block.allocations.map((index, ordinal) => (ordinals.includes(ordinal) ? null : index));
	const sequences = Object.fromEntries(
		Object.entries(block.sequenceNumberForAllocation).filter(([ordinal]) => !ordinals.includes(Number(ordinal))),
	);
	return compacted({
		...block,
		allocations,
		sequenceNumberForAllocation: sequences,
		unallocated: [...block.unallocated, ...ordinals],
	});
}

function cooling(block: Block, ordinals: readonly number[], releasedAt: string): Block {
	const allocations = block.allocations.map((index, ordinal) =>
		ordinals.includes(ordinal) ? block.attributes.length : index,
	);
	return compacted({
		...block,
		allocations,
		attributes: [...block.attributes, { handleId: undefined, secondary: undefined, releasedAt, other: {} }],
	});
}

/** Without attributes that no allocation references. */
function compacted(block: Block): Block {
	const kept = block.attributes.map((_, index) => index).filter((index) => block.allocations.includes(index));
	return {
		...block,
		attributes: block.attributes.filter((_, index) => kept.includes(index)),
		allocations: block.allocations.map((index) => (index === null ? null : kept.indexOf(index))),
	};
}
