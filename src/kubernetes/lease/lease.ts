import type { Clock } from '../../core/index.ts';
import { type ApiClient, ApiError } from '../client/index.ts';
import { type JsonObject, objectAt, textAt } from '../json/index.ts';
import { coreKinds } from '../store/kinds.ts';

/** What a Lease says, as far as it decides who leads (coordination.k8s.io/v1, LeaseSpec). */
export interface LeaseFacts {
	/** Empty: nobody, the last one let go of it. */
	readonly holder: string;
	readonly renewTime: string;
	readonly durationSeconds: number;
}

/** A Lease as it was seen, and since when it has been looking the same, in monotonic milliseconds of our own clock. */
export interface LeaseSight extends LeaseFacts {
	readonly sinceMs: number;
}

/** The same sight as before, or a new one. Pure: the clocks of two nodes are never compared, only what changes and what does not. */
export function sightOf(before: LeaseSight | undefined, { holder, renewTime, durationSeconds }: LeaseFacts, nowMs: number): LeaseSight {
	const same = before !== undefined && before.holder === holder && before.renewTime === renewTime;
	return { holder, renewTime, durationSeconds, sinceMs: same ? before.sinceMs : nowMs };
}

/** May `self` write itself into the lease? It may where nobody or itself holds it, or whoever does has not renewed it for as long as it said. Pure. */
export function mayTake({ holder, durationSeconds, sinceMs }: LeaseSight, self: string, nowMs: number): boolean {
	return holder === '' || holder === self || nowMs - sinceMs >= durationSeconds * 1000;
}

export interface LeaderLeaseOptions {
	readonly client: ApiClient;
	readonly namespace: string;
	readonly name: string;
	/** Who we are; unique among those who ask. */
	readonly identity: string;
	readonly durationSeconds: number;
	readonly clock: Clock;
}

/** One lease that many ask for and one holds, by conditional writes. Ask more often than its duration to keep it. */
export class LeaderLease {
	readonly #options: LeaderLeaseOptions;
	#sight: LeaseSight | undefined;

	constructor(options: LeaderLeaseOptions) {
		this.#options = options;
	}

	/** Takes or renews the lease where it may be; answers who holds it now. @throws ApiError, ApiUnreachableError */
	async ask(): Promise<string> {
		const { client, namespace, name, identity, clock } = this.#options;
		const found = await client.get(coreKinds.leases, name, namespace);
		if (found === undefined) return this.#write(undefined);
		this.#sight = sightOf(this.#sight, factsOf(found), clock.monotonicMs());
		if (!mayTake(this.#sight, identity, clock.monotonicMs())) return this.#sight.holder;
		return this.#write(found);
	}

	/** Lets go of it, so that the next one need not wait. */
	async release(): Promise<void> {
		const { client, namespace, name, identity } = this.#options;
		const found = await client.get(coreKinds.leases, name, namespace);
		if (found === undefined || factsOf(found).holder !== identity) return;
		await client.replace(coreKinds.leases, { ...found, spec: { ...objectAt(found, 'spec'), holderIdentity: '' } });
	}

	async #write(found: JsonObject | undefined): Promise<string> {
		const { client, namespace, name, identity, durationSeconds, clock } = this.#options;
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
				await client.create(coreKinds.leases, { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name }, spec }, namespace);
			else await client.replace(coreKinds.leases, { ...found, spec });
			return identity;
		} catch (error) {
			// Somebody was faster; who, the next question says.
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
