import type { Random } from '../../core/index.ts';
import type { RibTuning } from '../model/rib.ts';
import { AnnouncedPaths } from './announced-paths.ts';
import type { AttributePool } from './attribute-pool.ts';
import { Flag } from './attribute-summary.ts';
import { grown, NumberRing, NumberStack } from './columns.ts';
import type { Candidates } from './decision.ts';
import { Ipv4Table } from './ipv4-table.ts';
import { Ipv6Table } from './ipv6-table.ts';
import type { NextHops } from './next-hops.ts';
import { PrefixRows } from './prefix-rows.ts';
import type { PrefixTable } from './prefix-table.ts';

/**
 * Bit of a path beside the id of its attribute set: from before a restart or refresh. RFC 4724
 * §4.2, RFC 7313 §4.
 */
export const staleBit = 1 << 30;
/** The id of the attribute set of a path. */
export const attributesMask = staleBit - 1;

const dirtyFlag = 1;
const zombieFlag = 2;

/**
 * All paths of one family. The first path of a prefix is in its column, further ones in a list. A
 * path is the id of its attribute set (which includes the peer) with the stale bit, and its path
 * identifier if these are in use (RFC 7911). `announced` is the attribute set announced as best,
 * from which the state of all update groups is derived.
 */
export class RouteTable {
	readonly prefixes: PrefixTable;
	readonly pool: AttributePool;
	/**
	 * By prefix. After selection `head` is the best path if any is eligible; `announced` holds a
	 * reference.
	 */
	readonly rows: PrefixRows;
	readonly #dirty = new NumberRing();
	readonly #nextHops: NextHops;
	/** For groups that send more than the best path. */
	readonly announcedPaths: AnnouncedPaths;
	/** Number of paths. */
	paths = 0;
	/** Number of selection steps that changed an announcement. */
	version = 0;
	#holders = 0;
	readonly #zombies: number[] = [];

	// The list: a path, and the index of the next one.
	#path: Int32Array;
	#next: Int32Array;
	#limit = 1;
	readonly #free = new NumberStack();

	// Path identifiers for `head` and the list; absent until the first peer sends them.
	#headPathId: Uint32Array | undefined = undefined;
	#pathId: Uint32Array | undefined = undefined;

	constructor(family: 'ipv4' | 'ipv6', pool: AttributePool, nextHops: NextHops, random: Random, sizes: RibTuning) {
		const capacity = family === 'ipv4' ? sizes.ipv4Prefixes : sizes.ipv6Prefixes;
		this.prefixes = family === 'ipv4' ? new Ipv4Table(random, capacity) : new Ipv6Table(random, capacity);
		this.pool = pool;
		this.announcedPaths = new AnnouncedPaths(this);
		this.#nextHops = nextHops;
		this.#path = new Int32Array(sizes.furtherPaths);
		this.#next = new Int32Array(sizes.furtherPaths);
		this.rows = new PrefixRows(capacity);
		this.prefixes.onGrowth((larger) => this.#grow(larger));
	}

	/** Number of prefixes that wait for selection. */
	get dirtyCount(): number {
		return this.#dirty.size;
	}

	/** Required before announcements of a peer that sends path identifiers. */
	usePathIds(): void {
		this.#headPathId ??= new Uint32Array(this.prefixes.capacity);
		this.#pathId ??= new Uint32Array(this.#path.length);
	}

	get usesPathIds(): boolean {
		return this.#headPathId !== undefined;
	}

	/**
	 * Stores a peer's path; returns the replaced path, 0 for none. An equal path marks nothing as
	 * dirty.
	 */
	announce(prefix: number, peer: number, pathId: number, attributes: number): number {
		const old = this.#find(prefix, peer, pathId);
		if (old === attributes) return old;
		this.pool.retain(attributes);
		if (old === 0) {
			this.#insert(prefix, pathId, attributes);
			this.paths++;
		} else {
			this.#replace(prefix, attributes);
			if ((old & attributesMask) === attributes) {
				// Only refreshed: the announced state is unchanged.
				this.pool.release(attributes);
				return old;
			}
			this.pool.release(old & attributesMask);
		}
		this.markDirty(prefix);
		return old;
	}

	/** Removes a peer's path; returns it, 0 for none. */
	withdraw(prefix: number, peer: number, pathId: number): number {
		const old = this.#find(prefix, peer, pathId);
		if (old !== 0) this.#removeFound(prefix, old);
		return old;
	}

	/** The path of a peer to a prefix, 0 for none. */
	path(prefix: number, peer: number, pathId: number): number {
		return this.#find(prefix, peer, pathId);
	}

	/**
	 * Replaces every path to a prefix by the result of `change`: the same, another attribute set of
	 * the same peer, with or without the stale bit, or 0 to remove it.
	 */
	rewrite(prefix: number, change: (path: number) => number): void {
		for (let index = 0; ; ) {
			const path = index === 0 ? this.rows.head(prefix) : (this.#path[index] ?? 0);
			if (path === 0) return;
			const wanted = change(path);
			this.#previous = index === 0 ? -1 : this.#previousOf(prefix, index);
			this.#found = index;
			if (wanted === 0) {
				const next = index === 0 ? 0 : (this.#next[index] ?? 0);
				this.#removeFound(prefix, path);
				// The next path has moved to the place of the first one.
				if (index !== 0 && next === 0) return;
				index = next;
				continue;
			}
			if (wanted !== path) {
				this.#replace(prefix, wanted);
				if (((wanted ^ path) & attributesMask) !== 0) {
					this.pool.retain(wanted & attributesMask);
					this.pool.release(path & attributesMask);
					this.markDirty(prefix);
				}
			}
			index = index === 0 ? this.rows.more(prefix) : (this.#next[index] ?? 0);
			if (index === 0) return;
		}
	}

	/** Calls `visit` with every path to a prefix and its path identifier. */
	each(prefix: number, visit: (path: number, pathId: number) => void): void {
		const head = this.rows.head(prefix);
		if (head === 0) return;
		visit(head, this.#headPathId?.[prefix] ?? 0);
		for (let index = this.rows.more(prefix); index !== 0; index = this.#next[index] ?? 0)
			visit(this.#path[index] ?? 0, this.#pathId?.[index] ?? 0);
	}

	/** Adds the eligible paths of a prefix to `candidates`. */
	collect(prefix: number, candidates: Candidates): void {
		const head = this.rows.head(prefix);
		if (head === 0) return;
		if (this.isEligible(head)) candidates.add(head & attributesMask, this.#headPathId?.[prefix] ?? 0);
		for (let index = this.rows.more(prefix); index !== 0; index = this.#next[index] ?? 0) {
			const path = this.#path[index] ?? 0;
			if (this.isEligible(path)) candidates.add(path & attributesMask, this.#pathId?.[index] ?? 0);
		}
	}

	isEligible(path: number): boolean {
		const attributes = path & attributesMask;
		if (this.pool.reason[attributes] !== 0) return false;
		const nextHop = this.pool.nextHop[attributes] ?? 0;
		// Originated routes are configured: the reachability of their next hop is irrelevant.
		return (
			nextHop === 0 ||
			(this.#nextHops.metric[nextHop] ?? 0) > 0 ||
			((this.pool.flags[attributes] ?? 0) & Flag.local) !== 0
		);
	}

	/** Moves the path with this set and identifier to the front. */
	promote(prefix: number, attributes: number, pathId: number): void {
		const head = this.rows.head(prefix);
		const headId = this.#headPathId?.[prefix] ?? 0;
		if ((head & attributesMask) === attributes && headId === pathId) return;
		for (let index = this.rows.more(prefix); index !== 0; index = this.#next[index] ?? 0) {
			const path = this.#path[index] ?? 0;
			if ((path & attributesMask) !== attributes || (this.#pathId?.[index] ?? 0) !== pathId) continue;
			this.rows.setHead(prefix, path);
			this.#path[index] = head;
			if (this.#headPathId !== undefined) this.#headPathId[prefix] = pathId;
			if (this.#pathId !== undefined) this.#pathId[index] = headId;
			return;
		}
	}

	markDirty(prefix: number): void {
		const flags = this.rows.flags(prefix);
		if ((flags & dirtyFlag) !== 0) return;
		this.rows.setFlags(prefix, flags | dirtyFlag);
		this.#dirty.push(prefix);
	}

	/** The next prefix for selection, 0 if none. */
	takeDirty(): number {
		const prefix = this.#dirty.shift();
		if (prefix !== 0) this.rows.setFlags(prefix, this.rows.flags(prefix) & ~dirtyFlag);
		return prefix;
	}

	/**
	 * Removes a prefix without data. Until all withdrawals are sent, it stays as a zombie: its id
	 * must not be reused.
	 */
	discardIfEmpty(prefix: number): void {
		const flags = this.rows.flags(prefix);
		if (this.rows.head(prefix) !== 0 || this.rows.announced(prefix) !== 0 || flags !== 0) return;
		if (this.#holders === 0) this.prefixes.release(prefix);
		else {
			this.rows.setFlags(prefix, zombieFlag);
			this.#zombies.push(prefix);
		}
	}

	/** From now on prefix ids are referenced from outside and must not be reused. */
	hold(): void {
		this.#holders++;
	}

	/** The counterpart of `hold`. */
	unhold(): void {
		this.#holders--;
		if (this.#holders > 0) return;
		for (const prefix of this.#zombies.splice(0)) {
			this.rows.setFlags(prefix, this.rows.flags(prefix) & ~zombieFlag);
			this.discardIfEmpty(prefix);
		}
	}

	/**
	 * Result of `#find`: -1 for none, 0 for the head, otherwise an index into the list; and the
	 * previous index.
	 */
	#found = -1;
	#previous = -1;

	#find(prefix: number, peer: number, pathId: number): number {
		const head = this.rows.head(prefix);
		if (
			head !== 0 &&
			this.pool.peer[head & attributesMask] === peer &&
			(this.#headPathId === undefined || this.#headPathId[prefix] === pathId)
		) {
			this.#found = 0;
			return head;
		}
		this.#previous = 0;
		for (let index = this.rows.more(prefix); index !== 0; index = this.#next[index] ?? 0) {
			const path = this.#path[index] ?? 0;
			if (
				this.pool.peer[path & attributesMask] === peer &&
				(this.#pathId === undefined || this.#pathId[index] === pathId)
			) {
				this.#found = index;
				return path;
			}
			this.#previous = index;
		}
		this.#found = -1;
		return 0;
	}

	#previousOf(prefix: number, index: number): number {
		let previous = 0;
		for (let at = this.rows.more(prefix); at !== index && at !== 0; at = this.#next[at] ?? 0) previous = at;
		return previous;
	}

	#insert(prefix: number, pathId: number, attributes: number): void {
		if (this.rows.head(prefix) === 0) {
			this.rows.setHead(prefix, attributes);
			if (this.#headPathId !== undefined) this.#headPathId[prefix] = pathId;
			return;
		}
		const index = this.#newIndex();
		this.#path[index] = attributes;
		this.#next[index] = this.rows.more(prefix);
		if (this.#pathId !== undefined) this.#pathId[index] = pathId;
		this.rows.setMore(prefix, index);
	}

	#replace(prefix: number, path: number): void {
		if (this.#found === 0) this.rows.setHead(prefix, path);
		else this.#path[this.#found] = path;
	}

	#removeFound(prefix: number, path: number): void {
		const first = this.rows.more(prefix);
		// The list entry to free: the found one, or the first one, which has moved to the head.
		let gone = this.#found;
		if (gone === 0) {
			this.rows.setHead(prefix, first === 0 ? 0 : (this.#path[first] ?? 0));
			if (this.#headPathId !== undefined) this.#headPathId[prefix] = this.#pathId?.[first] ?? 0;
			gone = first;
			this.#previous = 0;
		}
		if (gone !== 0) {
			const next = this.#next[gone] ?? 0;
			if (this.#previous === 0) this.rows.setMore(prefix, next);
			else this.#next[this.#previous] = next;
			this.#path[gone] = 0;
			this.#next[gone] = 0;
			this.#free.push(gone);
		}
		this.paths--;
		this.pool.release(path & attributesMask);
		this.markDirty(prefix);
	}

	#newIndex(): number {
		if (this.#free.size > 0) return this.#free.pop();
		if (this.#limit === this.#path.length) {
			this.#path = grown(this.#path, this.#limit * 2);
			this.#next = grown(this.#next, this.#limit * 2);
			if (this.#pathId !== undefined) this.#pathId = grown(this.#pathId, this.#limit * 2);
		}
		return this.#limit++;
	}

	#grow(capacity: number): void {
		this.rows.grow(capacity);
		if (this.#headPathId !== undefined) this.#headPathId = grown(this.#headPathId, capacity);
	}
}
