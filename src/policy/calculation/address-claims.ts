/** `live` wins over `ending` (a pod that is being deleted); equal ones share the address. */
export type ClaimRank = 'live' | 'ending';

interface Claim {
	readonly key: string;
	readonly rank: ClaimRank;
}

/**
 * Which endpoint an address belongs to while two claim it: the address of a pod that ends is reused
 * before its object is gone, and must then count as the new pod's only (kubernetes#98611).
 */
export class AddressClaims {
	/**
	 * The usual single live claim is kept as its key alone: there is one for each pod of the cluster.
	 */
	readonly #claims = new Map<string, string | readonly Claim[]>();

	/** May the endpoint use the address? */
	holds(address: string, key: string): boolean {
		const claims = this.#claims.get(address);
		if (claims === undefined) return false;
		if (typeof claims === 'string') return claims === key;
		const own = claims.find((claim) => claim.key === key);
		return own !== undefined && (own.rank === 'live' || claims.every(({ rank }) => rank === 'ending'));
	}

	/** Who claims an address. */
	claimants(address: string): readonly string[] {
		const claims = this.#claims.get(address);
		if (claims === undefined) return [];
		return typeof claims === 'string' ? [claims] : claims.map(({ key }) => key);
	}

	/** Adds or changes a claim. Returns the other claimants, whose hold may have changed. */
	claim(address: string, key: string, rank: ClaimRank): readonly string[] {
		const others = this.#others(address, key);
		this.#store(address, [...others, { key, rank }]);
		return others.map((claim) => claim.key);
	}

	/** Removes a claim. Returns the other claimants, whose hold may have changed. */
	release(address: string, key: string): readonly string[] {
		const others = this.#others(address, key);
		this.#store(address, others);
		return others.map((claim) => claim.key);
	}

	#others(address: string, key: string): readonly Claim[] {
		const claims = this.#claims.get(address);
		if (claims === undefined || claims === key) return [];
		return (typeof claims === 'string' ? [{ key: claims, rank: 'live' as const }] : claims).filter(
			(claim) => claim.key !== key,
		);
	}

	#store(address: string, claims: readonly Claim[]): void {
		const [first] = claims;
		if (first === undefined) this.#claims.delete(address);
		else this.#claims.set(address, claims.length === 1 && first.rank === 'live' ? first.key : claims);
	}
}
