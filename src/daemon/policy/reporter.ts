import type { Clock, Logger, Random, Timer } from '../../core/index.ts';
import type { JsonObject } from '../../json/index.ts';
import { type ApiClient, ApiError, type ResourceKind } from '../../kubernetes/index.ts';
import { heartbeatMs, type NodePolicyReport, parseReport, reportStatus } from '../../policy/index.ts';
import type { PolicySide } from './side.ts';

/** One small object for each node, written by the daemon of that node alone. */
export const nodePolicyStatuses: ResourceKind = {
	kind: 'NodePolicyStatus',
	apiVersion: 'bgpmesh.internal/v1alpha1',
	plural: 'nodepolicystatuses',
	namespaced: false,
};

/**
 * A change of a policy reaches all nodes at once: their writes are spread, 100 a second in a large
 * cluster.
 */
const spreadMsPerNode = 10;
const leastSpreadMs = 1000;
/** Between two writes of one node. */
const leastIntervalMs = 5000;
/** After a failure; without the definition or the right there is no hurry. */
const retryMs = 30_000;
const unavailableRetryMs = 300_000;
/** A question about the reports of all nodes is given up after this. */
const listTimeoutMs = 5000;

export interface PolicyReporterDependencies {
	readonly node: string;
	readonly client: ApiClient;
	readonly report: () => NodePolicyReport;
	/** UID of this Node, so that its object goes with it; `undefined`: not known yet. */
	readonly nodeUid: () => string | undefined;
	/** Number of nodes of the cluster. */
	readonly nodeCount: () => number;
	readonly clock: Clock;
	readonly random: Random;
	readonly log: Logger;
}

/** Writes the report of this node when it changes, and reads those of all nodes when asked. */
export class PolicyReporter {
	readonly #dependencies: PolicyReporterDependencies;
	#timer: Timer | undefined;
	#heartbeat: Timer | undefined;
	#writing = false;
	#dirty = false;
	#lastWriteMs = Number.NEGATIVE_INFINITY;
	#complained = '';
	#stopped = false;

	constructor(dependencies: PolicyReporterDependencies) {
		this.#dependencies = dependencies;
	}

	/**
	 * The report that an earlier process of this node left; `undefined`: none, or not readable now.
	 */
	async earlier(): Promise<NodePolicyReport | undefined> {
		const { client, node, clock } = this.#dependencies;
		try {
			const found = await client.get(nodePolicyStatuses, node);
			return found && parseReport(found, clock.wallMs());
		} catch {
			return undefined;
		}
	}

	/** The report differs from the last one: it is written soon. */
	changed(): void {
		const { clock, random, nodeCount } = this.#dependencies;
		this.#dirty = true;
		if (this.#stopped || this.#writing || this.#timer !== undefined) return;
		const spreadMs = random() * Math.max(leastSpreadMs, nodeCount() * spreadMsPerNode);
		this.#after(Math.max(spreadMs, this.#lastWriteMs + leastIntervalMs - clock.monotonicMs()));
	}

	/**
	 * The reports of all nodes. @throws ApiError, ApiUnreachableError, DOMException after some
	 * seconds
	 */
	async reports(): Promise<readonly NodePolicyReport[]> {
		const { client, clock } = this.#dependencies;
		const { items } = await client.list(nodePolicyStatuses, { age: 'any', signal: AbortSignal.timeout(listTimeoutMs) });
		const nowMs = clock.wallMs();
		return items.map((item) => parseReport(item, nowMs));
	}

	/** The object stays: it shows what the kernel has. */
	stop(): void {
		this.#stopped = true;
		this.#timer?.cancel();
		this.#heartbeat?.cancel();
	}

	#after(delayMs: number): void {
		this.#timer = this.#dependencies.clock.after(delayMs, () => {
			this.#timer = undefined;
			void this.#write();
		});
	}

	async #write(): Promise<void> {
		if (this.#stopped) return;
		const { clock, log } = this.#dependencies;
		this.#heartbeat?.cancel();
		this.#writing = true;
		this.#dirty = false;
		this.#lastWriteMs = clock.monotonicMs();
		let failedForMs: number | undefined;
		try {
			await this.#put();
			this.#complained = '';
		} catch (error) {
			const reason = error instanceof Error ? error.message : String(error);
			const unavailable = error instanceof ApiError && (error.code === 404 || error.code === 403);
			failedForMs = unavailable ? unavailableRetryMs : retryMs;
			if (reason !== this.#complained)
				log.warn('status of network policy at this node not written', { reason, hint: 'config/crds, config/rbac' });
			this.#complained = reason;
		}
		this.#writing = false;
		if (this.#stopped) return;
		if (failedForMs !== undefined) this.#after(failedForMs);
		else if (this.#dirty) this.changed();
		else this.#beat();
	}

	/**
	 * Without a change the time of the report is renewed: a daemon that does not run any more is
	 * recognised by it.
	 */
	#beat(): void {
		const { clock, random } = this.#dependencies;
		this.#heartbeat = clock.after(heartbeatMs * (1 + random() / 10), () => void this.#write());
	}

	async #put(): Promise<void> {
		const { client, node, report, nodeUid, clock } = this.#dependencies;
		const status = reportStatus(report(), new Date(clock.wallMs()).toISOString());
		try {
			await client.patch(nodePolicyStatuses, node, { status }, 'application/merge-patch+json');
		} catch (error) {
			if (!(error instanceof ApiError && error.code === 404)) throw error;
			const { failure, ...rest } = status;
			await client.create(nodePolicyStatuses, {
				apiVersion: nodePolicyStatuses.apiVersion,
				kind: nodePolicyStatuses.kind,
				metadata: { name: node, ...ownedBy(node, nodeUid()) },
				status: failure === null ? rest : status,
			});
		}
	}
}

/** What this node has in its kernel now. */
export function reportOf(
	node: string,
	{ plane, progress }: Pick<PolicySide, 'plane' | 'progress'>,
	refused: boolean,
): NodePolicyReport {
	const { waitingFor, failures } = plane.view();
	const failure = failures[0]?.reason;
	return {
		node,
		mode: refused ? 'refused' : 'enforced',
		waitingFor,
		...(failure === undefined ? {} : { failure }),
		...progress.report(),
	};
}

/** The garbage collector removes the object with its Node. */
const ownedBy = (node: string, uid: string | undefined): JsonObject =>
	uid === undefined ? {} : { ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: node, uid }] };
