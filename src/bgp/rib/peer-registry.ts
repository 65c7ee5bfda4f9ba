import type { Family } from '../../core/index.ts';
import type { AttributePool } from '../table/attribute-pool.ts';
import type { Batch } from '../table/batch.ts';
import { RibPeer } from '../table/peers.ts';

/** The families in the order of processing. */
export const familyNames: readonly Family[] = ['ipv4', 'ipv6'];

/** One of something for each family. */
export function byFamily<T>(make: (family: Family) => T): Readonly<Record<Family, T>> {
	return { ipv4: make('ipv4'), ipv6: make('ipv6') };
}

/** Peers by id and by name. An id is reused only when no route refers to it. */
export class PeerRegistry {
	/** This node itself, as a source of routes. */
	readonly local: RibPeer;
	readonly #byId: (RibPeer | undefined)[];
	readonly #byName = new Map<string, RibPeer>();
	readonly #free: number[] = [];
	readonly #ownAddresses: ReadonlySet<string>;

	constructor(ownAddresses: ReadonlySet<string>) {
		this.#ownAddresses = ownAddresses;
		this.local = new RibPeer(0, '', ownAddresses);
		this.#byId = [this.local];
	}

	byId(id: number): RibPeer {
		// Routes contain only ids in use.
		return this.#byId[id] ?? this.local;
	}

	byName(name: string): RibPeer | undefined {
		return this.#byName.get(name);
	}

	/** All peers except this node. */
	all(): RibPeer[] {
		return this.#byId.filter((peer): peer is RibPeer => peer !== undefined && peer.id !== 0);
	}

	/** Creates a peer with that name; an earlier one continues without its name. */
	create(name: string): RibPeer {
		const id = this.#free.pop() ?? this.#byId.length;
		const peer = new RibPeer(id, name, this.#ownAddresses);
		this.#byId[id] = peer;
		this.#byName.set(name, peer);
		return peer;
	}

	/** The peer will not return: its name may identify another one. */
	forgetName(peer: RibPeer): void {
		if (this.#byName.get(peer.name) === peer) this.#byName.delete(peer.name);
	}

	/**
	 * Releases the id if the peer has neither a session nor routes, and is not the source of an
	 * announcement.
	 */
	releaseIfGone(peer: RibPeer): boolean {
		const busy = familyNames.some((family) => peer.families[family].received > 0 || peer.families[family].best > 0);
		if (busy || peer.sink !== undefined || this.#byId[peer.id] !== peer) return false;
		this.forgetName(peer);
		this.#byId[peer.id] = undefined;
		this.#free.push(peer.id);
		return true;
	}
}

/** Counts for each peer the best routes that a batch added and removed. */
export function countBest(
	{ count, before, after }: Batch,
	{ peer }: AttributePool,
	peers: PeerRegistry,
	family: Family,
): void {
	for (let index = 0; index < count; index++) {
		const old = before[index] ?? 0;
		const set = after[index] ?? 0;
		if (old !== 0) peers.byId(peer[old] ?? 0).families[family].best--;
		if (set !== 0) peers.byId(peer[set] ?? 0).families[family].best++;
	}
}
