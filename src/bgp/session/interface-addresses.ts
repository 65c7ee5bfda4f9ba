import { networkInterfaces } from 'node:os';
import { type Clock, type Family, familyOf, formatAddress, isLinkLocal, parseAddress } from '../../core/index.ts';

/** Thousands of sessions may start at once; they share one read of the addresses. */
const freshMs = 1000;

type ByFamily = Readonly<Partial<Record<Family, Uint8Array>>>;

/** The used part of the result of `os.networkInterfaces`. */
export type InterfaceList = Readonly<
	Record<string, readonly { readonly address: string; readonly internal: boolean }[] | undefined>
>;

/** Addresses of this node's interfaces, read from the kernel at most once per second. */
export class InterfaceAddresses {
	readonly #clock: Clock;
	readonly #read: () => InterfaceList;
	#names: ReadonlyMap<string, string> = new Map();
	#global: ReadonlyMap<string, ByFamily> = new Map();
	#readAtMs = Number.NEGATIVE_INFINITY;

	constructor(clock: Clock, read: () => InterfaceList = networkInterfaces) {
		this.#clock = clock;
		this.#read = read;
	}

	/**
	 * The interface with this address in canonical text; `undefined`: none, or several, as for
	 * link-local addresses.
	 */
	nameOf(address: string): string | undefined {
		this.#refresh();
		return this.#names.get(address);
	}

	/**
	 * The first address of an interface for each family that is neither loopback nor link-local.
	 */
	globalOf(interfaceName: string): ByFamily {
		this.#refresh();
		return this.#global.get(interfaceName) ?? {};
	}

	#refresh(): void {
		const now = this.#clock.monotonicMs();
		if (now - this.#readAtMs < freshMs) return;
		this.#readAtMs = now;
		const names = new Map<string, string>();
		const ambiguous = new Set<string>();
		const global = new Map<string, ByFamily>();
		for (const [name, addresses = []] of Object.entries(this.#read())) {
			for (const { address, internal } of addresses) {
				const { bytes } = parseAddress(address.split('%')[0] ?? address);
				const text = formatAddress(bytes);
				if (names.has(text) && names.get(text) !== name) ambiguous.add(text);
				names.set(text, name);
				const known = global.get(name) ?? {};
				if (!internal && !isLinkLocal(bytes) && known[familyOf(bytes)] === undefined)
					global.set(name, { ...known, [familyOf(bytes)]: bytes });
			}
		}
		for (const address of ambiguous) names.delete(address);
		this.#names = names;
		this.#global = global;
	}
}
