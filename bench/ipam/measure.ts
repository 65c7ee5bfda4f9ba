import { prefixKey, silentLogger, systemClock } from '../../src/core/index.ts';
import {
	Allocator,
	type Block,
	blockName,
	ConflictError,
	conflictRetry,
	newBlock,
	nextWrite,
	type Versioned,
} from '../../src/ipam/index.ts';
import {
	ApiClient,
	type ApiLayout,
	calicoKinds,
	coreKinds,
	detectLayout,
	Informer,
	KubernetesIpamStore,
	loadCredentials,
	selectorMatches,
} from '../../src/kubernetes/index.ts';

/** Latencies in milliseconds. */
export interface Latencies {
	readonly p50: number;
	readonly p99: number;
}

/** The figures of one server. */
export interface IpamFigures {
	/** Conditional writes per second of the server with 32 writers on 32 blocks. */
	readonly writesPerSecond: number;
	/** One warm node, 64 concurrent requests. */
	readonly allocationsPerSecond: number;
	/** `allocationsPerSecond` as a share of `writesPerSecond`. */
	readonly share: number;
	readonly sequential: Latencies & { readonly perSecond: number };
	readonly hundredAtOnceSeconds: number;
	/** Requests to the API server per allocation. */
	readonly requests: {
		readonly coldReads: number;
		readonly coldWrites: number;
		readonly warmReads: number;
		readonly warmWrites: number;
	};
}

const quantile = (sorted: readonly number[], share: number): number =>
	sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;

/** Median and 99th percentile. */
export const latencies = (samples: number[]): Latencies => {
	const sorted = samples.sort((left, right) => left - right);
	return { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) };
};

/** A client that counts. */
class CountingClient extends ApiClient {
	reads = 0;
	writes = 0;

	override get(...given: Parameters<ApiClient['get']>) {
		this.reads++;
		return super.get(...given);
	}

	override list(...given: Parameters<ApiClient['list']>) {
		this.reads++;
		return super.list(...given);
	}

	override create(...given: Parameters<ApiClient['create']>) {
		this.writes++;
		return super.create(...given);
	}

	override replace(...given: Parameters<ApiClient['replace']>) {
		this.writes++;
		return super.replace(...given);
	}

	override remove(...given: Parameters<ApiClient['remove']>) {
		this.writes++;
		return super.remove(...given);
	}
}

/**
 * Measures a server that has Calico's CRDs. Creates its own pool and node, and leaves its objects.
 */
export async function measureIpam(
	kubeconfig: string,
	{ seconds, progress }: { readonly seconds: number; readonly progress: (text: string) => void },
): Promise<IpamFigures> {
	const credentials = await loadCredentials(kubeconfig);
	const client = new CountingClient(credentials, Math.random);
	const layout = await detectLayout(client);
	const node = `bench-${Date.now().toString(36)}`;
	await client.create(coreKinds.nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name: node } });
	const second = Math.floor(Math.random() * 200) + 10;
	const pool = {
		apiVersion: layout,
		kind: 'IPPool',
		metadata: { name: node },
		spec: { cidr: `10.${second}.0.0/16`, blockSize: 26, nodeSelector: 'all()' },
	};
	await client.create(calicoKinds(layout).pools, pool);
	progress('32 writers on 32 blocks');
	const writesPerSecond = await floor(client, layout, `10.${second}`, seconds);
	const nodes = new Informer({
		client,
		kind: coreKinds.nodes,
		log: silentLogger,
		clock: systemClock,
		random: Math.random,
	});
	const store = new KubernetesIpamStore({
		client,
		layout,
		node,
		nodes,
		log: silentLogger,
		clock: systemClock,
		random: Math.random,
	});
	nodes.start();
	store.start();
	await store.synced();
	const allocator = new Allocator({
		node,
		store,
		clock: systemClock,
		random: Math.random,
		retry: conflictRetry(Math.random),
		log: silentLogger,
		selectorMatches,
	});
	let serial = 0;
	const assign = async () => {
		const handleId = `${node}.${serial++}`;
		const result = await allocator.assign({
			handleId,
			attributes: { node, pod: handleId, namespace: 'bench' },
			families: ['ipv4'],
			use: 'Workload',
			pools: { ipv4: [node] },
		});
		if (result.type !== 'assigned') throw new Error(`${result.reason}: ${JSON.stringify(result.pools)}`);
		return handleId;
	};
	const counted = async (action: () => Promise<unknown>) => {
		const before = { reads: client.reads, writes: client.writes };
		await action();
		return { reads: client.reads - before.reads, writes: client.writes - before.writes };
	};
	const cold = await counted(assign);
	const warm = await counted(assign);
	progress('one after another');
	const samples: number[] = [];
	const handles: string[] = [];
	const sequentialUntil = performance.now() + seconds * 1000;
	const sequentialStart = performance.now();
	while (performance.now() < sequentialUntil) {
		const start = performance.now();
		handles.push(await assign());
		samples.push(performance.now() - start);
	}
	const sequentialSeconds = (performance.now() - sequentialStart) / 1000;
	progress('100 at once');
	const burst = performance.now();
	handles.push(...(await Promise.all(Array.from({ length: 100 }, assign))));
	const hundredAtOnceSeconds = (performance.now() - burst) / 1000;
	progress('64 under way');
	let done = 0;
	const until = performance.now() + seconds * 1000;
	const start = performance.now();
	await Promise.all(
		Array.from({ length: 64 }, async () => {
			while (performance.now() < until && serial < 1200) {
				handles.push(await assign());
				done++;
			}
		}),
	);
	const allocationsPerSecond = done / ((performance.now() - start) / 1000);
	progress('releasing');
	await Promise.all(
		Array.from({ length: 32 }, async () => {
			for (let handle = handles.pop(); handle !== undefined; handle = handles.pop()) await allocator.release(handle);
		}),
	);
	store.stop();
	nodes.stop();
	return {
		writesPerSecond,
		allocationsPerSecond,
		share: allocationsPerSecond / writesPerSecond,
		sequential: { ...latencies(samples), perSecond: samples.length / sequentialSeconds },
		hundredAtOnceSeconds,
		requests: { coldReads: cold.reads, coldWrites: cold.writes, warmReads: warm.reads, warmWrites: warm.writes },
	};
}

/**
 * The maximum of the server: 32 writers, each incrementing the sequence number of its own block.
 */
async function floor(client: ApiClient, layout: ApiLayout, prefix: string, seconds: number): Promise<number> {
	const node = new Informer({
		client,
		kind: coreKinds.nodes,
		log: silentLogger,
		clock: systemClock,
		random: Math.random,
	});
	const { blocks } = new KubernetesIpamStore({
		client,
		layout,
		node: 'floor',
		nodes: node,
		log: silentLogger,
		clock: systemClock,
		random: Math.random,
	});
	const until = { ms: Number.POSITIVE_INFINITY };
	let writes = 0;
	const own = await Promise.all(
		Array.from({ length: 32 }, (_, index) => {
			const cidr = prefixKey(`${prefix}.${255 - (index >> 2)}.${(index & 3) * 64}/26`);
			return blocks.create(blockName(cidr), {
				...newBlock(cidr, 'floor', '2026-01-01T00:00:00Z', BigInt(Date.now()) * 1_000_000n),
				affinity: 'host:floor',
			});
		}),
	);
	const start = performance.now();
	until.ms = start + seconds * 1000;
	await Promise.all(
		own.map(async (first) => {
			let current: Versioned<Block> = first;
			while (performance.now() < until.ms) {
				current = await blocks.write(blockName(current.value.cidr), { ...current, value: nextWrite(current.value) });
				writes++;
			}
		}),
	);
	const elapsed = (performance.now() - start) / 1000;
	for (const { value } of own) {
		const current = await blocks.read(blockName(value.cidr), 'fresh');
		if (current !== undefined)
			await blocks.remove(blockName(value.cidr), current).catch((error: unknown) => {
				if (!(error instanceof ConflictError)) throw error;
			});
	}
	return writes / elapsed;
}
