import test from 'ava';
import { MemoryCluster, memoryStore } from '../fakes/memory-ipam-store.ts';
import { checkModel, modelPool, modelPoolWithGateways } from '../support/ipam-model.ts';

async function check(newPool: typeof modelPool, cidr: string): Promise<void> {
	await checkModel(
		async () => {
			const pool = newPool('pods', cidr);
			const shared = Object.assign(new MemoryCluster(), { pools: [pool] });
			return {
				pool,
				prefix: '',
				async connect(_node, cooldownSeconds, beforeWrite) {
					shared.config = { ...shared.config, cooldownSeconds };
					return { store: memoryStore(shared, { cached: true, beforeWrite }), stop: () => {} };
				},
				async snapshot() {
					// As a reader sees it: what is marked as deleted is not there.
					const present = <T extends { readonly deleted: boolean }>(entries: ReadonlyMap<string, { readonly value: T }>) =>
						[...entries.values()].map(({ value }) => value).filter(({ deleted }) => !deleted);
					return { blocks: present(shared.blocks), handles: present(shared.handles), affinities: present(shared.affinities) };
				},
			};
		},
		Number(process.env['BGPMESH_MODEL_RUNS'] ?? 300),
	);
}

test('whatever crashes and whoever writes at the same time, no address has two owners and none is lost for ever', async (t) => {
	await check(modelPool, '10.0.0.0/29');
	t.pass();
});

test('the same with gateways, which are never a pod’s and stay while pods were told of them', async (t) => {
	await check(modelPoolWithGateways, '10.0.0.0/28');
	t.pass();
});
