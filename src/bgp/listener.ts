import { createServer, type Server, type Socket } from 'node:net';
import { familyOf, type Logger, type Prefix, parseAddress, parsePrefix } from '../core/index.ts';
import { descriptorOf, setMd5Key, setMinimumTtl, setTrafficClass, setTtl } from '../linux/index.ts';
import { writeAheadBytes } from './session/connection.ts';
import { md5KeyBytes } from './session/dial.ts';
import type { ListenAddress } from './speaker/options.ts';

/** Thousands of neighbours may come back in the same second. */
const backlog = 4096;
/** Network control: RFC 4271 appendix E, DSCP CS6. */
const networkControl = 0xc0;
const noKey = new Uint8Array(0);

/** What the kernel must know of a neighbour, or of a range of them, before its SYN comes. */
export interface ListenerNeighbour {
	/** An address, or a prefix with its length behind a slash. */
	readonly who: string;
	readonly md5Key: string | undefined;
	/** GTSM (RFC 5082): the least TTL of its packets, and our SYN-ACK must arrive with TTL 255 as well. `undefined`: any. */
	readonly minimumTtl: number | undefined;
}

/** An address that can't be listened at. */
export class ListenError extends Error {
	override readonly name = 'ListenError';
	readonly address: string;
	readonly port: number;

	constructor({ address, port }: ListenAddress, cause: unknown) {
		super(`cannot listen at ${address} port ${port}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
		this.address = address;
		this.port = port;
	}
}

/** Listens at one address and hands connections on; keeps the MD5 keys of neighbours, which accepted connections inherit. */
export class Listener {
	readonly where: ListenAddress;
	readonly #log: Logger;
	readonly #server: Server;
	/** Keys as the kernel has them, by neighbour. */
	readonly #keys = new Map<string, string>();
	/** As the kernel has it. */
	#minimumTtl = 0;

	constructor(where: ListenAddress, log: Logger, accept: (socket: Socket) => void) {
		this.where = where;
		this.#log = log;
		this.#server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true, highWaterMark: writeAheadBytes }, accept);
	}

	/** The port, also where 0 was asked for. */
	get port(): number {
		const address = this.#server.address();
		return address !== null && typeof address === 'object' ? address.port : this.where.port;
	}

	/** @throws ListenError */
	async open(): Promise<void> {
		const { address: host, port } = this.where;
		await new Promise<void>((resolve, reject) => {
			this.#server.once('error', (error) => reject(new ListenError(this.where, error)));
			this.#server.listen({ host, port, backlog }, resolve);
		});
		this.#server.removeAllListeners('error');
		this.#server.on('error', (error) => this.#log.error('accepting connections failed', { address: host, port, error: error.message }));
	}

	/** Brings keys and TTLs of the listening socket in line with who is expected. A key that the kernel refuses is reported; the others stand. */
	expect(neighbours: readonly ListenerNeighbour[]): void {
		const fd = descriptorOf(this.#server);
		if (fd === undefined) return;
		const family = familyOf(parseAddress(this.where.address).bytes);
		const hasGtsm = neighbours.some(({ minimumTtl }) => minimumTtl !== undefined);
		if (hasGtsm) this.#try('TTL', () => setTtl(fd, family, 255));
		// What all that can come here demand holds from the SYN on. The rest waits until a connection is accepted, and an OPEN may be there by then.
		const coming = hasGtsm ? neighbours.filter(({ who }) => reachable(family, who)) : [];
		const least = coming.length === 0 ? 0 : coming.reduce((lowest, { minimumTtl = 0 }) => Math.min(lowest, minimumTtl), 255);
		if (least !== this.#minimumTtl && this.#try('least TTL', () => setMinimumTtl(fd, family, least))) this.#minimumTtl = least;
		const wanted = new Map(neighbours.flatMap(({ who, md5Key }) => (md5Key === undefined ? [] : [[who, md5Key] as const])));
		if (wanted.size > 0) this.#try('traffic class', () => setTrafficClass(fd, family, networkControl));
		for (const who of [...this.#keys.keys()].filter((key) => !wanted.has(key))) {
			this.#keys.delete(who);
			this.#try('MD5 key', () => setMd5Key(fd, family, neighbourOf(who), noKey), who);
		}
		for (const [who, key] of wanted) {
			if (this.#keys.get(who) === key || !reachable(family, who)) continue;
			if (this.#try('MD5 key', () => setMd5Key(fd, family, neighbourOf(who), md5KeyBytes(key)), who)) this.#keys.set(who, key);
		}
	}

	/** No more connections; those that are there stay. */
	close(): void {
		this.#server.close();
	}

	#try(what: string, act: () => void, who?: string): boolean {
		try {
			act();
			return true;
		} catch (error) {
			this.#log.error(`the listening socket refused its ${what}`, { ...(who === undefined ? {} : { neighbour: who }), error: String(error) });
			return false;
		}
	}
}

function neighbourOf(who: string): { readonly bytes: Uint8Array; readonly length?: number } {
	return who.includes('/') ? prefixOf(who) : parseAddress(who);
}

const prefixOf = (text: string): Prefix => parsePrefix(text, 'clear');

/** An IPv4 socket hears nothing of IPv6 neighbours. */
function reachable(socketFamily: 'ipv4' | 'ipv6', who: string): boolean {
	return socketFamily === 'ipv6' || neighbourOf(who).bytes.length === 4;
}
