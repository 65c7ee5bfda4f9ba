import { setTimeout as sleep } from 'node:timers/promises';
import { prefixKey, silentLogger, systemClock } from '../src/core/index.ts';
import {
	Allocator,
	conflictRetry,
	findInconsistencies,
	type Inconsistency,
	RetriesExhaustedError,
} from '../src/ipam/index.ts';
import {
	ApiClient,
	ApiError,
	ApiUnreachableError,
	calicoKinds,
	coreKinds,
	detectLayout,
	Informer,
	KubernetesIpamStore,
	loadCredentials,
	selectorMatches,
	toAffinity,
	toBlock,
	toHandle,
	toPool,
	toResource,
} from '../src/kubernetes/index.ts';

export interface StressOptions {
	readonly nodes: number;
	/** Addresses assigned and released, all nodes together. */
	readonly allocations: number;
	/** Concurrent containers on one node. */
	readonly workersPerNode: number;
	readonly progress: (text: string) => void;
}

/** The result of a stress run. Correct: no duplicate address, none left, no inconsistency. */
export interface StressReport {
	readonly given: number;
	/** Calls that timed out at the server, or that it could not serve; they were repeated. */
	readonly unanswered: number;
	readonly seconds: number;
	/** Addresses that two containers held at a time. */
	readonly twice: readonly string[];
	/** Addresses that are still held when all are released. */
	readonly held: number;
	readonly handlesLeft: number;
	/** The result of `bgpmesh ipam check`. */
	readonly inconsistencies: readonly Inconsistency[];
}

/**
 * Many nodes that assign and release addresses concurrently, on one server with Calico's
 * definitions; at the end all objects are checked for consistency.
 */
export async function stress(
	kubeconfig: string,
	{ nodes: nodeCount, allocations, workersPerNode, progress }: StressOptions,
): Promise<StressReport> {
	const client = new ApiClient(await loadCredentials(kubeconfig), Math.random);
	const layout = await detectLayout(client);
	const kinds = calicoKinds(layout);
	const name = `stress-${Date.now().toString(36)}`;
	await client.create(kinds.pools, {
		apiVersion: layout,
		kind: 'IPPool',
		metadata: { name },
		spec: { cidr: '10.205.0.0/16', blockSize: 26, nodeSelector: 'all()' },
	});
	const common = { log: silentLogger, clock: systemClock, random: Math.random };
	const nodes = new Informer({ client, kind: coreKinds.nodes, ...common });
	nodes.start();
	const owners = new Map<string, string>();
	const twice: string[] = [];
	let started = 0;
	let given = 0;
	let unanswered = 0;
	const start = performance.now();
	const stores = await Promise.all(
		Array.from({ length: nodeCount }, async (_, index) => {
			// A node has its own connections: its watches hold some of them permanently.
			const own = new ApiClient(await loadCredentials(kubeconfig), Math.random);
			const store = new KubernetesIpamStore({ client: own, layout, node: `${name}-${index}`, nodes, ...common });
			store.start();
			await store.synced();
			return { node: `${name}-${index}`, store };
		}),
	);
	const container = async (allocator: Allocator, node: string) => {
		const handleId = `${name}.${++started}`;
		const release = () => again(() => allocator.release(handleId));
		const request = {
			handleId,
			attributes: { node, pod: handleId, namespace: 'stress' },
			families: ['ipv4'],
			use: 'Workload',
			pools: { ipv4: [name] },
		} as const;
		// As a kubelet after a failed sandbox: it is removed, and requested again.
		const result = await again(() => allocator.assign(request), release);
		if (result.type !== 'assigned') throw new Error(result.reason);
		const address = result.addresses[0]?.address ?? '';
		const other = owners.get(address);
		if (other !== undefined) twice.push(`${address}: ${other} and ${handleId}`);
		owners.set(address, handleId);
		if (++given % 5000 === 0)
			progress(`${given} given, ${(given / ((performance.now() - start) / 1000)).toFixed(0)}/s`);
		await sleep(Math.random() * 20);
		owners.delete(address);
		await release();
	};
	const again = async <Result>(
		ask: () => Promise<Result>,
		between: () => Promise<unknown> = async () => {},
	): Promise<Result> => {
		for (;;) {
			try {
				return await ask();
			} catch (error) {
				if (!isTemporary(error)) throw error;
				unanswered++;
				await sleep(Math.random() * 1000);
				await between();
			}
		}
	};
	await Promise.all(
		stores.map(async ({ node, store }) => {
			const allocator = new Allocator({ node, store, retry: conflictRetry(Math.random), selectorMatches, ...common });
			await Promise.all(
				Array.from({ length: workersPerNode }, async () => {
					while (started < allocations) await container(allocator, node);
				}),
			);
		}),
	);
	const seconds = (performance.now() - start) / 1000;
	for (const { store } of stores) store.stop();
	nodes.stop();
	const [pools, blocks, affinities, handles] = await Promise.all(
		[kinds.pools, kinds.blocks, kinds.affinities, kinds.handles].map(async (kind) =>
			(await client.list(kind)).items.map(toResource),
		),
	);
	const own = (blocks ?? []).map(toBlock).filter(({ cidr }) => prefixKey(cidr).startsWith('10.205.'));
	const book = {
		pools: (pools ?? []).map(toPool).filter((pool) => pool.name === name),
		blocks: own,
		affinities: (affinities ?? []).map(toAffinity).filter(({ node }) => node.startsWith(name)),
		handles: (handles ?? []).map(toHandle).filter(({ handleId }) => handleId.startsWith(name)),
	};
	return {
		given,
		unanswered,
		seconds,
		twice,
		held: own.flatMap(({ allocations: ordinals }) => ordinals).filter((index) => index !== null).length,
		handlesLeft: book.handles.length,
		inconsistencies: findInconsistencies(book),
	};
}

/** An overloaded server: the result is unknown, and the call may be repeated. */
const isTemporary = (error: unknown): boolean =>
	error instanceof ApiUnreachableError ||
	error instanceof RetriesExhaustedError ||
	(error instanceof ApiError && (error.code === 429 || error.code >= 500));
