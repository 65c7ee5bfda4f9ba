import test from 'ava';
import { MemoryCluster, memoryStore } from '../fakes/memory-ipam-store.ts';
import { checkModel, modelPool } from '../support/ipam-model.ts';

test('whatever crashes and whoever writes at the same time, no address has two owners and none is lost for ever', async (t) => {
	await checkModel(
		async () => {
			const pool = modelPool('pods', '10.0.0.0/29');
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
					return { blocks: present(shared.blocks), handles: present(shared.handles) };
				},
			};
		},
		Number(process.env['BGPMESH_MODEL_RUNS'] ?? 300),
	);
	t.pass();
});
