import type { AttributePool } from '../table/attribute-pool.ts';
import { batchCapacity } from '../table/batch.ts';
import { grown } from '../table/columns.ts';
import type { Audience, MessageLog } from './log.ts';
import { type PrefixList, prefixList, type UpdateWriter } from './update-writer.ts';

/**
 * Collects the changes of one step for a group, chained by attribute set and audience, and writes
 * them as few messages: an UPDATE has one set. Prefixes keep their order of insertion, so that
 * routes received together are sent together.
 */
export class Packer {
	readonly #pool: AttributePool;
	readonly #writer: UpdateWriter;
	// Announcements, chained by set.
	#prefix = new Int32Array(batchCapacity);
	#pathId = new Uint32Array(batchCapacity);
	#next = new Int32Array(batchCapacity);
	#count = 0;
	/**
	 * Sets with a chain, in order, with the first and last entry of each; `pool.chain` has the
	 * position of a set here, plus one.
	 */
	#sets = new Int32Array(batchCapacity);
	#heads = new Int32Array(batchCapacity);
	#tails = new Int32Array(batchCapacity);
	#setCount = 0;
	readonly #withdrawn = new Map<Audience, PrefixList>();
	readonly #list = prefixList(batchCapacity);
	readonly #single = prefixList(1);

	constructor(pool: AttributePool, writer: UpdateWriter) {
		this.#pool = pool;
		this.#writer = writer;
	}

	announce(set: number, prefix: number, pathId: number): void {
		if (this.#count === this.#prefix.length) this.#grow();
		const entry = this.#count++;
		this.#prefix[entry] = prefix;
		this.#pathId[entry] = pathId;
		this.#next[entry] = -1;
		const { chain } = this.#pool;
		const known = chain[set] ?? 0;
		if (known === 0) {
			this.#sets[this.#setCount] = set;
			this.#heads[this.#setCount] = entry;
			this.#tails[this.#setCount] = entry;
			chain[set] = ++this.#setCount;
		} else {
			this.#next[this.#tails[known - 1] ?? 0] = entry;
			this.#tails[known - 1] = entry;
		}
	}

	withdraw(audience: Audience, prefix: number, pathId: number): void {
		let list = this.#withdrawn.get(audience);
		if (list === undefined || list.count === list.ids.length) {
			const larger = prefixList(list === undefined ? 64 : list.count * 2);
			if (list !== undefined) {
				larger.ids.set(list.ids);
				larger.pathIds.set(list.pathIds);
				larger.count = list.count;
			}
			list = larger;
			this.#withdrawn.set(audience, list);
		}
		list.ids[list.count] = prefix;
		list.pathIds[list.count++] = pathId;
	}

	/**
	 * Writes all messages and clears the packer. `audienceOf` returns the receivers of the
	 * announcements with a set. A route that does not fit into a message is withdrawn instead and
	 * passed to `tooLong`.
	 */
	flush(log: MessageLog, audienceOf: (set: number) => Audience, tooLong: (set: number) => void): void {
		for (const [audience, list] of this.#withdrawn) this.#writer.withdraw(log, audience, list);
		this.#withdrawn.clear();
		const list = this.#list;
		for (let index = 0; index < this.#setCount; index++) {
			const set = this.#sets[index] ?? 0;
			this.#pool.chain[set] = 0;
			for (let entry = this.#heads[index] ?? 0; entry >= 0; ) {
				list.count = 0;
				for (; entry >= 0 && list.count < list.ids.length; entry = this.#next[entry] ?? -1) {
					list.ids[list.count] = this.#prefix[entry] ?? 0;
					list.pathIds[list.count++] = this.#pathId[entry] ?? 0;
				}
				const audience = audienceOf(set);
				if (!this.#writer.announce(log, set, audience, list)) this.#oneByOne(log, set, audience, tooLong);
			}
		}
		this.#count = 0;
		this.#setCount = 0;
	}

	/** If not all prefixes fit beside the attributes, shorter ones may. */
	#oneByOne(log: MessageLog, set: number, audience: Audience, tooLong: (set: number) => void): void {
		const [list, single] = [this.#list, this.#single];
		single.count = 1;
		for (let index = 0; index < list.count; index++) {
			single.ids[0] = list.ids[index] ?? 0;
			single.pathIds[0] = list.pathIds[index] ?? 0;
			if (this.#writer.announce(log, set, audience, single)) continue;
			this.#writer.withdraw(log, audience, single);
			tooLong(set);
		}
	}

	#grow(): void {
		const capacity = this.#prefix.length * 2;
		this.#prefix = grown(this.#prefix, capacity);
		this.#pathId = grown(this.#pathId, capacity);
		this.#next = grown(this.#next, capacity);
		this.#sets = grown(this.#sets, capacity);
		this.#tails = grown(this.#tails, capacity);
		this.#heads = grown(this.#heads, capacity);
	}
}
