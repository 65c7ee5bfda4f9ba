/**
 * The backend `ebpf`: real sockets of a pod and of the node whose cluster IPs our programs
 * translate, and frames from outside through programs at the interface. What the sockets leave
 * alone is judged by frames through our rules of nftables, which stand beside the programs on a
 * node, too.
 */
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { addQuietNamespace, ipBatch, removeNamespace } from '../../../lab/frames/namespaces.ts';
import { inside } from '../../../lab/frames/sockets.ts';
import type { Cell, TableBackend } from '../../../lab/truth-table.ts';
import { formatAddress, parseAddress } from '../../../src/core/index.ts';
import { openSocketMaps, type SocketMaps, SocketServices } from '../../../src/ebpf/index.ts';
import { check, libc, networkNamespaceCookie } from '../../../src/linux/index.ts';
import { type Backend, emptyModel } from '../../../src/services/index.ts';
import { type PacketCase, type PreparedCase, prepare, type ServicesCase, verdictText } from './cases.ts';
import { openNftables, originOf, packetsFor, ServiceFrames, ServiceNode } from './nftables.ts';
import { OutsideTranslator } from './outside.ts';

const [inet, inet6, stream, datagram, nonBlocking] = [2, 10, 1, 2, 0x800] as const;

/** Judges by sockets what they translate, and by frames the rest. */
export class SocketTable implements TableBackend<ServicesCase> {
	readonly #frames: ServiceFrames;
	readonly #outside: ServiceFrames;
	readonly #cgroupRoot: string;
	readonly #cgroup: string;
	readonly #namespaces: Readonly<Record<'pod' | 'node', string>>;
	readonly #maps: SocketMaps;
	readonly #services: SocketServices;
	readonly #spoil: (backend: Backend) => Backend;
	#bySockets = 0;
	#byInterface = 0;

	constructor(cgroupRoot: string, prefix: string, spoil: (backend: Backend) => Backend) {
		this.#spoil = spoil;
		this.#frames = openNftables(`${prefix}f`);
		const node = new ServiceNode(`${prefix}o`);
		this.#outside = new ServiceFrames(node, new OutsideTranslator(node.namespace, node.uplinkIndex, spoil));
		this.#cgroupRoot = cgroupRoot;
		this.#cgroup = join(cgroupRoot, prefix);
		this.#namespaces = { pod: `${prefix}p`, node: `${prefix}n` };
		for (const namespace of Object.values(this.#namespaces)) {
			addQuietNamespace(namespace);
			ipBatch(['link set lo up'], namespace);
		}
		mkdirSync(this.#cgroup);
		this.#maps = openSocketMaps(undefined, { frontends: 1024, backends: 4096, sockets: 8192 });
		const nodeCookie = inside(this.#namespaces.node, networkNamespaceCookie);
		this.#services = new SocketServices({ maps: this.#maps, cgroup: this.#cgroup, nodeCookie });
		this.#services.attach();
		writeFileSync(join(this.#cgroup, 'cgroup.procs'), String(process.pid));
	}

	/** Packets from outside that the programs at the interface translated or dropped. */
	get byInterface(): number {
		return this.#byInterface;
	}

	/** Cells that the programs at sockets judged. */
	get bySockets(): number {
		return this.#bySockets;
	}

	async judge(item: ServicesCase): Promise<readonly Cell[] | { readonly skip: string }> {
		// Behaviour over time is that of our rules: the sockets of its process are in this cgroup, too.
		if (!('packets' in item)) this.#services.sync(emptyModel);
		const cells = await this.#frames.judge(item);
		if (!('packets' in item) || 'skip' in cells) return cells;
		const prepared = prepare(item);
		const pools = [...prepared.model.pools].map(
			([key, pool]) => [key, { ...pool, backends: pool.backends.map(this.#spoil) }] as const,
		);
		this.#services.sync({ ...prepared.model, pools: new Map(pools) });
		const outside = await this.#outside.judge(item, 'outside');
		const fromOutside = 'skip' in outside ? [] : [...outside];
		return cells.map((cell, index) => {
			const packet = prepared.packets[index];
			if (packet !== undefined && originOf(prepared, item, packet) === 'outside') {
				const judged = fromOutside.shift() ?? cell;
				if (packet.protocol !== 'sctp' && /^(dnat|drop)/.test(judged.actual)) this.#byInterface++;
				return judged;
			}
			const actual = packet && this.#translated(prepared, item, packet);
			if (actual === undefined) return cell;
			this.#bySockets++;
			return { ...cell, actual };
		});
	}

	async close(): Promise<void> {
		await this.#frames.close();
		await this.#outside.close();
		writeFileSync(join(this.#cgroupRoot, 'cgroup.procs'), String(process.pid));
		this.#services.close();
		for (const map of this.#maps.values()) map.close();
		for (const namespace of Object.values(this.#namespaces)) removeNamespace(namespace);
		rmdirSync(this.#cgroup);
	}

	/** The verdict of the sockets; `undefined`: they leave it to nftables. */
	#translated(prepared: PreparedCase, item: PacketCase, packet: PreparedCase['packets'][number]): string | undefined {
		const origin = originOf(prepared, item, packet);
		if (origin === 'outside' || packet.protocol === 'sctp') return undefined;
		const most = Math.max(1, ...[...prepared.model.pools.values()].map(({ backends }) => backends.length));
		const backends = new Set<string>();
		const count = packetsFor(most);
		for (let index = 0; index < count; index++) {
			// Clients with affinity draw again.
			this.#clear('svc_affinity');
			inside(this.#namespaces[origin], () => connectOnce(packet));
		}
		for (const key of this.#clear('svc_reverse')) backends.add(backendOf(key));
		if (backends.size === 0) return undefined;
		// A socket of the node has the node's address. A pod that reaches itself does so inside of
		// itself.
		const masquerade = origin === 'node' || [...backends].some((one) => addressOf(one) === packet.from);
		return verdictText({ verdict: 'dnat', backends: [...backends], masquerade });
	}

	#clear(name: 'svc_affinity' | 'svc_reverse'): Uint8Array[] {
		const map = this.#maps.get(name);
		const keys = [...(map?.keys() ?? [])];
		for (const key of keys) map?.delete(key);
		return keys;
	}
}

/** The hook runs before the kernel looks for a way, thus no endpoint needs to exist. */
function connectOnce({ to, port, protocol }: PreparedCase['packets'][number]): void {
	const { family, bytes } = parseAddress(to);
	const address = new Uint8Array(family === 'ipv4' ? 16 : 28);
	const view = new DataView(address.buffer);
	view.setUint16(0, family === 'ipv4' ? inet : inet6, true);
	view.setUint16(2, port, false);
	address.set(bytes, family === 'ipv4' ? 4 : 8);
	const type = (protocol === 'tcp' ? stream : datagram) | nonBlocking;
	const fd = check('socket', libc().socket(family === 'ipv4' ? inet : inet6, type, 0));
	libc().connect(fd, address, address.length);
	libc().close(fd);
}

/** The backend in a key of `svc_reverse`: cookie 8, address 16, port 2, protocol 1, family 1. */
function backendOf(key: Uint8Array): string {
	const isIpv4 = key[27] === 4;
	const address = formatAddress(key.subarray(8, isIpv4 ? 12 : 24));
	const port = new DataView(key.buffer, key.byteOffset).getUint16(24, false);
	return isIpv4 ? `${address}:${port}` : `[${address}]:${port}`;
}

const addressOf = (backend: string): string => backend.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');

/**
 * Sockets with our programs, and our rules for the rest; `spoil` inserts faults on purpose. @throws
 * Error with what is missing
 */
export function openEbpf(
	prefix = `bmt${process.pid}`,
	spoil: (backend: Backend) => Backend = (backend) => backend,
): SocketTable {
	const [, cgroupRoot] = /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'utf8')) ?? [];
	if (cgroupRoot === undefined) throw new Error('no cgroup2 is mounted');
	return new SocketTable(cgroupRoot, prefix, spoil);
}
