import {
	Afi,
	CeaseSubcode,
	decodeMessage,
	ErrorCode,
	type PacketContext,
	PacketError,
	type Remedy,
	Safi,
	type UpdateMessage,
} from 'bgp-packet';
import { type Family, formatPrefix, type LineLimiter, type Logger } from '../../core/index.ts';
import type { RibPeer } from '../table/peers.ts';

/** Routes of a malformed UPDATE in the log; the logged bytes contain all. */
const mostRoutesLogged = 16;

/** Limits and violations of a peer. */
export class Limits {
	readonly #log: Logger;
	readonly #lines: LineLimiter;
	#martians = 0;

	constructor(log: Logger, lines: LineLimiter) {
		this.#log = log;
		this.#lines = lines;
	}

	/**
	 * A new path exceeds the peer's limit. `true`: it is accepted anyway. The session may end
	 * meanwhile.
	 */
	over(peer: RibPeer, family: Family): boolean {
		const { maxPrefix } = peer.options;
		if (maxPrefix === undefined || maxPrefix.action === 'warn') return true;
		this.near(peer, family);
		if (maxPrefix.action === 'shutdown') {
			// RFC 4486 §4: the data name the family and the limit.
			const { limit } = maxPrefix;
			const data = Uint8Array.of(
				0,
				family === 'ipv4' ? Afi.ipv4 : Afi.ipv6,
				Safi.unicast,
				limit >>> 24,
				limit >>> 16,
				limit >>> 8,
				limit,
			);
			peer.sink?.fail(
				ErrorCode.cease,
				CeaseSubcode.maximumPrefixesReached,
				data,
				`more than ${limit} ${family} prefixes`,
			);
		}
		return false;
	}

	/** The limit is near; logged once per session. */
	near(peer: RibPeer, family: Family): void {
		const state = peer.families[family];
		if (state.warned) return;
		state.warned = true;
		this.#logOf(peer).warn('a peer is near its prefix limit, or over it', {
			peer: peer.name,
			family,
			received: state.received,
			...peer.options.maxPrefix,
		});
	}

	/** A prefix that is not valid for a unicast route was ignored (RFC 4271 §6.3). */
	martian(peer: RibPeer): void {
		const count = ++this.#martians;
		if (isPowerOfTwo(count))
			this.#logOf(peer).warn('a prefix that no route may have was ignored', { peer: peer.name, ignored: count });
	}

	/** An UPDATE was malformed. RFC 7606 §8: logs the error, the routes, and the whole message. */
	malformed(peer: RibPeer, remedy: Remedy, buffer: Uint8Array, start: number, end: number): void {
		const count = ++peer.malformed[remedy];
		if (!isPowerOfTwo(count)) return;
		const message = buffer.subarray(start, end);
		const hex = Buffer.from(message).toString('hex');
		this.#logOf(peer).warn('a malformed UPDATE', {
			peer: peer.name,
			remedy,
			count,
			...describeMalformed(message, peer.context),
			hex,
		});
	}

	/** Each new session may repeat its lines. */
	#logOf(peer: RibPeer): Logger {
		return this.#lines.limit(this.#log, peer.name);
	}
}

/** Logged at each power of two: a peer with only malformed messages does not fill the log. */
const isPowerOfTwo = (count: number): boolean => (count & (count - 1)) === 0;

/** The decoded objects have more details than the fast path; both find the same errors. */
function describeMalformed(
	message: Uint8Array,
	context: PacketContext,
): { readonly problems: readonly string[]; readonly routes?: readonly string[] } {
	try {
		const update = decodeMessage(message, { ...context, extendedMessage: true });
		return update.type === 'update'
			? { problems: update.problems.map((problem) => problem.message), routes: routesOf(update) }
			: { problems: [] };
	} catch (error) {
		if (!(error instanceof PacketError)) throw error;
		return { problems: [error.message] };
	}
}

function routesOf({ nlri, attributes: { mpReach } }: UpdateMessage): string[] {
	const routes = [...nlri, ...(mpReach?.routes.type === 'prefixes' ? mpReach.routes.nlri : [])].map(
		({ bytes, length }) => formatPrefix(bytes, length),
	);
	return routes.length > mostRoutesLogged
		? [...routes.slice(0, mostRoutesLogged), `and ${routes.length - mostRoutesLogged} more`]
		: routes;
}
