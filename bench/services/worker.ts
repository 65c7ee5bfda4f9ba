/** Runs inside the namespace: API server, endpoints, the subject, and the measures. */
import { type ChildProcess, execFileSync } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import {
	kubeconfigOf,
	packagedDefinitions,
	parseTokenFile,
	selfSigned,
	startApiServer,
} from '../../src/apiserver/index.ts';
import type { JsonObject } from '../../src/json/index.ts';
import { ApiClient, calicoKinds, coreKinds, loadCredentials } from '../../src/kubernetes/index.ts';
import { systemEnvironment } from '../../src/linux/index.ts';
import { connects } from '../ebpf/connect.ts';
import { processorMilliseconds } from '../kubernetes/targets.ts';
import { packetFigures } from './packets.ts';
import { type SubjectName, startSubject } from './subjects.ts';

interface Options {
	readonly subject: SubjectName;
	readonly services: number;
	readonly backends: number;
	readonly changes: number;
	readonly rate: number;
	readonly seconds: number;
	readonly connections: number;
	readonly packets: number;
	readonly announce: boolean;
	/** Longest time of single changes, in seconds. */
	readonly patience: number;
	/** Only the start and the memory. */
	readonly coldOnly: boolean;
	/** Figures are written to it as JSON. */
	readonly results: string;
}

// Passed by `main.ts` of the same build.
const options = JSON.parse(process.argv[2] ?? '{}') as Options;
const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-bench-services-'));

const results: Record<string, Readonly<Record<string, string | number>>> = {};

const say = (what: string, figures: Readonly<Record<string, string | number>>): void => {
	results[what] = figures;
	writeFileSync(options.results, JSON.stringify(results));
	const text = Object.entries(figures).map(
		([name, value]) => `${name} ${typeof value === 'number' ? value.toFixed(value < 10 ? 2 : 0) : value}`,
	);
	process.stdout.write(`${options.subject.padEnd(12)} ${what.padEnd(40)} ${text.join('   ')}\n`);
};

const clusterIpOf = (index: number): string => `10.${96 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
/** Of this namespace, all of them: `ip route add local`. */
const backendOf = (number: number): string => `10.${128 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`;

/** A TCP connection to a Service; the endpoint that accepted it, or `undefined` if none did. */
function probe(index: number, patienceMs = 1000): Promise<string | undefined> {
	return new Promise((resolve) => {
		const socket = connect({ host: clusterIpOf(index), port: 80 });
		let text = '';
		const end = (answer: string | undefined) => {
			socket.destroy();
			resolve(answer);
		};
		socket.setTimeout(patienceMs, () => end(undefined));
		socket.setEncoding('utf8').on('data', (part: string) => {
			text += part;
		});
		socket.once('end', () => end(text));
		socket.once('error', () => end(undefined));
	});
}

const slice = (index: number, addresses: readonly string[]): JsonObject => ({
	apiVersion: 'discovery.k8s.io/v1',
	kind: 'EndpointSlice',
	metadata: { name: `s${index}-1`, namespace: 'default', labels: { 'kubernetes.io/service-name': `s${index}` } },
	addressType: 'IPv4',
	endpoints: addresses.map((address) => ({
		addresses: [address],
		nodeName: 'node-b',
		conditions: { ready: true, serving: true, terminating: false },
	})),
	ports: [{ name: 'p', port: 8080, protocol: 'TCP' }],
});

const percentile = (sorted: readonly number[], share: number): number =>
	sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;

/**
 * An endpoint of no Service: flows to it take many ports of the node, which would keep those of flows
 * to the Service from getting one where masquerading draws it. The kernel drops such a packet.
 */
const apart = backendOf(8_000_000);

const residentMiB = (pid: number, field: 'VmRSS' | 'VmHWM' = 'VmRSS'): number =>
	Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

/** Ends a subject; its rules stay. */
async function end(child: ChildProcess): Promise<void> {
	if (child.exitCode !== null) return;
	const ended = new Promise((resolve) => child.once('exit', resolve));
	child.kill('SIGTERM');
	await Promise.race([ended, pause(10_000)]);
	if (child.exitCode === null) child.kill('SIGKILL');
	await ended;
}

/** Memory of a subject in a cluster without Services, in MiB. */
async function emptyMiB(kubeconfig: string): Promise<number> {
	const child = startSubject(options.subject, folder, kubeconfig);
	child.stderr?.resume();
	process.once('SIGTERM', () => child.kill('SIGKILL'));
	try {
		await pause(1000);
		let [before, now] = [0, residentMiB(child.pid ?? 0)];
		for (let turn = 0; turn < 20 && Math.abs(now - before) > now / 100; turn++) {
			await pause(1000);
			[before, now] = [now, residentMiB(child.pid ?? 0)];
		}
		return now;
	} finally {
		await end(child);
		execFileSync('nft', ['flush', 'ruleset'], { env: systemEnvironment() });
	}
}

const udpPort = 5353;
/** A Service that does not change, of UDP and TCP. Its number is below those of the others. */
const steadyService = 10;

/** Answers at the port of the UDP Service. */
function startEcho(address: string): Promise<Socket> {
	const socket = createSocket('udp4');
	socket.on('error', () => undefined);
	socket.on('message', (message, { address: to, port }) => socket.send(message, port, to, () => undefined));
	return new Promise((resolve) => socket.bind(udpPort, address, () => resolve(socket)));
}

async function createSteadyService(client: ApiClient): Promise<void> {
	const meta = { namespace: 'default' };
	const ports = [
		{ name: 'p', port: 53, protocol: 'UDP' },
		{ name: 't', port: 80, protocol: 'TCP' },
	];
	await client.create(
		coreKinds.services,
		{
			apiVersion: 'v1',
			kind: 'Service',
			metadata: { name: 'udp', ...meta },
			spec: { type: 'ClusterIP', clusterIP: clusterIpOf(steadyService), ports },
		},
		'default',
	);
	await client.create(
		coreKinds.endpointSlices,
		{
			...slice(
				0,
				Array.from({ length: options.backends }, (_, number) => backendOf(number)),
			),
			metadata: { name: 'udp-1', ...meta, labels: { 'kubernetes.io/service-name': 'udp' } },
			ports: [
				{ name: 'p', port: udpPort, protocol: 'UDP' },
				{ name: 't', port: 8080, protocol: 'TCP' },
			],
		},
		'default',
	);
}

async function main(): Promise<void> {
	for (const line of [
		'link set lo up',
		'link add d0 type veth peer name d1',
		'link set d0 up',
		'link set d1 up',
		'addr add 10.0.1.2/24 dev d0',
		'route add default dev d0',
		'route add local 10.128.0.0/9 dev lo',
	])
		execFileSync('ip', line.split(' '));
	let accepted = 0;
	const listener = createServer((socket) => {
		accepted++;
		socket.on('error', () => undefined);
		socket.end(socket.localAddress ?? '');
	});
	await new Promise<void>((resolve) => listener.listen({ port: 8080, host: '0.0.0.0', backlog: 1024 }, resolve));

	const certificate = selfSigned('bench', ['127.0.0.1'], Date.now());
	const server = await startApiServer({
		listen: { address: '127.0.0.1', port: 0 },
		users: parseTokenFile('secret,admin,admin,system:masters\n'),
		certificate,
		serviceCidr: '10.96.0.0/12',
		customDefinitions: packagedDefinitions(),
	});
	const kubeconfig = join(folder, 'kubeconfig');
	const entry = { server: server.url, certificate: certificate.cert, token: 'secret' };
	writeFileSync(kubeconfig, JSON.stringify(kubeconfigOf(entry)));
	const client = new ApiClient(await loadCredentials(kubeconfig), Math.random);
	const node = await client.create(coreKinds.nodes, {
		apiVersion: 'v1',
		kind: 'Node',
		metadata: { name: 'node-a', annotations: { 'projectcalico.org/IPv4Address': '10.0.1.2/24' } },
	});
	await client.replace(
		coreKinds.nodes,
		{ ...node, status: { addresses: [{ type: 'InternalIP', address: '10.0.1.2' }] } },
		'status',
	);
	const baseMiB = await emptyMiB(kubeconfig);
	let next = 0;
	const slices = new Map<number, JsonObject>();
	const create = async () => {
		for (let index = next++; index < options.services; index = next++) {
			const spec = {
				type: 'ClusterIP',
				clusterIP: clusterIpOf(index + 256),
				ports: [{ name: 'p', port: 80, protocol: 'TCP' }],
			};
			await client.create(
				coreKinds.services,
				{ apiVersion: 'v1', kind: 'Service', metadata: { name: `s${index}`, namespace: 'default' }, spec },
				'default',
			);
			const addresses = Array.from({ length: options.backends }, (_, number) =>
				backendOf(index * options.backends + number),
			);
			slices.set(index, await client.create(coreKinds.endpointSlices, slice(index, addresses), 'default'));
		}
	};
	await Promise.all(Array.from({ length: 16 }, create));
	await createSteadyService(client);
	if (options.announce)
		await client.create(calicoKinds('crd.projectcalico.org/v1').bgpConfigurations, {
			apiVersion: 'crd.projectcalico.org/v1',
			kind: 'BGPConfiguration',
			metadata: { name: 'default' },
			spec: { serviceClusterIPs: [{ cidr: '10.96.0.0/12' }] },
		});
	const echoes = await Promise.all([
		startEcho(apart),
		...Array.from({ length: options.backends }, (_, number) => startEcho(backendOf(number))),
	]);

	// The first and the last, and some between.
	const sample = [
		...new Set(Array.from({ length: 40 }, (_, step) => Math.round((step * (options.services - 1)) / 39))),
	];
	const startedMs = performance.now();
	const child = startSubject(options.subject, folder, kubeconfig);
	const log = process.env['BGPMESH_BENCH_LOG'] ?? join(folder, 'log');
	child.stderr?.pipe(createWriteStream(log));
	const pid = child.pid ?? 0;
	process.once('SIGTERM', () => {
		child.kill('SIGKILL');
		rmSync(folder, { recursive: true, force: true });
		process.exit(1);
	});
	try {
		for (const index of sample) {
			while ((await probe(index + 256, 200)) === undefined) {
				if (child.exitCode !== null || performance.now() - startedMs > 900_000)
					throw new Error(`${options.subject} did not program s${index}: ${readFileSync(log, 'utf8').slice(-2000)}`);
				await pause(10);
			}
		}
		const endpoints = options.services * options.backends;
		say(`${options.services} Services, ${endpoints} endpoints, cold`, {
			seconds: (performance.now() - startedMs) / 1000,
			'processor s': processorMilliseconds([pid]) / 1000,
		});
		const memoryMiB = residentMiB(pid);
		say(`memory, ${options.services} Services, ${endpoints} endpoints`, {
			'resident MiB': memoryMiB,
			'peak MiB': residentMiB(pid, 'VmHWM'),
			'without Services MiB': baseMiB,
			'bytes of a Service': ((memoryMiB - baseMiB) * 1024 * 1024) / options.services,
		});
		if (options.coldOnly) return;

		await pause(2000);
		const delays: number[] = [];
		const changingMs = performance.now();
		for (let change = 0; change < options.changes; change++) {
			if (performance.now() - changingMs > options.patience * 1000) break;
			const index = (change * 97) % options.services;
			const address = backendOf(6_000_000 + change);
			const before = slices.get(index) ?? {};
			slices.set(
				index,
				await client.replace(coreKinds.endpointSlices, { ...slice(index, [address]), metadata: before['metadata'] }),
			);
			const atMs = performance.now();
			while ((await probe(index + 256, 200)) !== address)
				if (performance.now() - atMs > 60_000)
					throw new Error(`${options.subject}: s${index} still goes elsewhere after a minute`);
			delays.push(performance.now() - atMs);
		}
		delays.sort((left, right) => left - right);
		say('one change', {
			times: delays.length,
			'p50 ms': percentile(delays, 0.5),
			'p99 ms': percentile(delays, 0.99),
		});

		const processorBefore = processorMilliseconds([pid]);
		const beganMs = performance.now();
		let made = 0;
		while (performance.now() - beganMs < options.seconds * 1000) {
			const index = (made * 31) % options.services;
			const before = slices.get(index) ?? {};
			slices.set(
				index,
				await client.replace(coreKinds.endpointSlices, {
					...slice(index, [backendOf(7_000_000 + made), backendOf(7_500_000 + made)]),
					metadata: before['metadata'],
				}),
			);
			made++;
			const ahead = (made * 1000) / options.rate - (performance.now() - beganMs);
			if (ahead > 0) await pause(ahead);
		}
		await pause(1000);
		say(`changes for ${options.seconds} s, ${options.rate} a second`, {
			'made a second': made / options.seconds,
			'processor ms each': (processorMilliseconds([pid]) - processorBefore) / made,
		});

		// kube-proxy may still be behind the changes.
		const behindMs = performance.now();
		for (let answers = 0; answers < 20 && performance.now() - behindMs < 120_000; ) {
			if ((await probe(steadyService)) === undefined) {
				answers = 0;
				await pause(200);
			} else answers++;
		}
		for (const [what, address, port] of [
			['to an endpoint', backendOf(0), 8080],
			['to a Service', clusterIpOf(steadyService), 80],
		] as const) {
			const before = accepted;
			const { p50Us, p99Us } = await connects(address, port, options.connections, async (made) => {
				while (accepted - before < made) await pause(1);
			});
			say(`connect() ${what}`, { 'p50 us': p50Us, 'p99 us': p99Us });
		}
		for (const [what, address, port] of [
			['to an endpoint', apart, udpPort],
			['to a Service', clusterIpOf(steadyService), 53],
		] as const) {
			const { establishedUs, firstUs, refused } = await packetFigures('10.0.1.2', { address, port }, options.packets);
			say(`processor time of a packet ${what}`, {
				'us established': establishedUs,
				'us first': firstUs,
				...(refused.size === 0 ? {} : { refused: [...refused].map(([error, count]) => `${count} ${error}`).join(' ') }),
			});
		}
	} finally {
		await end(child);
		await server.close();
		listener.close();
		for (const echo of echoes) echo.close();
		rmSync(folder, { recursive: true, force: true });
	}
}

await main();
process.exit(0);
