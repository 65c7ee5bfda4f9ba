import { setTimeout as sleep } from 'node:timers/promises';
import {
	defaultNodeSettings,
	type NodePolicyChange,
	PolicyCalculator,
	PolicyFeed,
	prunePolicyPod,
} from '../../src/policy/index.ts';
import type { BesideFigures } from './beside.ts';
import { nodeName, nodeOfPod, otherObjects, podObject, policyObject, type WorldSize } from './world.ts';

/** The sink of changes: the kernel, or none. */
export interface Sink {
	readonly name: string;
	start(calculator: PolicyCalculator): Promise<void>;
	apply(change: NodePolicyChange, calculator: PolicyCalculator): Promise<void>;
	/** The same state by other means. */
	readonly beside?: (calculator: PolicyCalculator) => BesideFigures;
	close(): Promise<void>;
}

/** Milliseconds. */
export interface Percentiles {
	readonly p50: number;
	readonly p99: number;
	readonly most: number;
}

export interface Figures {
	readonly size: WorldSize;
	readonly localPods: number;
	readonly sink: string;
	/** From the lists to the first complete state, without and with the sink. */
	readonly computedMs: number;
	readonly enforcedMs: number;
	/** Processor time of the first. */
	readonly computedCpuMs: number;
	/** Pods whose names and versions are kept in addition. */
	readonly keptByInformer: number;
	readonly residentMib: number;
	readonly heapMib: number;
	readonly sets: number;
	readonly members: number;
	readonly labelClasses: number;
	/** The time until a change is computed, and until the sink has it. */
	readonly beside?: BesideFigures;
	readonly changes: Readonly<Record<string, { readonly computed: Percentiles; readonly applied: Percentiles }>>;
}

const mib = 1024 * 1024;

/** Builds the cluster at one of its nodes and changes it. */
export async function measure(size: WorldSize, sink: Sink, rounds: number): Promise<Figures> {
	const calculator = new PolicyCalculator({ node: nodeName(0), settings: defaultNodeSettings });
	const feed = new PolicyFeed(calculator);
	// The data that an informer keeps of each pod.
	const kept = new Map<string, unknown>();
	const nothing = {};
	const put = (index: number, app?: string) => {
		const raw = prunePolicyPod(podObject(index, size, app));
		const { name, namespace, uid, resourceVersion } = raw['metadata'] as Record<string, string>;
		kept.set(`${namespace}/${name}`, {
			name,
			namespace,
			uid,
			resourceVersion,
			terminating: false,
			labels: nothing,
			annotations: nothing,
			raw: nothing,
		});
		feed.put({ ...raw, apiVersion: 'v1', kind: 'Pod' });
	};
	const startedMs = performance.now();
	const startedCpu = process.cpuUsage();
	for (const object of otherObjects(size)) feed.put(object);
	for (let index = 0; index < size.pods; index++) put(index);
	calculator.takeChange();
	const computedMs = performance.now() - startedMs;
	const { user, system } = process.cpuUsage(startedCpu);
	await sink.start(calculator);
	const enforcedMs = performance.now() - startedMs;
	await settle();
	const { rss, heapUsed } = process.memoryUsage();

	const changes: Record<string, { computed: Percentiles; applied: Percentiles }> = {};
	const time = async (name: string, act: (round: number) => void) => {
		const computed: number[] = [];
		const applied: number[] = [];
		for (let round = 0; round < rounds; round++) {
			const beganMs = performance.now();
			act(round);
			const change = calculator.takeChange();
			computed.push(performance.now() - beganMs);
			if (change !== undefined) await sink.apply(change, calculator);
			applied.push(performance.now() - beganMs);
		}
		changes[name] = { computed: percentiles(computed), applied: percentiles(applied) };
	};
	// Of one node, all pods are local.
	const remote = Array.from({ length: size.pods }, (_, index) => index).filter(
		(index) => size.nodes === 1 || nodeOfPod(index, size) !== 0,
	);
	const far = (round: number) => remote[(1 + round * 7) % remote.length] ?? 0;
	await time('label of a pod of another node', (round) => put(far(round), `app-${round % 2 === 0 ? 'x' : 'y'}`));
	await time('label of a pod of this node', (round) => put(0, `app-${round % 10}`));
	await time('policy', (round) => feed.put(policyObject(0, size, 9000 + round)));
	await time('pod added', (round) => put(size.pods + round));
	const beside = sink.beside?.(calculator);
	const { sets } = calculator.state;
	return {
		size,
		localPods: calculator.state.workloads.size,
		sink: sink.name,
		computedMs,
		computedCpuMs: (user + system) / 1000,
		keptByInformer: kept.size,
		enforcedMs,
		residentMib: rss / mib,
		heapMib: heapUsed / mib,
		sets: sets.size,
		members: [...sets.values()].reduce((sum, { members }) => sum + members.size, 0),
		labelClasses: calculator.counts.labelClasses,
		changes,
		...(beside === undefined ? {} : { beside }),
	};
}

async function settle(): Promise<void> {
	globalThis.gc?.();
	await sleep(200);
	globalThis.gc?.();
}

function percentiles(values: readonly number[]): Percentiles {
	const sorted = [...values].sort((left, right) => left - right);
	const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
	return { p50: at(0.5), p99: at(0.99), most: at(1) };
}

/** Changes are computed and discarded. */
export const nowhere: Sink = {
	name: 'none',
	start: async () => {},
	apply: async () => {},
	close: async () => {},
};
