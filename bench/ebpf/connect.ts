/** `connect()` of TCP to a service: at the socket, by nftables, and to the endpoint itself. */
import { closeSync, mkdirSync, openSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { addQuietNamespace, ipBatch, removeNamespace } from '../../lab/frames/namespaces.ts';
import { namespacePath } from '../../lab/frames/sockets.ts';
import { openSocketMaps, SocketServices } from '../../src/ebpf/index.ts';
import { check, errnoName, lastErrno, libc, loadRuleset, networkNamespaceCookie } from '../../src/linux/index.ts';
import { NftablesServices } from '../../src/nftables/index.ts';
import {
	addressFrontendKey,
	emptyModel,
	type Frontend,
	type Pool,
	type ServicesModel,
} from '../../src/services/index.ts';

export interface ConnectResult {
	readonly way: 'endpoint' | 'nftables' | 'ebpf';
	readonly count: number;
	readonly p50Us: number;
	readonly p99Us: number;
}

export const cloneNewNet = 0x40000000;
const port = 8080;
const backend = '10.1.0.1';
const client = '10.1.0.9';
export const clusterIpOf = (index: number): string => `10.${96 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;

/** As many services and one more, each with the one backend. */
export function modelOf(services: number): ServicesModel {
	const pools: Pool[] = [];
	const frontends: Frontend[] = [];
	for (let index = 1; index <= services + 1; index++) {
		const servicePort = `ns/s${index}:80/tcp@ipv4`;
		const key = `${servicePort}#cluster`;
		const dnat = { type: 'dnat', pool: key, masquerade: false } as const;
		pools.push({
			...{ key, servicePort, family: 'ipv4', protocol: 'tcp' },
			backends: [{ address: backend, port, local: true }],
		});
		frontends.push({
			...{
				type: 'cluster-ip',
				key: addressFrontendKey(clusterIpOf(index), 'tcp', 80),
				servicePort,
				service: `ns/s${index}`,
			},
			...{ family: 'ipv4', protocol: 'tcp', port: 80, address: clusterIpOf(index) },
			actions: { pod: dnat, node: dnat, outside: dnat },
		});
	}
	return {
		...emptyModel,
		pools: new Map(pools.map((pool) => [pool.key, pool])),
		frontends: new Map(frontends.map((frontend) => [frontend.key, frontend])),
	};
}

/** Blocking connects one after the other, in microseconds. `wait` lets the server take them: a full queue of it refuses silently. */
export async function connects(
	address: string,
	to: number,
	count: number,
	wait?: (made: number) => Promise<unknown>,
): Promise<Pick<ConnectResult, 'p50Us' | 'p99Us'>> {
	return percentiles(await connectDurations(address, to, count, wait));
}

/** Median and 99th percentile, with one decimal. */
export function percentiles(durationsUs: readonly number[]): Pick<ConnectResult, 'p50Us' | 'p99Us'> {
	const sorted = [...durationsUs].sort((left, right) => left - right);
	const at = (share: number) => Math.round((sorted[Math.floor(sorted.length * share)] ?? 0) * 10) / 10;
	return { p50Us: at(0.5), p99Us: at(0.99) };
}

/** `struct sockaddr_in`. */
export function socketAddress(address: string, port: number): Uint8Array {
	const bytes = new Uint8Array(16);
	const view = new DataView(bytes.buffer);
	view.setUint16(0, 2, true);
	view.setUint16(2, port, false);
	bytes.set(address.split('.').map(Number), 4);
	return bytes;
}

/** See `connects`; as measured, in microseconds. */
export async function connectDurations(
	address: string,
	to: number,
	count: number,
	wait: (made: number) => Promise<unknown> = () => pause(5),
): Promise<number[]> {
	const [inet, stream] = [2, 1];
	const bytes = socketAddress(address, to);
	const durations: number[] = [];
	for (let index = 0; index < count; index++) {
		const fd = check('socket', libc().socket(inet, stream, 0));
		const start = process.hrtime.bigint();
		const result = libc().connect(fd, bytes, bytes.length);
		const end = process.hrtime.bigint();
		const errno = lastErrno();
		libc().close(fd);
		if (result < 0) throw new Error(`connect to ${address}:${to}: ${errnoName(errno)}`);
		durations.push(Number(end - start) / 1000);
		if (index % 50 === 49) await wait(index + 1);
	}
	return durations;
}

/** All ways in one namespace, in turns against drift of the machine; the last turn counts. */
export async function benchConnect({
	connections,
	services,
}: {
	readonly connections: number;
	readonly services: number;
}): Promise<ConnectResult[]> {
	const [, cgroupRoot] = /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'utf8')) ?? [];
	if (cgroupRoot === undefined) throw new Error('no cgroup2 is mounted');
	const name = `bmc${process.pid}`;
	const cgroup = join(cgroupRoot, name);
	const own = openSync('/proc/thread-self/ns/net', 'r');
	addQuietNamespace(name);
	// The client has another address than the endpoint: a connection to itself is masqueraded.
	ipBatch(
		[
			'link set lo up',
			`addr add ${client}/32 dev lo`,
			`addr add ${backend}/32 dev lo`,
			`route add default dev lo src ${client}`,
		],
		name,
	);
	const there = openSync(namespacePath(name), 'r');
	mkdirSync(cgroup);
	check('setns', libc().setns(there, cloneNewNet));
	closeSync(there);
	writeFileSync(join(cgroup, 'cgroup.procs'), String(process.pid));
	let accepted = 0;
	const server = createServer((socket) => {
		accepted++;
		socket.destroy();
	});
	try {
		await new Promise<void>((resolve) => server.listen({ port, host: backend, backlog: 1024 }, resolve));
		const model = modelOf(services);
		const target = clusterIpOf(services + 1);
		const measure = async (way: ConnectResult['way'], address: string, to: number): Promise<ConnectResult> => {
			// On a busy machine a pause of some milliseconds is too short for the queue of the server.
			const accepts = (count: number) => {
				const before = accepted;
				return connects(address, to, count, async (made) => {
					while (accepted - before < made) await pause(1);
				});
			};
			await accepts(Math.min(200, connections));
			return { way, count: connections, ...(await accepts(connections)) };
		};
		const direct = await measure('endpoint', backend, port);
		const rules = new NftablesServices({ load: loadRuleset });
		await rules.sync(model);
		const nftables = await measure('nftables', target, 80);
		// As on a node: the rules stand beside the programs.
		const maps = openSocketMaps(undefined, { frontends: services + 64, backends: services + 64, sockets: 65_536 });
		const sockets = new SocketServices({ maps, cgroup, nodeCookie: networkNamespaceCookie() });
		sockets.sync(model);
		sockets.attach();
		try {
			return [direct, nftables, await measure('ebpf', target, 80)];
		} finally {
			sockets.close();
			for (const map of maps.values()) map.close();
			await rules.remove();
			rules.close();
		}
	} finally {
		server.close();
		writeFileSync(join(cgroupRoot, 'cgroup.procs'), String(process.pid));
		check('setns', libc().setns(own, cloneNewNet));
		closeSync(own);
		rmdirSync(cgroup);
		removeNamespace(name);
	}
}
