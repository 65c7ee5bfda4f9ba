/**
 * The product's plane of Services in this process and its network namespace, with pods that answer.
 */
import { execFileSync } from 'node:child_process';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { prefixKey, silentLogger, systemClock } from '../../../src/core/index.ts';
import { loadRuleset, systemEnvironment } from '../../../src/linux/index.ts';
import { NftablesServices, ServiceConntrack } from '../../../src/nftables/index.ts';
import { HealthServers, resolveSettings, ServicesPlane } from '../../../src/services/index.ts';
import { node } from './behaviour-objects.ts';

const patienceMs = 10_000;
/** Addresses of the node; the first one is the primary one. */
const nodeAddresses = [node.primary.ipv4, '192.168.1.2'];
const settings = resolveSettings(
	{
		podRanges: [prefixKey('10.9.0.0/16')],
		serviceRanges: [prefixKey('172.30.0.0/16')],
		masqueradeAll: false,
		nodePortAddresses: 'primary',
	},
	nodeAddresses,
);

/** Devices and routes: clients are 10.9.0.0/16, endpoints 10.0.1.0/24, all of this namespace. */
export function setUpNetwork(): void {
	for (const line of [
		'link set lo up',
		'link add eth0 type veth peer name far0',
		'link set eth0 up',
		'link set far0 up',
		...nodeAddresses.map((address) => `addr add ${address}/24 dev eth0`),
		'route add default dev eth0',
		'route add local 10.9.0.0/16 dev lo',
		'route add local 10.0.1.0/24 dev lo',
	])
		execFileSync('ip', line.split(' '), { env: systemEnvironment() });
}

/** A process that answers at a port: first the address that was reached, then what it receives. */
export function startServer(host: string, port: number, name?: string): Promise<Server> {
	const server = createServer((socket) => {
		socket.on('error', () => undefined);
		socket.write(`${name ?? socket.localAddress ?? ''}\n`);
		socket.pipe(socket);
	});
	return new Promise((resolve, reject) => {
		server.once('error', reject);
		server.listen({ host, port, backlog: 1024 }, () => resolve(server));
	});
}

/** A TCP connection and who answered it. */
export interface Connection {
	readonly answeredBy: string;
	/** Sends a line; `true` if it comes back. */
	send(text: string): Promise<boolean>;
	close(): void;
}

/** Connects from a client's address; `undefined`: refused, or no answer in time. */
export function connectFrom(
	client: string,
	host: string,
	port: number,
	timeoutMs = 1500,
): Promise<Connection | undefined> {
	return new Promise((resolve) => {
		const socket = connect({ host, port, localAddress: client });
		const fail = () => {
			socket.destroy();
			resolve(undefined);
		};
		socket.setTimeout(timeoutMs, fail);
		socket.once('error', fail);
		void nextLine(socket, timeoutMs).then((answeredBy) => {
			if (answeredBy === undefined) return fail();
			socket.setTimeout(0);
			resolve({
				answeredBy,
				async send(text) {
					socket.write(`${text}\n`);
					return (await nextLine(socket, timeoutMs)) === text;
				},
				close: () => socket.destroy(),
			});
		});
	});
}

function nextLine(socket: Socket, timeoutMs: number): Promise<string | undefined> {
	return new Promise((resolve) => {
		let text = '';
		const end = (line: string | undefined) => {
			clearTimeout(timer);
			socket.off('data', take);
			socket.off('close', close);
			resolve(line);
		};
		const take = (part: Buffer) => {
			text += part.toString();
			if (text.endsWith('\n')) end(text.slice(0, -1));
		};
		const close = () => end(undefined);
		const timer = setTimeout(close, timeoutMs);
		socket.on('data', take);
		socket.once('close', close);
	});
}

/** The plane with its kernel, conntrack and health ports: what a start of the daemon makes. */
export class PlaneNode {
	readonly plane: ServicesPlane;
	readonly #kernel = new NftablesServices({ load: loadRuleset });
	readonly #conntrack = new ServiceConntrack();
	readonly #health: HealthServers;

	constructor({ isHealthy = true }: { readonly isHealthy?: boolean } = {}) {
		this.#health = new HealthServers({
			health: () => ({
				isHealthy,
				isNodeLeaving: false,
				lastUpdatedMs: systemClock.wallMs(),
				nowMs: systemClock.wallMs(),
			}),
			log: silentLogger,
		});
		this.plane = new ServicesPlane({
			kernel: this.#kernel,
			conntrack: this.#conntrack,
			clock: systemClock,
			random: Math.random,
			log: silentLogger,
			onProgrammed: () => this.#health.set(this.plane.model?.healthChecks ?? new Map()),
		});
	}

	/** The first write: all objects that the plane has are complete. */
	async start(): Promise<void> {
		await this.plane.start();
		this.plane.inSync('services');
		this.plane.inSync('endpoint-slices');
		this.plane.apply({ node, settings, nodeAddresses });
		await this.settled();
	}

	/** The kernel has all changes. @throws Error with the reason why it does not */
	async settled(): Promise<void> {
		const untilMs = systemClock.monotonicMs() + patienceMs;
		while (!this.plane.isSettled || this.plane.waitingSinceMs !== undefined) {
			if (systemClock.monotonicMs() > untilMs)
				throw new Error(`Services not programmed: ${JSON.stringify(this.plane.view().failures)}`);
			await pause(1);
		}
		await this.plane.whenIdle();
		await this.#health.whenListening();
	}

	/** As a daemon that ends: the rules stay. */
	async stop(): Promise<void> {
		await this.plane.stop();
		this.#health.stop();
		this.#kernel.close();
		this.#conntrack.close();
	}

	/** Removes the rules, too. */
	async remove(): Promise<void> {
		await this.plane.stop();
		await this.#kernel.remove();
		await this.stop();
	}
}
