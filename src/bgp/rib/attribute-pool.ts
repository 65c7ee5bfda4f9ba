import type { Random } from '../../core/index.ts';
import { Arena } from './arena.ts';
import { grown, NumberStack } from './columns.ts';
import { SegmentedIndex } from './segmented-index.ts';

/** What an attribute set is, beyond its bytes: bits of its `kind`, part of its identity. */
export const Kind = {
	/** From a route reflector's client (RFC 4456), or from a client of a route server. */
	fromClient: 1,
	/** Refused by import policy for some prefixes; kept to show. */
	rejected: 2,
	/** Policy said: NEXT_HOP is to be our own, or to stay. */
	nextHopSelf: 4,
	nextHopKeep: 8,
	/** Policy set MULTI_EXIT_DISC, so it goes to an external peer too. */
	medSet: 16,
	/** Long-lived stale, marked here (RFC 9494 §4.2). */
	longLivedStale: 32,
	/** The bytes are as they came, with 2-octet AS numbers. */
	twoOctetAs: 64,
	/** Made by export policy: lives as long as the cache that holds it. */
	exported: 128,
	/** Import made more octets of it than there are in any message; what is kept is what tells it from others. */
	tooLong: 256,
} as const;

/**
 * Attribute sets as small ids, 1 and up. A set is interned by (peer, kind, priority, source, bytes): a path then needs its id
 * alone, and split horizon is `peer[id]`. The bytes are a block of path attributes with 4-octet AS numbers; NLRI are not among
 * them, an MP_REACH_NLRI ends behind its next hop. Everything that selection asks is in columns, filled once on first sight.
 * What import makes of a set that can't be used as it came is another set, whose `source` is the former, and which holds it.
 */
export class AttributePool {
	/** Ids are less than this. */
	limit = 1;
	/** Whether the last `intern` made a new set, whose columns are still to be filled. */
	isNew = false;

	// Identity.
	peer: Uint16Array;
	kind: Uint16Array;
	/** Kernel metric that a policy asked for, plus one; 0 for none. */
	priority: Uint32Array;
	/** Hash of the bytes alone: sets of different peers with equal bytes have equal ones. */
	contentHash: Int32Array;
	length: Uint16Array;
	#offset: Uint32Array;
	#references: Uint32Array;

	/** The set that this one was made from by import or export; 0: it came from a peer as it is. */
	source: Int32Array;

	/** How many AS numbers import put in front of AS_PATH: they say nothing of loops, nor of who sent the route. */
	added: Uint16Array;

	/** What import makes of it: 0 not asked yet, an id, or one of `Imported`. */
	imported: Int32Array;

	// Selection.
	localPref: Uint32Array;
	med: Uint32Array;
	neighborAs: Uint32Array;
	routerId: Uint32Array;
	asPathLength: Uint16Array;
	clusterListLength: Uint8Array;
	origin: Uint8Array;
	/** Index in `NextHops`. */
	nextHop: Int32Array;
	/** Bits of `Flag`. */
	flags: Uint32Array;
	/** A `Reason`; 0 for eligible. */
	reason: Uint8Array;

	/** Scratch for whoever chains prefixes by attribute set; zero between uses. */
	chain: Int32Array;

	readonly #arena = new Arena();
	readonly #free = new NumberStack();
	readonly #index = new SegmentedIndex();
	readonly #seed: number;
	readonly #onFree: ((id: number) => void)[] = [];

	/** Room for `capacity` sets to begin with. */
	constructor(random: Random, capacity: number) {
		this.#seed = Math.trunc(random() * 0x1_0000_0000) | 0;
		this.peer = new Uint16Array(capacity);
		this.kind = new Uint16Array(capacity);
		this.priority = new Uint32Array(capacity);
		this.contentHash = new Int32Array(capacity);
		this.length = new Uint16Array(capacity);
		this.#offset = new Uint32Array(capacity);
		this.#references = new Uint32Array(capacity);
		this.imported = new Int32Array(capacity);
		this.source = new Int32Array(capacity);
		this.added = new Uint16Array(capacity);
		this.localPref = new Uint32Array(capacity);
		this.med = new Uint32Array(capacity);
		this.neighborAs = new Uint32Array(capacity);
		this.routerId = new Uint32Array(capacity);
		this.asPathLength = new Uint16Array(capacity);
		this.clusterListLength = new Uint8Array(capacity);
		this.origin = new Uint8Array(capacity);
		this.nextHop = new Int32Array(capacity);
		this.flags = new Uint32Array(capacity);
		this.reason = new Uint8Array(capacity);
		this.chain = new Int32Array(capacity);
	}

	get capacity(): number {
		return this.peer.length;
	}

	/** Sets that have an id. */
	get size(): number {
		return this.limit - 1 - this.#free.size;
	}

	/** `callback` is told each id before it goes; the columns still hold. */
	onFree(callback: (id: number) => void): void {
		this.#onFree.push(callback);
	}

	/** The id of the set with these bytes, made where there is none (`isNew`). Nobody holds a new one yet: `retain` it. */
	intern(peer: number, kind: number, priority: number, source: number, bytes: Uint8Array, start: number, end: number): number {
		const content = hashBytes(bytes, start, end, this.#seed);
		const hash = mixIdentity(content, peer, kind, priority, source);
		const length = end - start;
		const slots = this.#index.slots(hash);
		const mask = slots.length - 1;
		for (let slot = (hash << 1) & mask; ; slot = (slot + 2) & mask) {
			const id = slots[slot] ?? 0;
			if (id === 0) break;
			if (slots[slot + 1] !== hash || this.contentHash[id] !== content || this.peer[id] !== peer || this.kind[id] !== kind || this.source[id] !== source)
				continue;
			if (this.length[id] === length && this.priority[id] === priority && this.#holds(id, bytes, start, length)) {
				this.isNew = false;
				return id;
			}
		}
		const id = this.#newId();
		const offset = this.#arena.allocate(length);
		copyBytes(bytes, start, this.#arena.slab(offset), this.#arena.start(offset), length);
		this.peer[id] = peer;
		this.kind[id] = kind;
		this.priority[id] = priority;
		this.contentHash[id] = content;
		this.length[id] = length;
		this.#offset[id] = offset;
		this.source[id] = source;
		this.added[id] = 0;
		if (source !== 0 && (kind & Kind.exported) === 0) this.retain(source);
		this.imported[id] = 0;
		this.nextHop[id] = 0;
		this.reason[id] = 0;
		this.flags[id] = 0;
		this.#index.add(id, hash);
		this.isNew = true;
		return id;
	}

	retain(id: number): void {
		this.#references[id] = (this.#references[id] ?? 0) + 1;
	}

	/** Does anybody hold it? An id without a set is held by nobody. */
	isHeld(id: number): boolean {
		return (this.#references[id] ?? 0) > 0;
	}

	/** The set goes when nobody holds it any more. */
	release(id: number): void {
		const references = (this.#references[id] ?? 0) - 1;
		this.#references[id] = references;
		if (references === 0) this.#drop(id);
	}

	/** The array that holds the bytes of a set, from `start(id)` on, `length[id]` of them. Valid until the next `intern`. */
	slab(id: number): Uint8Array {
		return this.#arena.slab(this.#offset[id] ?? 0);
	}

	start(id: number): number {
		return this.#arena.start(this.#offset[id] ?? 0);
	}

	/** A copy of the bytes of a set. */
	bytes(id: number): Uint8Array {
		const start = this.start(id);
		return this.slab(id).slice(start, start + (this.length[id] ?? 0));
	}

	#drop(id: number): void {
		for (const callback of this.#onFree) callback(id);
		this.#index.remove(id, this.#hashOf(id));
		this.#arena.free(this.#offset[id] ?? 0, this.length[id] ?? 0);
		const source = this.source[id] ?? 0;
		const owns = source !== 0 && ((this.kind[id] ?? 0) & Kind.exported) === 0;
		this.peer[id] = 0;
		this.length[id] = 0;
		this.#free.push(id);
		if (!owns) return;
		if (this.imported[source] === id) this.imported[source] = 0;
		this.release(source);
	}

	#holds(id: number, bytes: Uint8Array, start: number, length: number): boolean {
		const slab = this.slab(id);
		const at = this.start(id);
		for (let index = 0; index < length; index++) if (slab[at + index] !== bytes[start + index]) return false;
		return true;
	}

	#hashOf(id: number): number {
		return mixIdentity(this.contentHash[id] ?? 0, this.peer[id] ?? 0, this.kind[id] ?? 0, this.priority[id] ?? 0, this.source[id] ?? 0);
	}

	#newId(): number {
		if (this.#free.size > 0) return this.#free.pop();
		if (this.limit === this.capacity) this.#grow(this.limit * 2);
		return this.limit++;
	}

	#grow(capacity: number): void {
		this.peer = grown(this.peer, capacity);
		this.kind = grown(this.kind, capacity);
		this.priority = grown(this.priority, capacity);
		this.contentHash = grown(this.contentHash, capacity);
		this.length = grown(this.length, capacity);
		this.#offset = grown(this.#offset, capacity);
		this.#references = grown(this.#references, capacity);
		this.imported = grown(this.imported, capacity);
		this.source = grown(this.source, capacity);
		this.added = grown(this.added, capacity);
		this.localPref = grown(this.localPref, capacity);
		this.med = grown(this.med, capacity);
		this.neighborAs = grown(this.neighborAs, capacity);
		this.routerId = grown(this.routerId, capacity);
		this.asPathLength = grown(this.asPathLength, capacity);
		this.clusterListLength = grown(this.clusterListLength, capacity);
		this.origin = grown(this.origin, capacity);
		this.nextHop = grown(this.nextHop, capacity);
		this.flags = grown(this.flags, capacity);
		this.reason = grown(this.reason, capacity);
		this.chain = grown(this.chain, capacity);
	}
}

/** Copies a short run of bytes; for these a loop is faster than `set` with its view. */
export function copyBytes(from: Uint8Array, start: number, to: Uint8Array, at: number, length: number): void {
	if (length > 200) to.set(from.subarray(start, start + length), at);
	else for (let index = 0; index < length; index++) to[at + index] = from[start + index] ?? 0;
}

/** Four bytes a step, seeded so that nobody can aim at one slot. */
function hashBytes(bytes: Uint8Array, start: number, end: number, seed: number): number {
	let hash = seed ^ (end - start);
	let at = start;
	for (; at + 4 <= end; at += 4) {
		const word = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
		hash = Math.imul(hash ^ word, 0x9e3779b1);
		hash ^= hash >>> 15;
	}
	for (; at < end; at++) hash = Math.imul(hash ^ (bytes[at] ?? 0), 0x85ebca6b) ^ (hash >>> 13);
	hash = Math.imul(hash ^ (hash >>> 16), 0xc2b2ae35);
	return hash ^ (hash >>> 13);
}

function mixIdentity(content: number, peer: number, kind: number, priority: number, source: number): number {
	const hash = Math.imul(content ^ Math.imul(peer + (kind << 16), 0x9e3779b1) ^ priority ^ Math.imul(source, 0xc2b2ae35), 0x85ebca6b);
	return hash ^ (hash >>> 15);
}
