import { type Family, formatAddress, isLinkLocal } from '../../core/index.ts';
import { grown } from './columns.ts';

/** So many are kept whether or not anybody uses them. */
const leastKept = 1024;

/** Next hops as small ids, 1 and up; there are few. Where they come and go, those that no attribute set has are given up, and their ids mean others. */
export class NextHops {
	readonly #ids = new Map<number | string, number>();
	readonly #keys: (number | string | undefined)[] = [undefined];
	/** How many attribute sets have it. */
	readonly #uses: number[] = [0];
	readonly #free: number[] = [];
	#reviewAt = leastKept;
	readonly #bytes: Uint8Array[] = [new Uint8Array(0)];
	readonly #texts: (string | undefined)[] = [undefined];
	/** Interior cost plus one; 0: unreachable (RFC 4271 §9.1.2.1). */
	metric = new Int32Array(64);
	/** The one that was asked for last. */
	#last = 0;
	readonly #interfaces: (string | undefined)[] = [undefined];
	readonly #cost: (address: string) => number | undefined;
	readonly #interfaceOf: (address: string) => string | undefined;
	readonly #gone: (address: string) => void;

	/**
	 * `cost` is the interior cost of a way to an address, `undefined` for none; `interfaceOf` the interface it begins with, where known;
	 * `gone` is told of addresses that are not of interest any more.
	 */
	constructor(
		cost: (address: string) => number | undefined,
		interfaceOf: (address: string) => string | undefined = () => undefined,
		gone: (address: string) => void = () => {},
	) {
		this.#cost = cost;
		this.#interfaceOf = interfaceOf;
		this.#gone = gone;
	}

	/** The id of the next hop whose 4, 16 or 32 bytes (global and link-local, RFC 2545 §3) begin at `start`. Who keeps it says so by `retain` before the next one is asked for. */
	intern(bytes: Uint8Array, start: number, end: number): number {
		// Runs of sets have the same next hop: the last one is compared before anything is made.
		if (this.#isLast(bytes, start, end)) return this.#last;
		const key = end - start === 4 ? word(bytes, start) : bytes.subarray(start, end).join();
		const known = this.#ids.get(key);
		if (known !== undefined) {
			this.#last = known;
			return known;
		}
		if (this.#ids.size >= this.#reviewAt) this.#giveUpUnused();
		const id = this.#free.pop() ?? this.#bytes.length;
		const text = formatAddress(bytes.slice(start, Math.min(end, start + 16)));
		this.#ids.set(key, id);
		this.#keys[id] = key;
		this.#uses[id] = 0;
		this.#bytes[id] = bytes.slice(start, end);
		this.#texts[id] = text;
		if (id === this.metric.length) this.metric = grown(this.metric, id * 2);
		this.metric[id] = this.#metricOf(id);
		this.#interfaces[id] = this.#interfaceOf(text);
		this.#last = id;
		return id;
	}

	/** One more attribute set has it. */
	retain(id: number): void {
		if (id !== 0) this.#uses[id] = (this.#uses[id] ?? 0) + 1;
	}

	/** The counterpart of `retain`. */
	release(id: number): void {
		if (id !== 0) this.#uses[id] = (this.#uses[id] ?? 0) - 1;
	}

	#giveUpUnused(): void {
		const unused = new Set<string>();
		const used = new Set<string>();
		for (let id = 1; id < this.#bytes.length; id++) {
			const [key, text] = [this.#keys[id], this.#texts[id]];
			if (key === undefined || text === undefined) continue;
			if ((this.#uses[id] ?? 0) > 0) {
				used.add(text);
				continue;
			}
			unused.add(text);
			this.#ids.delete(key);
			this.#keys[id] = undefined;
			this.#texts[id] = undefined;
			this.#bytes[id] = new Uint8Array(0);
			this.#free.push(id);
		}
		this.#last = 0;
		this.#reviewAt = Math.max(leastKept, this.#ids.size * 2);
		// With and without a link-local address it is one address.
		for (const text of unused) if (!used.has(text)) this.#gone(text);
	}

	/** 4, 16 or 32 bytes; none for id 0. */
	bytes(id: number): Uint8Array {
		return this.#bytes[id] ?? new Uint8Array(0);
	}

	/** Canonical text of the (global) address; `undefined` for none. */
	text(id: number): string | undefined {
		return this.#texts[id];
	}

	family(id: number): Family {
		return this.bytes(id).length === 4 ? 'ipv4' : 'ipv6';
	}

	/** Does it mean something on one link alone: a link-local address (RFC 4291 §2.5.6), without a global one before it? */
	isLinkLocal(id: number): boolean {
		const bytes = this.bytes(id);
		if (bytes.length < 16) return false;
		const first = bytes.subarray(0, 16);
		return isLinkLocal(first) || first.every((byte) => byte === 0);
	}

	/** The interface that packets to it leave through, where that is known. */
	interfaceOf(id: number): string | undefined {
		return this.#interfaces[id];
	}

	/** Asks again, for these addresses or for all: the ids whose cost changed, and whether the interface of any did. */
	refresh(addresses?: ReadonlySet<string>): { readonly costs: ReadonlySet<number>; readonly interfaces: boolean } {
		const costs = new Set<number>();
		let interfaces = false;
		for (let id = 1; id < this.#bytes.length; id++) {
			const address = this.text(id);
			if (address === undefined || addresses?.has(address) === false) continue;
			const metric = this.#metricOf(id);
			if (metric !== this.metric[id]) costs.add(id);
			this.metric[id] = metric;
			const device = this.#interfaceOf(address);
			interfaces ||= device !== this.#interfaces[id];
			this.#interfaces[id] = device;
		}
		return { costs, interfaces };
	}

	#isLast(bytes: Uint8Array, start: number, end: number): boolean {
		const last = this.bytes(this.#last);
		if (last.length !== end - start) return false;
		for (let index = 0; index < last.length; index++) if (last[index] !== bytes[start + index]) return false;
		return true;
	}

	#metricOf(id: number): number {
		return (this.#cost(this.text(id) ?? '') ?? -1) + 1;
	}
}

function word(bytes: Uint8Array, at: number): number {
	return (((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)) >>> 0;
}
