import { createHash } from 'node:crypto';
import type { Clock, Logger, Random, Timer } from '../../core/index.ts';
import type { JsonObject } from '../../json/index.ts';
import { type ApiClient, ApiError, LeaderLease, type ResourceKind } from '../../kubernetes/index.ts';
import type { PolicyProblem, ResourceProblems } from '../../policy/index.ts';

/** Events of the core API: what a policy asks for and cannot have is one of its object. */
export const eventKind: ResourceKind = { kind: 'Event', apiVersion: 'v1', plural: 'events', namespaced: true };

const leaseName = 'bgpmesh-policy-events';
const leaseSeconds = 180;
/** Soon, while the change is on the screen of its author; a round without news asks nothing. */
const roundMs = 5000;
const furtherRoundMs = 2000;
/**
 * A node that is not the holder asks for the Lease no more often than this: there may be thousands.
 */
const followerMs = 300_000;
/** API servers keep an Event for an hour by default: it is made again while the problem lasts. */
const repeatMs = 30 * 60_000;
/**
 * Events of one round: a cluster with thousands of bad policies is no reason for thousands of
 * writes.
 */
const mostPerRound = 20;
/** Kubernetes: a message has at most 1024 bytes. */
const mostMessageLength = 1000;

const reasons: Readonly<Record<PolicyProblem['type'], string>> = {
	refused: 'PolicyRefused',
	'fails-closed': 'PolicyFailsClosed',
	warning: 'PolicyWarning',
};

export interface ProblemEventsDependencies {
	readonly node: string;
	readonly client: ApiClient;
	readonly problems: () => readonly ResourceProblems[];
	readonly clock: Clock;
	readonly random: Random;
	readonly log: Logger;
}

/**
 * What cannot be enforced as written becomes an Event of the resource (`kubectl describe`), written
 * by one node of the cluster at a time, the holder of a Lease. A cluster without such resources has
 * neither Lease nor Events.
 */
export class ProblemEvents {
	readonly #dependencies: ProblemEventsDependencies;
	readonly #lease: LeaderLease;
	/** By name of the Event, monotonic milliseconds. */
	readonly #writtenMs = new Map<string, number>();
	#timer: Timer | undefined;
	#leading = false;
	/** Monotonic milliseconds before which the Lease is not asked for. */
	#followsUntilMs = 0;
	#complained = '';
	#stopped = false;

	constructor(dependencies: ProblemEventsDependencies) {
		const { client, node, clock } = dependencies;
		this.#dependencies = dependencies;
		this.#lease = new LeaderLease({
			...{ client, clock, identity: node, namespace: 'kube-system', name: leaseName, durationSeconds: leaseSeconds },
		});
	}

	/** Runs rounds from now on. */
	start(): void {
		this.#after(furtherRoundMs);
	}

	stop(): void {
		this.#stopped = true;
		this.#timer?.cancel();
		// The next node would wait for the lease to expire.
		if (this.#leading) void this.#lease.release().catch(() => undefined);
	}

	#after(delayMs: number): void {
		const { clock, random } = this.#dependencies;
		this.#timer = clock.after(delayMs * (0.9 + random() / 5), () => void this.#round());
	}

	async #round(): Promise<void> {
		const { node, log, clock } = this.#dependencies;
		let isMore = false;
		try {
			const due = this.#due();
			if (due.length > 0 && clock.monotonicMs() >= this.#followsUntilMs) {
				this.#leading = (await this.#lease.ask()) === node;
				this.#followsUntilMs = this.#leading ? 0 : clock.monotonicMs() + followerMs;
			}
			if (this.#leading) for (const problem of due.slice(0, mostPerRound)) await this.#write(problem);
			isMore = this.#leading && due.length > mostPerRound;
			this.#complained = '';
		} catch (error) {
			const reason = error instanceof Error ? error.message : String(error);
			if (reason !== this.#complained) log.warn('events of policies not written', { reason });
			this.#complained = reason;
		}
		if (!this.#stopped) this.#after(isMore ? furtherRoundMs : roundMs);
	}

	/** Problems of resources of the API server whose Event is not there or may have expired. */
	#due(): readonly DueEvent[] {
		const { problems, clock } = this.#dependencies;
		const now = clock.monotonicMs();
		const all = problems().flatMap(({ object, problems: own }) =>
			object?.uid === undefined
				? []
				: own.map((problem): DueEvent => ({ name: eventName(object, problem), object, problem })),
		);
		const names = new Set(all.map(({ name }) => name));
		for (const name of this.#writtenMs.keys()) if (!names.has(name)) this.#writtenMs.delete(name);
		return all.filter(({ name }) => now - (this.#writtenMs.get(name) ?? Number.NEGATIVE_INFINITY) >= repeatMs);
	}

	async #write({ name, object, problem }: DueEvent): Promise<void> {
		const { client, clock, node } = this.#dependencies;
		const now = new Date(clock.wallMs()).toISOString().replace(/\.\d+Z$/, 'Z');
		// Events of objects without a namespace are in `default`.
		const namespace = object.namespace ?? 'default';
		const event: JsonObject = {
			apiVersion: 'v1',
			kind: 'Event',
			metadata: { name, namespace },
			involvedObject: { ...object },
			reason: reasons[problem.type],
			message: `${problem.field}: ${problem.problem}`.slice(0, mostMessageLength),
			type: 'Warning',
			source: { component: 'bgpmesh', host: node },
			reportingComponent: 'bgpmesh',
			reportingInstance: node,
			firstTimestamp: now,
			lastTimestamp: now,
			count: 1,
		};
		try {
			await client.create(eventKind, event, namespace);
		} catch (error) {
			// 409: it is still there. 404: the namespace is about to go.
			if (!(error instanceof ApiError && (error.code === 409 || error.code === 404))) throw error;
		}
		this.#writtenMs.set(name, clock.monotonicMs());
	}
}

interface DueEvent {
	readonly name: string;
	readonly object: NonNullable<ResourceProblems['object']>;
	readonly problem: PolicyProblem;
}

/** The same on every node, so that a new holder of the Lease repeats nothing. */
function eventName({ uid, name }: DueEvent['object'], { type, field, problem }: PolicyProblem): string {
	const hash = createHash('sha1').update([uid, type, field, problem].join('\n')).digest('hex').slice(0, 12);
	// A name has at most 253 characters.
	return `${name.slice(0, 230)}.bgpmesh-${hash}`;
}
