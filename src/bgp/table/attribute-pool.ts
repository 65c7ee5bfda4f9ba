import type { Random } from '../../core/index.ts';
import type { AttributeMemory } from '../model/rib.ts';
import { Arena } from './arena.ts';
import { grown, NumberStack } from './columns.ts';
import { copyBytes } from './copy-bytes.ts';
import { SegmentedIndex } from './segmented-index.ts';

/** Properties of an attribute set besides its bytes: bits of its `kind`, part of its identity. */
export const Kind = {
	/** From a route reflector's client (RFC 4456), or from a client of a route server. */
	fromClient: 1,
	/** Rejected by import policy for some prefixes; kept for output. */
	rejected: 2,
	/** Set by policy: NEXT_HOP becomes our own, or is kept. */
	nextHopSelf: 4,
	nextHopKeep: 8,
	/** Policy set MULTI_EXIT_DISC, so it is sent to external peers, too. */
	medSet: 16,
	/** Long-lived stale, marked locally (RFC 9494 §4.2). */
	longLivedStale: 32,
	/** The bytes are as received, with 2-octet AS numbers. */
	twoOctetAs: 64,
	/** Created by export policy: exists as long as its cache entry. */
	exported: 128,
	/**
	 * The result of import is too long for any message; a shortened form is stored, sufficient to
	 * distinguish it from others.
	 */
	tooLong: 256,
} as const;

/**
 * Attribute sets as small ids from 1. A set is interned by (peer, kind, priority, source, bytes): a
 * path then needs only its id, and split horizon is `peer[id]`. The bytes are a block of path
 * attributes with 4-octet AS numbers, without NLRI; an MP_REACH_NLRI ends after its next hop. All
 * inputs of selection are in columns, computed once. If import changes a received set, the result
 * is another set, whose `source` is the received one and which holds a reference to it.
 */
export class AttributePool {
	/** Ids are less than this. */
	limit = 1;
	/** True if the last `intern` created a set, whose columns must be filled. */
	isNew = false;

	// Identity.
	peer: Uint16Array;
	kind: Uint16Array;
	/** Kernel metric set by a policy, plus one; 0 for none. */
	priority: Uint32Array;
	/** Hash of only the bytes: equal for sets of different peers with equal bytes. */
	contentHash: Int32Array;
	length: Uint16Array;
	#offset: Uint32Array;
	#references: Uint32Array;

	/** The set from which import or export created this one; 0: received unchanged. */
	source: Int32Array;

	/**
	 * Number of AS numbers that import prepended: irrelevant for loops and for the sender of the
	 * route.
	 */
	added: Uint16Array;

	/** Result of import: 0 not computed, an id, or one of `Imported`. */
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

	/** Scratch for chains of prefixes by attribute set; zero between uses. */
	chain: Int32Array;

	readonly #arena = new Arena((id, offset) => {
		this.#offset[id] = offset;
	});
	readonly #free = new NumberStack();
	readonly #index = new SegmentedIndex();
	readonly #seed: number;
	readonly #onFree: ((id: number) => void)[] = [];

	/** `capacity`: initial capacity in sets. */
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

	/** Number of sets. */
	get size(): number {
		return this.limit - 1 - this.#free.size;
	}

	/** Memory of the attribute blocks, and the part that routes use. */
	get blockMemory(): AttributeMemory {
		const { residentBytes, liveBytes: heldBytes } = this.#arena;
		return { heldBytes, residentBytes };
	}

	/** `callback` gets each id before it is freed; the columns are still valid. */
	onFree(callback: (id: number) => void): void {
		this.#onFree.push(callback);
	}

	/**
	 * The id of the set with these bytes; creates it if absent (`isNew`). A new set has no
	 * reference yet: call `retain`.
	 */
	intern(
		peer: number,
		kind: number,
		priority: number,
		source: number,
		bytes: Uint8Array,
		start: number,
		end: number,
	): number {
		const content = hashBytes(bytes, start, end, this.#seed);
		const hash = mixIdentity(content, peer, kind, priority, source);
		const length = end - start;
		const slots = this.#index.slots(hash);
		const mask = slots.length - 1;
		for (let slot = (hash << 1) & mask; ; slot = (slot + 2) & mask) {
			const id = slots[slot] ?? 0;
			if (id === 0) break;
			if (
				slots[slot + 1] !== hash ||
				this.contentHash[id] !== content ||
				this.peer[id] !== peer ||
				this.kind[id] !== kind ||
				this.source[id] !== source
			)
				continue;
			if (this.length[id] === length && this.priority[id] === priority && this.#holds(id, bytes, start, length)) {
				this.isNew = false;
				return id;
			}
		}
		const id = this.#newId();
		const offset = this.#arena.allocate(id, length);
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

	/** True if the id has a reference. An id without a set has none. */
	isHeld(id: number): boolean {
		return (this.#references[id] ?? 0) > 0;
	}

	/** The set is freed with its last reference. */
	release(id: number): void {
		const references = (this.#references[id] ?? 0) - 1;
		this.#references[id] = references;
		if (references === 0) this.#drop(id);
	}

	/**
	 * The array that contains the bytes of a set, from `start(id)` on, `length[id]` of them. Valid
	 * until the next `intern` or `release`.
	 */
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
		this.#arena.free(this.#offset[id] ?? 0);
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
		return mixIdentity(
			this.contentHash[id] ?? 0,
			this.peer[id] ?? 0,
			this.kind[id] ?? 0,
			this.priority[id] ?? 0,
			this.source[id] ?? 0,
		);
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

/** Four bytes per step, seeded so that a peer can not cause collisions. */
function hashBytes(bytes: Uint8Array, start: number, end: number, seed: number): number {
	let hash = seed ^ (end - start);
	let at = start;
	for (; at + 4 <= end; at += 4) {
		const word =
			(bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
		hash = Math.imul(hash ^ word, 0x9e3779b1);
		hash ^= hash >>> 15;
	}
	for (; at < end; at++) hash = Math.imul(hash ^ (bytes[at] ?? 0), 0x85ebca6b) ^ (hash >>> 13);
	hash = Math.imul(hash ^ (hash >>> 16), 0xc2b2ae35);
	return hash ^ (hash >>> 13);
}

function mixIdentity(content: number, peer: number, kind: number, priority: number, source: number): number {
	const hash = Math.imul(
		content ^ Math.imul(peer + (kind << 16), 0x9e3779b1) ^ priority ^ Math.imul(source, 0xc2b2ae35),
		0x85ebca6b,
	);
	return hash ^ (hash >>> 15);
}
