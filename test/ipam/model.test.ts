import test from 'ava';
import type { PrefixKey } from '../../src/core/index.ts';
import { type Block, blockName } from '../../src/ipam/index.ts';
import { changeBlock, MemoryCluster, memoryStore, spoilBlock } from '../fakes/memory-ipam-store.ts';
import { checkModel, type Damage, modelPool, modelPoolWithGateways } from '../support/ipam-model.ts';

async function check(newPool: typeof modelPool, cidr: string, { isDamaging = false } = {}): Promise<void> {
	await checkModel(
		async () => {
			const pool = newPool('pods', cidr);
			const shared = Object.assign(new MemoryCluster(), { pools: [pool] });
			return {
				pool,
				prefix: '',
				...(isDamaging ? { damage: damageTo(shared) } : {}),
				async connect(_node, cooldownSeconds, beforeWrite) {
					shared.config = { ...shared.config, cooldownSeconds };
					return { store: memoryStore(shared, { cached: true, beforeWrite }), stop: () => {} };
				},
				async snapshot() {
					// The view of a reader: objects marked as deleted are absent.
					const present = <T extends { readonly deleted: boolean }>(
						entries: ReadonlyMap<string, { readonly value: T }>,
					) => [...entries.values()].map(({ value }) => value).filter(({ deleted }) => !deleted);
					return {
						blocks: present(shared.blocks),
						handles: present(shared.handles),
						affinities: present(shared.affinities),
					};
				},
			};
		},
		Number(process.env['BGPMESH_MODEL_RUNS'] ?? 300),
		{ isDamaging },
	);
}

function damageTo(shared: MemoryCluster): Damage {
	const spoiled = new Set<PrefixKey>();
	const mislisted = new Set<PrefixKey>();
	let spoilings = 0;
	return {
		spoiled,
		mislisted,
		spoilings: () => spoilings,
		spoil(cidr) {
			spoilings++;
			spoiled.add(cidr);
			spoilBlock(shared, blockName(cidr), cidr);
		},
		mislist(cidr, ordinal) {
			mislisted.add(cidr);
			changeBlock(shared, blockName(cidr), (block) => ({ ...block, unallocated: [ordinal, ...block.unallocated] }));
		},
		mend() {
			for (const cidr of spoiled) {
				shared.unreadable.delete(blockName(cidr));
				changeBlock(shared, blockName(cidr), (block) => block);
			}
			for (const cidr of mislisted)
				changeBlock(shared, blockName(cidr), (block) => ({ ...block, unallocated: freeOnes(block) }));
			spoiled.clear();
			mislisted.clear();
		},
		overwritten: () => shared.overwritten,
	};
}

/** The ordinals that should be in the free list, in its order. */
function freeOnes({ unallocated, allocations }: Block): readonly number[] {
	const listed = [...new Set(unallocated)].filter((ordinal) => allocations[ordinal] === null);
	return [
		...listed,
		...allocations.flatMap((index, ordinal) => (index === null && !listed.includes(ordinal) ? [ordinal] : [])),
	];
}

test('under any crashes and concurrent writers no address has two owners and none is lost for ever', async (t) => {
	await check(modelPool, '10.0.0.0/29');
	t.pass();
});

test('the same with gateways, which are never assigned to a pod and stay while pods use them', async (t) => {
	await check(modelPoolWithGateways, '10.0.0.0/28');
	t.pass();
});

test('the same with blocks that become unreadable: they are never written, and no address is assigned twice', async (t) => {
	await check(modelPool, '10.0.0.0/29', { isDamaging: true });
	t.pass();
});
