import type { Family } from '../core/index.ts';
import { Reservations } from './addresses.ts';
import { hasRoomForGateway } from './gateway.ts';
import { choosePools, type PoolVerdict, type SelectorMatch } from './pool.ts';
import type { AssignRequest } from './requests.ts';
import type { IpamStore } from './store.ts';
import type { IpamConfig, Pool } from './values.ts';

/** What one family of one request is served from. */
export interface Source {
	readonly family: Family;
	readonly pools: readonly Pool[];
	readonly refused: readonly PoolVerdict[];
	readonly config: IpamConfig;
	readonly reservations: Reservations;
	/** Is the gateway of the block wanted beside the address? */
	readonly gateway: boolean;
}

/** Where it is looked up. */
export interface SourceContext {
	readonly node: string;
	readonly store: IpamStore;
	readonly selectorMatches: SelectorMatch;
}

/** The pools that serve a request, and what else decides, as of now. */
export async function sourceOf({ store, node, selectorMatches }: SourceContext, request: AssignRequest, family: Family): Promise<Source> {
	const [pools, reserved, config, nodeLabels, namespaceLabels] = await Promise.all([
		store.pools(),
		store.reservations(),
		store.config(),
		store.nodeLabels(node),
		request.namespace === undefined ? undefined : store.namespaceLabels(request.namespace),
	]);
	const named = request.pools?.[family] ?? [];
	// Who asks for a certain address asks for its pool: selectors and assignmentMode are for those who take any (Calico AssignIP).
	const requested = named.length === 0 && request.addresses?.[family] !== undefined ? pools.map(({ name }) => name) : named;
	const { usable, refused } = choosePools(pools, { family, use: request.use, requested, nodeLabels, namespaceLabels }, selectorMatches);
	const gateway = request.gateways?.includes(family) === true;
	if (!gateway) return { family, pools: usable, refused, config, reservations: new Reservations(reserved), gateway };
	const small = usable.filter((pool) => !hasRoomForGateway(pool));
	return {
		family,
		pools: usable.filter(hasRoomForGateway),
		refused: [...refused, ...small.map(({ name, blockSize }) => ({ pool: name, reason: `a block of /${blockSize} has no room for a gateway and a pod` }))],
		config,
		reservations: new Reservations(reserved, 'block-edges'),
		gateway,
	};
}
