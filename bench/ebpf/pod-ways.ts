/** From pod to pod of one node by every way: `connect()`, connections a second, throughput. */
import { execFile } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { findBinary } from '../../lab/kubernetes/binaries.ts';
import { check, libc, systemEnvironment } from '../../src/linux/index.ts';
import { processorMilliseconds } from '../kubernetes/targets.ts';
import { round } from '../nftables/measures.ts';
import { type ConnectResult, cloneNewNet, connectDurations, percentiles } from './connect.ts';
import { type PodNode, streamPort, type Way, ways, withPodNodes } from './pod-node.ts';
import { RateClient } from './rate-client.ts';

const run = promisify(execFile);

export type PodConnectResult = Omit<ConnectResult, 'way'> & { readonly way: Way };

/** Least, median and most of the rounds: their distance is the noise of the machine. */
interface Spread {
	readonly least: number;
	readonly median: number;
	readonly most: number;
}

export interface RateResult {
	readonly way: Way;
	/** Connections of TCP, from SYN to both FIN, a second. */
	readonly perSecond: Spread;
	/** Processor time of clients and server for a connection, over all rounds. */
	readonly processorUs: number;
}

export interface StreamResult {
	readonly way: Way;
	readonly gigabits: Spread;
	/** Processor time of client and server for a gigabit, median. */
	readonly processorMsPerGigabit: number;
}

export interface PodWaysOptions {
	readonly connections: number;
	readonly services: number;
	/** Of a round of connections or of one stream. */
	readonly seconds: number;
	/** Clients at a time. */
	readonly clients: number;
}

export type PodMeasure = 'connectPods' | 'rate' | 'stream';
type PodFigures = PodConnectResult[] | RateResult[] | StreamResult[] | { readonly skipped: string };

/** Rounds of all ways in turn, so that the noise of the machine meets each of them. */
const connectRounds = 20;
const otherRounds = 5;
const iperf = '/usr/bin/iperf3';

const spreadOf = (values: readonly number[]): Spread => {
	const sorted = [...values].sort((left, right) => left - right);
	return {
		...{ least: round(sorted[0] ?? Number.NaN), median: round(sorted[sorted.length >> 1] ?? Number.NaN) },
		most: round(sorted.at(-1) ?? Number.NaN),
	};
};

/** These measures at the same nodes. Without kube-proxy on this machine its way is left out. */
export async function benchPodWays(
	measures: readonly PodMeasure[],
	options: PodWaysOptions,
): Promise<Partial<Record<PodMeasure, PodFigures>>> {
	const chosen = ways.filter((way) => way !== 'kube-proxy' || findBinary('kube-proxy') !== undefined);
	return withPodNodes(chosen, options.services, async (nodes) => {
		const results: Partial<Record<PodMeasure, PodFigures>> = {};
		for (const measure of measures) results[measure] = await measuresOf[measure](nodes, options);
		return results;
	});
}

const measuresOf: Readonly<
	Record<PodMeasure, (nodes: readonly PodNode[], options: PodWaysOptions) => Promise<PodFigures>>
> = { connectPods: connectFigures, rate: rateFigures, stream: streamFigures };

async function connectFigures(nodes: readonly PodNode[], { connections }: PodWaysOptions): Promise<PodConnectResult[]> {
	const own = openSync('/proc/thread-self/ns/net', 'r');
	const durations = nodes.map((): number[] => []);
	try {
		// The first round warms up.
		for (let turn = 0; turn <= connectRounds; turn++)
			for (const [index, node] of nodes.entries()) {
				node.enter();
				const { address, port } = node.target;
				const made = await connectDurations(address, port, Math.ceil(connections / connectRounds));
				if (turn > 0) durations[index]?.push(...made);
			}
	} finally {
		check('setns', libc().setns(own, cloneNewNet));
		closeSync(own);
	}
	return nodes.map(({ way }, index) => ({
		way,
		count: durations[index]?.length ?? 0,
		...percentiles(durations[index] ?? []),
	}));
}

async function rateFigures(nodes: readonly PodNode[], { seconds, clients }: PodWaysOptions): Promise<RateResult[]> {
	const teams = nodes.map((node) => Array.from({ length: clients }, () => new RateClient(node)));
	try {
		const rates = nodes.map((): number[] => []);
		const used = nodes.map(() => ({ connections: 0, milliseconds: 0 }));
		for (let turn = 0; turn < otherRounds; turn++)
			for (const [index, team] of teams.entries()) {
				const pids = [...team, nodes[index]].flatMap((one) => one?.pid ?? []);
				const before = processorMilliseconds(pids);
				const made = (await Promise.all(team.map((client) => client.run(seconds)))).reduce((sum, one) => sum + one, 0);
				rates[index]?.push(made / seconds);
				const sum = used[index];
				if (sum === undefined) continue;
				sum.connections += made;
				sum.milliseconds += processorMilliseconds(pids) - before;
			}
		return nodes.map(({ way }, index) => {
			const { connections = 0, milliseconds = Number.NaN } = used[index] ?? {};
			return { way, perSecond: spreadOf(rates[index] ?? []), processorUs: round((milliseconds * 1000) / connections) };
		});
	} finally {
		for (const client of teams.flat()) await client.close();
	}
}

/** iperf3 to the pod's own address: what differs is the way of packets. */
async function streamFigures(
	nodes: readonly PodNode[],
	{ seconds }: PodWaysOptions,
): Promise<StreamResult[] | { readonly skipped: string }> {
	if (!existsSync(iperf)) return { skipped: 'iperf3 is not installed (npm run setup)' };
	const streams = nodes.map((): Stream[] => []);
	for (let turn = 0; turn < otherRounds; turn++)
		for (const [index, node] of nodes.entries()) streams[index]?.push(await stream(node, seconds));
	return nodes.map(({ way }, index) => {
		const made = streams[index] ?? [];
		return {
			...{ way, gigabits: spreadOf(made.map(({ gigabits }) => gigabits)) },
			processorMsPerGigabit: spreadOf(made.map(({ msPerGigabit }) => msPerGigabit)).median,
		};
	});
}

interface Stream {
	readonly gigabits: number;
	readonly msPerGigabit: number;
}

async function stream(node: PodNode, seconds: number): Promise<Stream> {
	const [command = '', ...inB] = node.within('b');
	const server = run(command, [...inB, iperf, '-s', '-1', '-p', String(streamPort)], { env: systemEnvironment() });
	server.catch(() => undefined);
	try {
		await pause(200);
		const [again = '', ...inA] = node.within('a');
		const { stdout } = await run(
			again,
			[...inA, iperf, '-c', node.serverAddress, '-p', String(streamPort), '-t', String(seconds), '-J'],
			{ env: systemEnvironment(), timeout: (seconds + 20) * 1000, maxBuffer: 1 << 24 },
		);
		// The document of iperf3 -J.
		const { end } = JSON.parse(stdout) as {
			end: {
				sum_received: { bits_per_second: number };
				cpu_utilization_percent: { host_total: number; remote_total: number };
			};
		};
		const gigabits = end.sum_received.bits_per_second / 1e9;
		const { host_total: client, remote_total: ofServer } = end.cpu_utilization_percent;
		return { gigabits, msPerGigabit: ((client + ofServer) * 10) / gigabits };
	} finally {
		server.child.kill('SIGKILL');
	}
}
