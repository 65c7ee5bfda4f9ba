import type { Clock } from '../../core/index.ts';
import { type JsonObject, objectAt, textAt } from '../../json/index.ts';
import { type ApiClient, ApiError } from '../client/index.ts';
import { coreKinds } from '../store/kinds.ts';

/** The fields of a Lease that decide the election (coordination.k8s.io/v1, LeaseSpec). */
export interface LeaseFacts {
	/** Empty: released. */
	readonly holder: string;
	readonly renewTime: string;
	readonly durationSeconds: number;
}

/**
 * An observed Lease, with the time since which it is unchanged, in monotonic milliseconds of the
 * local clock.
 */
export interface LeaseSight extends LeaseFacts {
	readonly sinceMs: number;
}

/**
 * Returns the previous observation if the Lease is unchanged, else a new one. Pure. The clocks of
 * two nodes are never compared.
 */
export function sightOf(
	before: LeaseSight | undefined,
	{ holder, renewTime, durationSeconds }: LeaseFacts,
	nowMs: number,
): LeaseSight {
	const same = before !== undefined && before.holder === holder && before.renewTime === renewTime;
	return { holder, renewTime, durationSeconds, sinceMs: same ? before.sinceMs : nowMs };
}

/**
 * True if `self` may write itself into the lease: it is free, held by `self`, or its holder has not
 * renewed it for the lease duration. Pure.
 */
export function mayTake({ holder, durationSeconds, sinceMs }: LeaseSight, self: string, nowMs: number): boolean {
	return holder === '' || holder === self || nowMs - sinceMs >= durationSeconds * 1000;
}

export interface LeaderLeaseDependencies {
	readonly client: ApiClient;
	readonly namespace: string;
	readonly name: string;
	/** The identity of this candidate; unique among all candidates. */
	readonly identity: string;
	readonly durationSeconds: number;
	readonly clock: Clock;
}

/**
 * Leader election on one Lease, by conditional writes. The holder must call `ask` more often than
 * the lease duration.
 */
export class LeaderLease {
	readonly #dependencies: LeaderLeaseDependencies;
	#sight: LeaseSight | undefined;

	constructor(dependencies: LeaderLeaseDependencies) {
		this.#dependencies = dependencies;
	}

	/**
	 * Takes or renews the lease if allowed; returns the present holder. @throws ApiError,
	 * ApiUnreachableError
	 */
	async ask(): Promise<string> {
		const { client, namespace, name, identity, clock } = this.#dependencies;
		const found = await client.get(coreKinds.leases, name, namespace);
		if (found === undefined) return this.#write(undefined);
		this.#sight = sightOf(this.#sight, factsOf(found), clock.monotonicMs());
		if (!mayTake(this.#sight, identity, clock.monotonicMs())) return this.#sight.holder;
		return this.#write(found);
	}

	/** Releases the lease, so that the next holder need not wait. */
	async release(): Promise<void> {
		const { client, namespace, name, identity } = this.#dependencies;
		const found = await client.get(coreKinds.leases, name, namespace);
		if (found === undefined || factsOf(found).holder !== identity) return;
		await client.replace(coreKinds.leases, { ...found, spec: { ...objectAt(found, 'spec'), holderIdentity: '' } });
	}

	async #write(found: JsonObject | undefined): Promise<string> {
		const { client, namespace, name, identity, durationSeconds, clock } = this.#dependencies;
		const now = new Date(clock.wallMs()).toISOString().replace('Z', '000Z');
		const before = found === undefined ? undefined : factsOf(found).holder;
		const old = found === undefined ? {} : objectAt(found, 'spec');
		const transitions = Number(old['leaseTransitions'] ?? 0);
		const spec = {
			...old,
			holderIdentity: identity,
			leaseDurationSeconds: durationSeconds,
			renewTime: now,
			...(before === identity ? {} : { acquireTime: now, leaseTransitions: found === undefined ? 0 : transitions + 1 }),
		};
		try {
			if (found === undefined)
				await client.create(
					coreKinds.leases,
					{ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name }, spec },
					namespace,
				);
			else await client.replace(coreKinds.leases, { ...found, spec });
			return identity;
		} catch (error) {
			// Another candidate was faster; the next call returns its name.
			if (error instanceof ApiError && error.code === 409) return '';
			throw error;
		}
	}
}

function factsOf(lease: JsonObject): LeaseFacts {
	const spec = objectAt(lease, 'spec');
	return {
		holder: textAt(spec, 'holderIdentity') ?? '',
		renewTime: textAt(spec, 'renewTime') ?? '',
		durationSeconds: Number(spec['leaseDurationSeconds'] ?? 0),
	};
}
