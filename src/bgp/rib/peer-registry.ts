import type { Family } from '../../core/index.ts';
import type { AttributePool } from './attribute-pool.ts';
import type { Batch } from './batch.ts';
import { RibPeer } from './peers.ts';

/** The families in the order in which they are served. */
export const familyNames: readonly Family[] = ['ipv4', 'ipv6'];

/** One of something for each family. */
export function byFamily<T>(make: (family: Family) => T): Readonly<Record<Family, T>> {
	return { ipv4: make('ipv4'), ipv6: make('ipv6') };
}

/** Peers by id and by name. An id is used again only when no route knows it any more. */
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
		// Routes know only ids that are in use.
		return this.#byId[id] ?? this.local;
	}

	byName(name: string): RibPeer | undefined {
		return this.#byName.get(name);
	}

	/** Everybody but this node. */
	all(): RibPeer[] {
		return this.#byId.filter((peer): peer is RibPeer => peer !== undefined && peer.id !== 0);
	}

	/** A new peer of that name; an earlier one goes on without its name. */
	create(name: string): RibPeer {
		const id = this.#free.pop() ?? this.#byId.length;
		const peer = new RibPeer(id, name, this.#ownAddresses);
		this.#byId[id] = peer;
		this.#byName.set(name, peer);
		return peer;
	}

	/** The peer will not come back: its name may mean another one. */
	forgetName(peer: RibPeer): void {
		if (this.#byName.get(peer.name) === peer) this.#byName.delete(peer.name);
	}

	/** Gives the id up if the peer has neither a session nor routes, nor is the source of anything announced. */
	releaseIfGone(peer: RibPeer): boolean {
		const busy = familyNames.some((family) => peer.families[family].received > 0 || peer.families[family].best > 0);
		if (busy || peer.sink !== undefined || this.#byId[peer.id] !== peer) return false;
		this.forgetName(peer);
		this.#byId[peer.id] = undefined;
		this.#free.push(peer.id);
		return true;
	}
}

/** Counts for each peer how many best routes a batch took from it and gave to it. */
export function countBest({ count, before, after }: Batch, { peer }: AttributePool, peers: PeerRegistry, family: Family): void {
	for (let index = 0; index < count; index++) {
		const old = before[index] ?? 0;
		const set = after[index] ?? 0;
		if (old !== 0) peers.byId(peer[old] ?? 0).families[family].best--;
		if (set !== 0) peers.byId(peer[set] ?? 0).families[family].best++;
	}
}
