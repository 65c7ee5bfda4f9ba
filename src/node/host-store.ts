import { type IpamStore, valuesOf } from '../ipam/index.ts';

/** The store from the view of another host: the cache has only the affinities of this node. */
export const storeForHost = (store: IpamStore, host: string): IpamStore => ({
	blocks: store.blocks,
	affinities: store.affinities,
	handles: store.handles,
	blockCidrs: () => store.blockCidrs(),
	affinitiesOf: async () =>
		valuesOf(await store.affinities.list()).filter(({ node, deleted }) => node === host && !deleted),
	pools: (fresh) => store.pools(fresh),
	reservations: () => store.reservations(),
	config: () => store.config(),
	nodeLabels: () => Promise.resolve({}),
	namespaceLabels: (namespace) => store.namespaceLabels(namespace),
	readOnlyReason: () => store.readOnlyReason(),
	unreadable: () => store.unreadable(),
});
