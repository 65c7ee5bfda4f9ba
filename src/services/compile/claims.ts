import type { Frontend, FrontendKey, ServiceKey } from '../model.ts';

interface Claim {
	readonly service: ServiceKey;
	readonly createdAt: string;
	readonly frontend: Frontend;
}

/**
 * Which Service has an address and port that several name (external IPs, node ports of a broken
 * cluster): the oldest one, then the first by key. Of one Service's own claims the load balancer
 * address counts, for it may have source ranges.
 */
export class FrontendClaims {
	readonly #claims = new Map<FrontendKey, readonly Claim[]>();

	/**
	 * Replaces the claims of one Service and adds the keys whose owner may have changed to `touched`.
	 */
	replace(
		service: ServiceKey,
		createdAt: string,
		before: readonly Frontend[],
		after: readonly Frontend[],
		touched: Set<FrontendKey>,
	): void {
		for (const { key } of before) {
			const rest = this.#claims.get(key)?.filter((claim) => claim.service !== service) ?? [];
			if (rest.length === 0) this.#claims.delete(key);
			else this.#claims.set(key, rest);
			touched.add(key);
		}
		for (const frontend of after) {
			const { key } = frontend;
			const claims = this.#claims.get(key);
			const claim = { service, createdAt, frontend };
			this.#claims.set(key, claims === undefined ? [claim] : [...claims, claim].sort(byPrecedence));
			touched.add(key);
		}
	}

	/** The frontend that counts. */
	winner(key: FrontendKey): Frontend | undefined {
		return this.#claims.get(key)?.[0]?.frontend;
	}

	/** Services without a frontend that they name. */
	get conflicts(): ReadonlyMap<FrontendKey, readonly ServiceKey[]> {
		const conflicts = new Map<FrontendKey, readonly ServiceKey[]>();
		for (const [key, [owner, ...others]] of this.#claims) {
			const losers = others.filter(({ service }) => service !== owner?.service).map(({ service }) => service);
			if (losers.length > 0) conflicts.set(key, losers);
		}
		return conflicts;
	}
}

const typeOrder = { 'load-balancer-ip': 0, 'cluster-ip': 1, 'external-ip': 2, 'node-port': 3 } as const;

function byPrecedence(left: Claim, right: Claim): number {
	if (left.service === right.service) return typeOrder[left.frontend.type] - typeOrder[right.frontend.type];
	if (left.createdAt !== right.createdAt) return left.createdAt < right.createdAt ? -1 : 1;
	return left.service < right.service ? -1 : 1;
}
