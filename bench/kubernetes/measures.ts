import { at, isObject, type JsonObject, parseJson, stringifyJson, withAt } from '../../src/json/index.ts';
import { type Client, inParallel } from './client.ts';

const blocks = '/apis/crd.projectcalico.org/v1/ipamblocks';

const node = (index: number): JsonObject => ({
	apiVersion: 'v1',
	kind: 'Node',
	metadata: {
		name: `node-${index}`,
		labels: { 'kubernetes.io/hostname': `node-${index}`, 'kubernetes.io/os': 'linux', rack: `rack-${index % 40}` },
		annotations: {
			'projectcalico.org/IPv4Address': `10.${index >> 8}.${index & 255}.1/24`,
			'projectcalico.org/IPv4IPIPTunnelAddr': `192.168.${index & 255}.1`,
		},
	},
	status: {
		addresses: [{ type: 'InternalIP', address: `10.${index >> 8}.${index & 255}.1` }],
		conditions: [{ type: 'Ready', status: 'True', reason: 'KubeletReady' }],
	},
});

/** A block of 64 addresses, half of them assigned. */
function block(index: number): JsonObject {
	const cidr = `100.${64 + (index >> 10)}.${(index >> 2) & 255}.${(index & 3) * 64}/26`;
	const used = Array.from({ length: 32 }, (_, ordinal) => ordinal);
	return {
		apiVersion: 'crd.projectcalico.org/v1',
		kind: 'IPAMBlock',
		metadata: { name: cidr.replaceAll(/[./]/g, '-') },
		spec: {
			cidr,
			affinity: `host:node-${index % 5000}`,
			strictAffinity: false,
			deleted: false,
			allocations: Array.from({ length: 64 }, (_, ordinal) => (ordinal < 32 ? ordinal : null)),
			unallocated: Array.from({ length: 32 }, (_, ordinal) => ordinal + 32),
			attributes: used.map((ordinal) => ({
				handle_id: `k8s-pod-network.${String(index * 64 + ordinal).padStart(64, '0')}`,
				secondary: { namespace: 'default', node: `node-${index % 5000}`, pod: `pod-${ordinal}` },
			})),
			sequenceNumber: 1_780_000_000_123_456_789n,
			sequenceNumberForAllocation: Object.fromEntries(
				used.map((ordinal) => [String(ordinal), 1_780_000_000_123_456_000n + BigInt(ordinal)]),
			),
		},
	};
}

const quantile = (sorted: readonly number[], share: number): number =>
	sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;

/** Compare-and-swap by `writers` concurrently, each on its own block: writes/s and milliseconds. */
export async function writes(
	client: Client,
	writers: number,
	seconds: number,
): Promise<Readonly<Record<string, number>>> {
	const latencies: number[] = [];
	const start = performance.now();
	const until = start + seconds * 1000;
	await Promise.all(
		Array.from({ length: writers }, async (_, index) => {
			let current = parseJson(await client.ask('POST', blocks, stringifyJson(block(900_000 + index))));
			while (performance.now() < until && isObject(current)) {
				const sequence = at(current, 'spec', 'sequenceNumber');
				const body: string = stringifyJson(
					withAt(current, ['spec', 'sequenceNumber'], typeof sequence === 'bigint' ? sequence + 1n : 1),
				);
				const sent = performance.now();
				current = parseJson(await client.ask('PUT', `${blocks}/${String(at(current, 'metadata', 'name'))}`, body));
				latencies.push(performance.now() - sent);
			}
		}),
	);
	const elapsed = (performance.now() - start) / 1000;
	latencies.sort((left, right) => left - right);
	return {
		count: latencies.length,
		'writes/s': latencies.length / elapsed,
		'p50 ms': quantile(latencies, 0.5),
		'p99 ms': quantile(latencies, 0.99),
	};
}

/**
 * The delay from a write until half of the watchers, and all of them, have the change:
 * milliseconds, the median of the writes.
 */
export async function watchLatency(
	client: Client,
	watchers: number,
	changes: number,
): Promise<Readonly<Record<string, number>>> {
	await client.ask('POST', '/api/v1/nodes', stringifyJson(node(99_999)));
	const list = parseJson(await client.ask('GET', '/api/v1/nodes?limit=1'));
	const version = String(at(list, 'metadata', 'resourceVersion'));
	let seen = 0;
	const stops: (() => void)[] = [];
	await inParallel(Array.from({ length: watchers }), 16, async () => {
		stops.push(
			await client.watch(
				`/api/v1/nodes?watch=true&resourceVersion=${version}&fieldSelector=metadata.name%3Dnode-99999`,
				() => seen++,
			),
		);
	});
	const halves: number[] = [];
	const alls: number[] = [];
	for (let change = 0; change < changes; change++) {
		const goal = seen + watchers;
		const sent = performance.now();
		await client.ask(
			'PUT',
			'/api/v1/nodes/node-99999',
			stringifyJson(withAt(node(99_999), ['metadata', 'labels', 'change'], String(change))),
		);
		let half: number | undefined;
		while (seen < goal) {
			if (half === undefined && seen >= goal - watchers / 2) half = performance.now() - sent;
			if (performance.now() - sent > 20_000) throw new Error(`${goal - seen} watchers heard nothing`);
			await new Promise((resolve) => setImmediate(resolve));
		}
		alls.push(performance.now() - sent);
		halves.push(half ?? performance.now() - sent);
	}
	for (const stop of stops) stop();
	const median = (values: number[]) =>
		quantile(
			values.sort((left, right) => left - right),
			0.5,
		);
	return { 'half of them ms': median(halves), 'all of them ms': median(alls) };
}

/** Creates many nodes and blocks, then lists them completely. */
export async function load(client: Client, nodes: number, count: number): Promise<Readonly<Record<string, number>>> {
	const start = performance.now();
	const indices = (length: number) => Array.from({ length }, (_, index) => index);
	await inParallel(
		indices(nodes),
		32,
		async (index) => void (await client.ask('POST', '/api/v1/nodes', stringifyJson(node(index)))),
	);
	await inParallel(
		indices(count),
		32,
		async (index) => void (await client.ask('POST', blocks, stringifyJson(block(index)))),
	);
	const made = performance.now();
	await client.ask('GET', '/api/v1/nodes');
	const listed = performance.now();
	await client.ask('GET', blocks);
	return {
		'writes/s': (nodes + count) / ((made - start) / 1000),
		'list of nodes ms': listed - made,
		'list of blocks ms': performance.now() - listed,
	};
}
