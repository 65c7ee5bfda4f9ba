import type { ExecutionContext } from 'ava';
import { silentLogger, systemClock } from '../../src/core/index.ts';
import {
	type ApiClient,
	type ApiLayout,
	coreKinds,
	Informer,
	KubernetesIpamStore,
} from '../../src/kubernetes/index.ts';

/**
 * The store of a node that follows a real cluster, in sync, until the test ends. `nodes`: an
 * informer of the test; without it the store creates its own.
 */
export async function followedStore(
	t: ExecutionContext,
	{
		client,
		layout,
		node,
		nodes: given,
	}: { readonly client: ApiClient; readonly layout: ApiLayout; readonly node: string; readonly nodes?: Informer },
): Promise<KubernetesIpamStore> {
	const dependencies = { client, log: silentLogger, clock: systemClock, random: Math.random };
	const nodes = given ?? new Informer({ ...dependencies, kind: coreKinds.nodes });
	const store = new KubernetesIpamStore({ ...dependencies, layout, node, nodes });
	if (given === undefined) nodes.start();
	store.start();
	t.teardown(() => {
		if (given === undefined) nodes.stop();
		store.stop();
	});
	await store.synced();
	return store;
}
