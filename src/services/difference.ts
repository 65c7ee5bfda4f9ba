import { isDeepStrictEqual } from 'node:util';
import type { Frontend, HealthCheck, Pool, ServicePortKey, ServicesModel, ServicesSettings } from './model.ts';

/** A part that is new (`before` absent) or has changed. */
export interface Replaced<T> {
	readonly before?: T;
	readonly after: T;
}

/**
 * What turns one model into another. Apply in this order within one transaction: pools that are
 * set, frontends that are set, frontends that are removed, pools that are removed; then no frontend
 * points to a missing pool at any step.
 */
export interface ServicesDifference {
	/** Present if the settings have changed: the new ones. */
	readonly settings?: ServicesSettings;
	readonly pools: { readonly set: readonly Replaced<Pool>[]; readonly removed: readonly Pool[] };
	readonly frontends: { readonly set: readonly Replaced<Frontend>[]; readonly removed: readonly Frontend[] };
	readonly clusterIps: { readonly added: readonly string[]; readonly removed: readonly string[] };
	readonly healthChecks: { readonly set: readonly HealthCheck[]; readonly removed: readonly HealthCheck[] };
	/**
	 * UDP service ports that an endpoint serves no more, although maybe no pool changes: a draining
	 * endpoint is in no pool while others are ready, and keeps its flows until it ends. Nothing to
	 * render; connections are cleaned up.
	 */
	readonly endedUdp: readonly ServicePortKey[];
}

/**
 * The difference of two models; linear in their size. The state that follows resources computes it
 * for what changed alone.
 */
export function differenceOf(before: ServicesModel, after: ServicesModel): ServicesDifference {
	const pools = compare(before.pools, after.pools);
	const frontends = compare(before.frontends, after.frontends);
	const healthChecks = compare(before.healthChecks, after.healthChecks);
	return {
		...(isDeepStrictEqual(before.settings, after.settings) ? {} : { settings: after.settings }),
		pools,
		frontends,
		clusterIps: {
			added: [...after.clusterIps].filter((address) => !before.clusterIps.has(address)),
			removed: [...before.clusterIps].filter((address) => !after.clusterIps.has(address)),
		},
		healthChecks: { set: healthChecks.set.map(({ after: check }) => check), removed: healthChecks.removed },
		endedUdp: [],
	};
}

/** Nothing changes. */
export const isEmptyDifference = (difference: ServicesDifference): boolean =>
	difference.settings === undefined &&
	difference.pools.set.length === 0 &&
	difference.pools.removed.length === 0 &&
	difference.frontends.set.length === 0 &&
	difference.frontends.removed.length === 0 &&
	difference.clusterIps.added.length === 0 &&
	difference.clusterIps.removed.length === 0 &&
	difference.healthChecks.set.length === 0 &&
	difference.healthChecks.removed.length === 0 &&
	difference.endedUdp.length === 0;

function compare<T>(before: ReadonlyMap<string, T>, after: ReadonlyMap<string, T>) {
	const set: Replaced<T>[] = [];
	const removed: T[] = [];
	for (const [key, value] of after) {
		const old = before.get(key);
		if (old === undefined) set.push({ after: value });
		else if (old !== value && !isDeepStrictEqual(old, value)) set.push({ before: old, after: value });
	}
	for (const [key, value] of before) if (!after.has(key)) removed.push(value);
	return { set, removed };
}
