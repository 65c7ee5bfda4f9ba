import type { Socket } from 'node:net';
import type { Logger } from '../../core/index.ts';
import type { PeerOptions } from '../model/peer-options.ts';
import type { ListenAddress, SpeakerDependencies } from '../model/speaker-options.ts';
import { minimumTtl } from '../session/dial.ts';
import { Listener, type ListenerNeighbour } from './listener.ts';
import type { Ranges } from './ranges.ts';
import { relisten } from './relisten.ts';

/** Maximum duration of accepting before the event loop gets its turn. */
const sliceMs = 3;

interface ListeningSocketsDependencies {
	readonly log: Logger;
	readonly accept: (socket: Socket) => void;
	readonly onFault: SpeakerDependencies['onFault'];
}

/**
 * The listening sockets of a speaker, and the kernel settings that peers require before their first
 * SYN: MD5 keys and TTLs. Connections that arrive between `open` and `release` wait.
 */
export class ListeningSockets {
	readonly #dependencies: ListeningSocketsDependencies;
	#listeners: readonly Listener[];
	#isOpen = false;
	/** Waiting connections: until `release`, and then for their turn. */
	#waiting: Socket[] = [];
	#released = false;
	#taking = false;
	#isPlain = true;
	#neighbours: readonly ListenerNeighbour[] = [];
	/** Peers without a key inside a range with a key, with the range; each was logged. */
	readonly #keyless = new Map<string, string>();

	constructor(listen: readonly ListenAddress[], dependencies: ListeningSocketsDependencies) {
		this.#dependencies = dependencies;
		this.#listeners = listen.map((where) => this.#listener(where));
	}

	get addresses(): readonly ListenAddress[] {
		return this.#listeners.map(({ where }) => where);
	}

	/** The bound ports, in the order of the addresses. */
	get ports(): number[] {
		return this.#listeners.map(({ port }) => port);
	}

	/** Peers without a key inside a range with a key. */
	get withoutKey(): { readonly peer: string; readonly range: string }[] {
		return [...this.#keyless].map(([peer, range]) => ({ peer, range }));
	}

	/** Idempotent. @throws ListenError */
	async open(): Promise<void> {
		for (const listener of this.#listeners) await listener.open();
		this.#isOpen = true;
	}

	/** Passes on waiting and future connections. */
	release(): void {
		this.#released = true;
		this.#takeSome();
	}

	/** Changes the listening addresses. @throws ListenError, and no address has changed */
	async replace(listen: readonly ListenAddress[]): Promise<void> {
		const { listeners, error } = await relisten(this.#listeners, listen, async (where) => {
			const listener = this.#listener(where);
			listener.expect(this.#neighbours);
			if (this.#isOpen) await listener.open();
			return listener;
		});
		this.#listeners = listeners;
		if (error !== undefined) throw error;
	}

	/**
	 * Sets keys and TTLs for all peers that may connect, configured and from ranges; before `open`,
	 * for the first SYN.
	 */
	expect(peers: Iterable<{ readonly dynamic: boolean; readonly options: PeerOptions }>, ranges: Ranges): void {
		const isKeyed = ranges.options.some(({ peer }) => peer.md5Key !== undefined);
		const known = new Set<string>();
		const neighbours: ListenerNeighbour[] = [];
		for (const { dynamic, options } of peers) {
			if (dynamic) continue;
			known.add(options.name);
			neighbours.push(neighbour(options.address, options));
			if (isKeyed) this.#checkKey(options, ranges);
		}
		for (const { prefix, peer } of ranges.options) neighbours.push(neighbour(prefix, peer));
		for (const name of this.#keyless.keys()) if (!isKeyed || !known.has(name)) this.#keyless.delete(name);
		this.#isPlain = !isKeyed && neighbours.every(isPlain);
		this.#neighbours = neighbours;
		for (const listener of this.#listeners) listener.expect(neighbours);
	}

	/** True if peers with these options do not affect the sockets. */
	isIndifferentTo(options: readonly PeerOptions[]): boolean {
		return this.#isPlain && options.every((given) => isPlain(neighbour(given.address, given)));
	}

	/** Accepts no more connections; accepted ones continue. */
	close(): void {
		this.#isOpen = false;
		for (const listener of this.#listeners) listener.close();
		for (const socket of this.#waiting.splice(0)) socket.destroy();
	}

	/**
	 * In the kernel, the key of a range applies to every address in it: segments of a peer without
	 * a key are dropped (RFC 2385 §2).
	 */
	#checkKey({ name, address, md5Key }: PeerOptions, ranges: Ranges): void {
		const range = md5Key === undefined ? ranges.find(address) : undefined;
		if (range?.peer.md5Key === undefined) this.#keyless.delete(name);
		else if (!this.#keyless.has(name)) {
			this.#keyless.set(name, range.name);
			this.#dependencies.log.warn(
				'a peer without md5Key lies in a range with one: the kernel drops its connections; give it the key',
				{ peer: name, range: range.name },
			);
		}
	}

	#listener(where: ListenAddress): Listener {
		return new Listener(where, this.#dependencies.log, (socket) => this.#accepted(socket), this.#dependencies.onFault);
	}

	#accepted(socket: Socket): void {
		socket.on('error', () => {});
		this.#waiting.push(socket);
		if (!this.#released || this.#taking) return;
		this.#taking = true;
		setImmediate(() => this.#takeSome());
	}

	/** An exception affects only one connection. */
	#take(socket: Socket): void {
		const { accept, onFault } = this.#dependencies;
		try {
			accept(socket);
		} catch (error) {
			socket.destroy();
			if (onFault === undefined) throw error;
			onFault(error);
		}
	}

	/**
	 * Thousands of connections may arrive in one turn of the event loop; each creates a session and
	 * an OPEN.
	 */
	#takeSome(): void {
		const untilMs = performance.now() + sliceMs;
		let taken = 0;
		for (const socket of this.#waiting) {
			taken++;
			if (!socket.destroyed) this.#take(socket);
			if (performance.now() >= untilMs) break;
		}
		this.#waiting.splice(0, taken);
		this.#taking = this.#waiting.length > 0;
		if (this.#taking) setImmediate(() => this.#takeSome());
	}
}

const isPlain = ({ md5Key, minimumTtl }: ListenerNeighbour): boolean =>
	md5Key === undefined && minimumTtl === undefined;

function neighbour(
	who: string,
	{ md5Key, ttlSecurityHops }: Pick<PeerOptions, 'md5Key' | 'ttlSecurityHops'>,
): ListenerNeighbour {
	return { who, md5Key, minimumTtl: minimumTtl(ttlSecurityHops) };
}
