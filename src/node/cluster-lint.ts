import { ControlError, type LintView } from '../control/index.ts';
import type { IpamStore } from '../ipam/index.ts';
import {
	type ApiClient,
	ApiError,
	type CalicoKinds,
	coreKinds,
	type Informer,
	lint,
	type ResourceKind,
	type SecretKey,
	toResource,
} from '../kubernetes/index.ts';

export interface ClusterLintDependencies {
	readonly client: ApiClient;
	readonly kinds: CalicoKinds;
	readonly copies: Readonly<Record<'nodes' | 'pools' | 'bgpConfigurations' | 'bgpPeers' | 'bgpFilters', Informer>>;
	readonly store: Pick<IpamStore, 'blockCidrs'>;
	readonly password: (key: SecretKey) => string | undefined;
}

/** Contradictions in the present resources. @throws ControlError while the API server is away */
export async function lintCluster({
	client,
	kinds,
	copies,
	store,
	password,
}: ClusterLintDependencies): Promise<LintView> {
	// A server with an older Calico lacks some kinds: they count as empty.
	const list = async (kind: ResourceKind) => {
		try {
			return (await client.list(kind)).items.map(toResource);
		} catch (error) {
			if (error instanceof ApiError && error.code === 404) return [];
			throw error;
		}
	};
	const items = ({ items }: Informer) => [...items.values()];
	try {
		const [felixConfigurations, clusterInformations, affinities, reservations, services, blocks] = await Promise.all([
			list(kinds.felixConfigurations),
			list(kinds.clusterInformations),
			list(kinds.affinities),
			list(kinds.reservations),
			list(coreKinds.services).catch(withoutRights),
			store.blockCidrs(),
		]);
		const resources = {
			nodes: items(copies.nodes),
			pools: items(copies.pools),
			bgpConfigurations: items(copies.bgpConfigurations),
			bgpPeers: items(copies.bgpPeers),
			bgpFilters: items(copies.bgpFilters),
			felixConfigurations,
			clusterInformations,
			affinities,
			reservations,
			services,
			blocks,
		};
		return {
			checked: {
				nodes: resources.nodes.length,
				pools: resources.pools.length,
				peers: resources.bgpPeers.length,
				filters: resources.bgpFilters.length,
			},
			findings: lint({ ...resources, password }),
		};
	} catch (error) {
		throw new ControlError(
			503,
			'no-apiserver',
			`the API server did not answer: ${error instanceof Error ? error.message : String(error)}`,
		);
	}
}

/** An older role does not allow this node to read Services: their rules are skipped. */
function withoutRights(error: unknown): [] {
	if (error instanceof ApiError && error.code === 403) return [];
	throw error;
}
