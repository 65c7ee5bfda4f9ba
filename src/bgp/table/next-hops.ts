import { type Family, formatAddress, isLinkLocal, zonedAddress } from '../../core/index.ts';
import { forwardingAddress } from '../model/next-hop.ts';
import { grown } from './columns.ts';

/** Number of next hops that are kept, used or not. */
const leastKept = 1024;

/**
 * Next hops as small ids from 1; there are few. Next hops without an attribute set are eventually
 * removed, and their ids are reused.
 */
export class NextHops {
	readonly #ids = new Map<number | string, number>();
	readonly #keys: (number | string | undefined)[] = [undefined];
	/** Number of attribute sets per next hop. */
	readonly #uses: number[] = [0];
	readonly #free: number[] = [];
	#reviewAt = leastKept;
	readonly #bytes: Uint8Array[] = [new Uint8Array(0)];
	readonly #texts: (string | undefined)[] = [undefined];
	/** Interior cost plus one; 0: unreachable (RFC 4271 §9.1.2.1). */
	metric = new Int32Array(64);
	/** The last result of `intern`. */
	#last = 0;
	#lastInterface: string | undefined = undefined;
	readonly #interfaces: (string | undefined)[] = [undefined];
	readonly #cost: (address: string) => number | undefined;
	readonly #interfaceOf: (address: string) => string | undefined;
	readonly #gone: (address: string) => void;

	/**
	 * `cost` is the interior cost to an address, `undefined` if unreachable; `interfaceOf` is the
	 * outgoing interface, if known; `gone` is called with addresses that no route uses any more.
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

	/**
	 * The id of the next hop whose 4, 16 or 32 bytes (global and link-local, RFC 2545 §3) begin at
	 * `start`; the scope of a link-local one is `interfaceName`, the interface of the session (RFC
	 * 4007 §6). The caller calls `retain` before the next `intern`.
	 */
	intern(bytes: Uint8Array, start: number, end: number, interfaceName: string | undefined): number {
		// Consecutive sets often have the same next hop: the last one is compared first.
		if (this.#isLast(bytes, start, end, interfaceName)) return this.#last;
		const address = forwardingAddress(bytes.slice(start, end));
		const key =
			end - start === 4
				? word(bytes, start)
				: `${bytes.subarray(start, end).join()}%${isLinkLocal(address) ? interfaceName : ''}`;
		this.#lastInterface = interfaceName;
		const known = this.#ids.get(key);
		if (known !== undefined) {
			this.#last = known;
			return known;
		}
		if (this.#ids.size >= this.#reviewAt) this.#giveUpUnused();
		const id = this.#free.pop() ?? this.#bytes.length;
		const text = zonedAddress(formatAddress(address), interfaceName);
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

	/** Adds a reference of an attribute set. */
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
		this.#lastInterface = undefined;
		this.#reviewAt = Math.max(leastKept, this.#ids.size * 2);
		// With and without a link-local address it is one address.
		for (const text of unused) if (!used.has(text)) this.#gone(text);
	}

	/** 4, 16 or 32 bytes; none for id 0. */
	bytes(id: number): Uint8Array {
		return this.#bytes[id] ?? new Uint8Array(0);
	}

	/**
	 * Canonical text of the forwarding address, a link-local one with its interface:
	 * `fe80::1%eth0`; `undefined` for none.
	 */
	text(id: number): string | undefined {
		return this.#texts[id];
	}

	family(id: number): Family {
		return this.bytes(id).length === 4 ? 'ipv4' : 'ipv6';
	}

	/**
	 * True for a link-local address (RFC 4291 §2.5.6) without a global one: valid on one link only.
	 */
	isLinkLocal(id: number): boolean {
		const bytes = this.bytes(id);
		if (bytes.length < 16) return false;
		return isLinkLocal(forwardingAddress(bytes));
	}

	/** The outgoing interface, if known. */
	interfaceOf(id: number): string | undefined {
		return this.#interfaces[id];
	}

	/**
	 * Evaluates these addresses, or all, again: returns the ids with a changed cost, and whether an
	 * interface changed.
	 */
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

	#isLast(bytes: Uint8Array, start: number, end: number, interfaceName: string | undefined): boolean {
		if (interfaceName !== this.#lastInterface) return false;
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
	return (
		(((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)) >>> 0
	);
}
