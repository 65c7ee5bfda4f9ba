import type { Family } from '../core/index.ts';
import { Reservations } from './addresses.ts';
import { hasRoomForGateway } from './gateway.ts';
import { choosePools, type PoolVerdict, type SelectorMatch } from './pool.ts';
import type { AssignRequest } from './requests.ts';
import type { IpamStore } from './store.ts';
import type { IpamConfig, Pool } from './values.ts';

/** The pools and limits that serve one family of one request. */
export interface Source {
	readonly family: Family;
	readonly pools: readonly Pool[];
	readonly refused: readonly PoolVerdict[];
	/** Pools requested by name that are unavailable: the request is refused. */
	readonly missing: readonly PoolVerdict[];
	readonly config: IpamConfig;
	readonly reservations: Reservations;
	/** True if the gateway of the block is required besides the address. */
	readonly gateway: boolean;
}

/** Dependencies of the lookup. */
export interface SourceDependencies {
	readonly node: string;
	readonly store: IpamStore;
	readonly selectorMatches: SelectorMatch;
}

/** Reads the pools that serve a request, and the other inputs of the decision. */
export async function sourceOf(
	{ store, node, selectorMatches }: SourceDependencies,
	request: AssignRequest,
	family: Family,
): Promise<Source> {
	const [pools, reserved, config, nodeLabels, namespaceLabels] = await Promise.all([
		store.pools(),
		store.reservations(),
		store.config(),
		store.nodeLabels(node),
		request.namespace === undefined ? undefined : store.namespaceLabels(request.namespace),
	]);
	// A specific address is assigned from its pool regardless of requested pools, selectors and
	// assignmentMode (Calico AssignIP).
	const certain = request.addresses?.[family] !== undefined;
	const requested = certain ? pools.map(({ name }) => name) : (request.pools?.[family] ?? []);
	const choice = choosePools(
		pools,
		{ family, use: request.use, requested, nodeLabels, namespaceLabels },
		selectorMatches,
	);
	const { usable, refused } = choice;
	const missing = certain ? [] : choice.missing;
	const gateway = request.gateways?.includes(family) === true;
	if (!gateway)
		return { family, pools: usable, refused, missing, config, reservations: new Reservations(reserved), gateway };
	const small = usable.filter((pool) => !hasRoomForGateway(pool));
	return {
		family,
		pools: usable.filter(hasRoomForGateway),
		refused: [
			...refused,
			...small.map(({ name, blockSize }) => ({
				pool: name,
				reason: `a block of /${blockSize} has no room for a gateway and a pod`,
			})),
		],
		missing,
		config,
		reservations: new Reservations(reserved, 'block-edges'),
		gateway,
	};
}
