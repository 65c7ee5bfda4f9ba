import { type Family, formatAddress } from '../../core/index.ts';
import { grown } from './columns.ts';

/** Next hops as small ids, 1 and up; there are few. */
export class NextHops {
	readonly #ids = new Map<number | string, number>();
	readonly #bytes: Uint8Array[] = [new Uint8Array(0)];
	readonly #texts: (string | undefined)[] = [undefined];
	/** Interior cost plus one; 0: unreachable (RFC 4271 §9.1.2.1). */
	metric = new Int32Array(64);
	/** The one that was asked for last. */
	#last = 0;
	readonly #interfaces: (string | undefined)[] = [undefined];
	readonly #cost: (address: string) => number | undefined;
	readonly #interfaceOf: (address: string) => string | undefined;

	/** `cost` is the interior cost of a way to an address, `undefined` for none; `interfaceOf` the interface it begins with, where known. */
	constructor(cost: (address: string) => number | undefined, interfaceOf: (address: string) => string | undefined = () => undefined) {
		this.#cost = cost;
		this.#interfaceOf = interfaceOf;
	}

	/** The id of the next hop whose 4, 16 or 32 bytes (global and link-local, RFC 2545 §3) begin at `start`. */
	intern(bytes: Uint8Array, start: number, end: number): number {
		// Runs of sets have the same next hop: the last one is compared before anything is made.
		if (this.#isLast(bytes, start, end)) return this.#last;
		const key = end - start === 4 ? word(bytes, start) : bytes.subarray(start, end).join();
		const known = this.#ids.get(key);
		if (known !== undefined) {
			this.#last = known;
			return known;
		}
		const id = this.#bytes.length;
		this.#bytes.push(bytes.slice(start, end));
		this.#texts.push(formatAddress(bytes.slice(start, Math.min(end, start + 16))));
		this.#ids.set(key, id);
		if (id === this.metric.length) this.metric = grown(this.metric, id * 2);
		this.metric[id] = this.#metricOf(id);
		this.#interfaces.push(this.#interfaceOf(this.text(id) ?? ''));
		this.#last = id;
		return id;
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
		return (bytes[0] === 0xfe && ((bytes[1] ?? 0) & 0xc0) === 0x80) || bytes.subarray(0, 16).every((byte) => byte === 0);
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
			const address = this.text(id) ?? '';
			if (addresses?.has(address) === false) continue;
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
