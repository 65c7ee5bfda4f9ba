import { isObject, type JsonObject, objectAt, textAt } from '../json/index.ts';

/** A policy at one generation, and since when a node has it in its kernel. */
export interface ReportedPolicy {
	/** `NetworkPolicy prod/web`. */
	readonly policy: string;
	readonly generation: number;
	/** ISO 8601. */
	readonly since: string;
}

/** What a node reports of the policies in its kernel; every list is bounded. */
export interface NodePolicyReport {
	readonly node: string;
	/** `refused`: another engine is on the node, and nothing is enforced. */
	readonly mode: 'enforced' | 'refused';
	/** Sources that are not listed yet: nothing is written before all are. */
	readonly waitingFor: readonly string[];
	/** What the kernel refused last. */
	readonly failure?: string;
	/** It is not renewed any more: the daemon of the node does not run, or cannot write. */
	readonly isStale?: true;
	/** By source of policies (a kind): the newest resource version that the kernel has. */
	readonly versions: Readonly<Record<string, string>>;
	/** The policies that changed last, newest first; at most `mostReported`. */
	readonly recent: readonly ReportedPolicy[];
}

/** Entries of `recent`: an object stays below 16 KiB. */
export const mostReported = 32;
const mostFailureLength = 300;

/** A policy as the watch delivered it. */
interface SeenPolicy {
	readonly source: string;
	readonly generation: number;
	/** The resource version at which this generation was seen first. */
	readonly version: bigint;
	/** Absent: not in the kernel yet. */
	since?: string;
}

/**
 * Which generation of each policy the kernel of this node has. Resource versions of one kind grow
 * with each change of any object of the kind, so one number for each kind covers every policy.
 */
export class PolicyProgress {
	/** By name, in the order of the last change. */
	readonly #policies = new Map<string, SeenPolicy>();
	readonly #seen = new Map<string, bigint>();
	readonly #standing = new Map<string, bigint>();
	/** Of an earlier process of this node, by policy. */
	readonly #earlier = new Map<string, ReportedPolicy>();
	#isWritten = false;

	/**
	 * The watch delivered a policy. A version that is no number cannot be compared and is ignored.
	 */
	seen(source: string, policy: string, generation: number, resourceVersion: string): void {
		if (!/^\d{1,20}$/.test(resourceVersion)) return;
		const version = BigInt(resourceVersion);
		if (version > (this.#seen.get(source) ?? -1n)) this.#seen.set(source, version);
		const before = this.#policies.get(policy);
		// A change of metadata alone keeps the generation. Some servers have no generations.
		if (before !== undefined && generation > 0 && before.generation === generation) return;
		this.#policies.delete(policy);
		this.#policies.set(policy, { source, generation, version });
	}

	/** The policy does not exist any more. */
	gone(policy: string): void {
		this.#policies.delete(policy);
	}

	/** Keeps the times of an earlier process for policies at the same generation. */
	restore(recent: readonly ReportedPolicy[]): void {
		for (const entry of recent) this.#earlier.set(entry.policy, entry);
	}

	/**
	 * What was seen up to now is part of a change that is about to be written. Call the result when
	 * the kernel has it; `false`: nothing of it is new. The first write always is.
	 */
	taken(): (now: string) => boolean {
		const versions = [...this.#seen];
		const fresh = [...this.#policies].filter(([, { since }]) => since === undefined);
		return (now) => {
			let isNew = fresh.length > 0 || !this.#isWritten;
			this.#isWritten = true;
			for (const [source, version] of versions) {
				if (this.#standing.get(source) === version) continue;
				this.#standing.set(source, version);
				isNew = true;
			}
			for (const [policy, entry] of fresh) {
				const earlier = this.#earlier.get(policy);
				this.#earlier.delete(policy);
				entry.since = earlier?.generation === entry.generation ? earlier.since : now;
			}
			return isNew;
		};
	}

	/** For the node's report. */
	report(): Pick<NodePolicyReport, 'versions' | 'recent'> {
		const recent = [...this.#policies].flatMap(([policy, { generation, since }]) =>
			since === undefined ? [] : [{ policy, generation, since }],
		);
		return {
			versions: Object.fromEntries([...this.#standing].map(([source, version]) => [source, String(version)])),
			recent: recent.reverse().slice(0, mostReported),
		};
	}

	/**
	 * Where a policy stands on the nodes of these reports; `undefined`: it is not followed by
	 * versions.
	 */
	rollout(policy: string, reports: readonly NodePolicyReport[]): PolicyRollout | undefined {
		const known = this.#policies.get(policy);
		if (known === undefined) return undefined;
		const { source, generation, version } = known;
		const has = ({ mode, versions }: NodePolicyReport) => mode === 'enforced' && numberOf(versions[source]) >= version;
		const enforcing = reports.filter(has);
		const times = enforcing.map(
			({ recent }) => recent.find((entry) => entry.policy === policy && entry.generation === generation)?.since,
		);
		// One node that does not list it any more has it for longer: then the last time is not known.
		const since = times.every((time) => time !== undefined) ? times.sort().at(-1) : undefined;
		return {
			enforcedOn: enforcing.length,
			nodes: reports.length,
			...(since === undefined ? {} : { since }),
			lagging: reports.filter((report) => !has(report)).map(({ node }) => node),
		};
	}
}

/** A policy on the nodes of the cluster. */
export interface PolicyRollout {
	/** Nodes whose kernel has this generation. */
	readonly enforcedOn: number;
	/** Nodes that report. */
	readonly nodes: number;
	/** ISO 8601; when the last of them got it. */
	readonly since?: string;
	readonly lagging: readonly string[];
}

const numberOf = (text: string | undefined): bigint =>
	text !== undefined && /^\d{1,20}$/.test(text) ? BigInt(text) : -1n;

/**
 * A report that does not change is written again after this: 5,000 nodes make 8 writes a second.
 */
export const heartbeatMs = 600_000;
/** Two heartbeats may be lost, and clocks differ. */
const staleAfterMs = 3.5 * heartbeatMs;

const isStale = (writtenAt: string | undefined, nowMs: number): boolean =>
	writtenAt !== undefined && nowMs - Date.parse(writtenAt) > staleAfterMs;

/** The `status` of a node's object. */
export const reportStatus = (report: Omit<NodePolicyReport, 'node'>, writtenAt: string): JsonObject => ({
	mode: report.mode,
	writtenAt,
	waitingFor: [...report.waitingFor],
	failure: report.failure?.slice(0, mostFailureLength) ?? null,
	versions: { ...report.versions },
	recent: report.recent.map((entry) => ({ ...entry })),
});

/** Reads a node's object; what cannot be read is left out. */
export function parseReport(raw: JsonObject, nowMs: number): NodePolicyReport {
	const status = objectAt(raw, 'status');
	const { waitingFor, recent } = status;
	const failure = textAt(status, 'failure');
	return {
		node: textAt(raw, 'metadata', 'name') ?? '',
		mode: status['mode'] === 'enforced' ? 'enforced' : 'refused',
		waitingFor: Array.isArray(waitingFor) ? waitingFor.filter((one) => typeof one === 'string') : [],
		...(failure === undefined ? {} : { failure }),
		...(isStale(textAt(status, 'writtenAt'), nowMs) ? { isStale: true } : {}),
		versions: Object.fromEntries(
			Object.entries(objectAt(status, 'versions')).filter(
				(entry): entry is [string, string] => typeof entry[1] === 'string',
			),
		),
		recent: (Array.isArray(recent) ? recent.slice(0, mostReported) : []).flatMap((entry) => {
			if (!isObject(entry)) return [];
			const { policy, generation, since } = entry;
			return typeof policy === 'string' && typeof generation === 'number' && typeof since === 'string'
				? [{ policy, generation, since }]
				: [];
		}),
	};
}
