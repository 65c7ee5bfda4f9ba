import { createServer, type Server, type Socket } from 'node:net';
import { familyOf, type Logger, type Prefix, parseAddress, parsePrefix } from '../../core/index.ts';
import { descriptorOf, openBoundSocket, setMd5Key, setMinimumTtl, setTrafficClass, setTtl } from '../../linux/index.ts';
import type { ListenAddress } from '../model/speaker-options.ts';
import { writeAheadBytes } from '../session/connection.ts';
import { md5KeyBytes } from '../session/dial.ts';

/** Thousands of neighbours may reconnect in the same second. */
const backlog = 4096;
/** Network control: RFC 4271 appendix E, DSCP CS6. */
const networkControl = 0xc0;
const noKey = new Uint8Array(0);

/**
 * The kernel settings for a neighbour, or a range of neighbours, required before its SYN arrives.
 */
export interface ListenerNeighbour {
	/** An address, or a prefix with its length. */
	readonly who: string;
	readonly md5Key: string | undefined;
	/**
	 * GTSM (RFC 5082): the minimum TTL of its packets; our SYN-ACK must arrive with TTL 255 as
	 * well. `undefined`: any.
	 */
	readonly minimumTtl: number | undefined;
}

const hints: Readonly<Record<string, (port: number) => string>> = {
	EADDRINUSE: (port) =>
		`another BGP speaker (bird, bgpd, gobgpd) or another bgpmeshd has the port: ss -ltnp 'sport = :${port}' names it`,
	EACCES: () => 'a port below 1024 needs CAP_NET_BIND_SERVICE',
	EADDRNOTAVAIL: () => 'no interface of this node has the address',
};

function codeOf(cause: unknown): string | undefined {
	return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined;
}

/** An address that can not be bound; the message has the likely reason. */
export class ListenError extends Error {
	override readonly name = 'ListenError';
	readonly address: string;
	readonly port: number;
	/** Code of the system call: `EADDRINUSE` and others. */
	readonly code: string | undefined;

	constructor({ address, port }: ListenAddress, cause: unknown) {
		const code = codeOf(cause);
		const hint = code === undefined ? undefined : hints[code]?.(port);
		const reason = cause instanceof Error ? cause.message : String(cause);
		super(`cannot listen at ${address} port ${port}: ${reason}${hint === undefined ? '' : `; ${hint}`}`, { cause });
		this.code = code;
		this.address = address;
		this.port = port;
	}
}

/**
 * Listens at one address and passes connections on; keeps the MD5 keys of neighbours, which
 * accepted connections inherit.
 */
export class Listener {
	readonly where: ListenAddress;
	readonly #log: Logger;
	readonly #server: Server;
	/** The keys set in the kernel, by neighbour. */
	readonly #keys = new Map<string, string>();
	/** The value set in the kernel. */
	#minimumTtl = 0;
	#expected: readonly ListenerNeighbour[] = [];
	/** Bound, and not listening yet. */
	#bound: number | undefined;

	/** `onFault` receives an exception of `accept`; the connection is then closed. */
	constructor(where: ListenAddress, log: Logger, accept: (socket: Socket) => void, onFault?: (error: unknown) => void) {
		this.where = where;
		this.#log = log;
		this.#server = createServer(
			{ pauseOnConnect: true, allowHalfOpen: true, noDelay: true, highWaterMark: writeAheadBytes },
			(socket) => {
				try {
					accept(socket);
				} catch (error) {
					if (onFault === undefined) throw error;
					onFault(error);
					socket.destroy();
				}
			},
		);
	}

	/** The bound port, also if port 0 was configured. */
	get port(): number {
		const address = this.#server.address();
		return address !== null && typeof address === 'object' ? address.port : this.where.port;
	}

	/** Idempotent. @throws ListenError */
	async open(): Promise<void> {
		if (this.#server.listening) return;
		const { address: host, port } = this.where;
		const fd = this.#bind();
		await new Promise<void>((resolve, reject) => {
			this.#server.once('error', (error) => reject(new ListenError(this.where, error)));
			this.#server.listen(fd === undefined ? { host, port, backlog } : { fd, backlog }, resolve);
		}).finally(() => {
			this.#bound = undefined;
		});
		this.#server.removeAllListeners('error');
		this.#server.on('error', (error) =>
			this.#log.error('accepting connections failed', { address: host, port, error: error.message }),
		);
	}

	/**
	 * A connection keeps the key and the TTL of the socket at its SYN. If neighbours need them, the
	 * socket gets them before it listens. Without such neighbours Node.js binds it itself.
	 */
	#bind(): number | undefined {
		if (this.#expected.every(({ md5Key, minimumTtl }) => md5Key === undefined && minimumTtl === undefined))
			return undefined;
		const { bytes } = parseAddress(this.where.address);
		try {
			this.#bound = openBoundSocket(familyOf(bytes), bytes, this.where.port);
		} catch (error) {
			throw new ListenError(this.where, error);
		}
		this.expect(this.#expected);
		return this.#bound;
	}

	/**
	 * Updates keys and TTLs of the listening socket for the expected neighbours; before `open`, for
	 * the time from the first SYN on. A key that the kernel refuses is reported; all others are set.
	 */
	expect(neighbours: readonly ListenerNeighbour[]): void {
		this.#expected = neighbours;
		const fd = this.#bound ?? descriptorOf(this.#server);
		if (fd === undefined) return;
		const family = familyOf(parseAddress(this.where.address).bytes);
		const hasGtsm = neighbours.some(({ minimumTtl }) => minimumTtl !== undefined);
		if (hasGtsm) this.#try('TTL', () => setTtl(fd, family, 255));
		// Only requirements shared by all expected neighbours apply from the SYN on. The others
		// apply after accept, when an OPEN may already have arrived.
		const coming = hasGtsm ? neighbours.filter(({ who }) => reachable(family, who)) : [];
		const least =
			coming.length === 0 ? 0 : coming.reduce((lowest, { minimumTtl = 0 }) => Math.min(lowest, minimumTtl), 255);
		if (least !== this.#minimumTtl && this.#try('least TTL', () => setMinimumTtl(fd, family, least)))
			this.#minimumTtl = least;
		const wanted = new Map(
			neighbours.flatMap(({ who, md5Key }) => (md5Key === undefined ? [] : [[who, md5Key] as const])),
		);
		if (wanted.size > 0) this.#try('traffic class', () => setTrafficClass(fd, family, networkControl));
		for (const who of [...this.#keys.keys()].filter((key) => !wanted.has(key))) {
			this.#keys.delete(who);
			this.#try('MD5 key', () => setMd5Key(fd, family, neighbourOf(who), noKey), who);
		}
		for (const [who, key] of wanted) {
			if (this.#keys.get(who) === key || !reachable(family, who)) continue;
			if (this.#try('MD5 key', () => setMd5Key(fd, family, neighbourOf(who), md5KeyBytes(key)), who))
				this.#keys.set(who, key);
		}
	}

	/** Accepts no more connections; existing ones continue. */
	close(): void {
		this.#server.close();
	}

	#try(what: string, act: () => void, who?: string): boolean {
		try {
			act();
			return true;
		} catch (error) {
			this.#log.error(`the listening socket refused its ${what}`, {
				...(who === undefined ? {} : { neighbour: who }),
				error: String(error),
			});
			return false;
		}
	}
}

function neighbourOf(who: string): { readonly bytes: Uint8Array; readonly length?: number } {
	return who.includes('/') ? prefixOf(who) : parseAddress(who);
}

const prefixOf = (text: string): Prefix => parsePrefix(text, 'clear');

/** An IPv4 socket does not receive connections of IPv6 neighbours. */
function reachable(socketFamily: 'ipv4' | 'ipv6', who: string): boolean {
	return socketFamily === 'ipv6' || neighbourOf(who).bytes.length === 4;
}
