import { isLinkLocal, parseAddress } from '../../core/index.ts';
import type { PeerOptions } from '../model/peer-options.ts';
import type { Peer } from '../session/peer.ts';

/**
 * Peers by name, and by the source address of their connections; a link-local address includes its
 * interface.
 */
export class PeerDirectory {
	readonly #byName = new Map<string, Peer>();
	/** Several peers may share an address: they differ in port or interface. */
	readonly #byAddress = new Map<string, Peer[]>();

	get(name: string): Peer | undefined {
		return this.#byName.get(name);
	}

	/** In insertion order; peers may be added and removed meanwhile. */
	all(): IterableIterator<Peer> {
		return this.#byName.values();
	}

	/** Sorted. */
	names(): string[] {
		return [...this.#byName.keys()].sort();
	}

	/** All peers at an address, link-local or not, on any interface. */
	at(address: string): readonly Peer[] {
		const key = octets(address);
		if (!isLinkLocal(parseAddress(address).bytes)) return this.#byAddress.get(key) ?? [];
		return [...this.#byName.values()].filter(({ options }) => octets(options.address) === key);
	}

	/**
	 * The configured peer that conflicts with these options: the same name, or the same address,
	 * port and interface.
	 */
	colliding(options: PeerOptions): Peer | undefined {
		const named = this.#byName.get(options.name);
		if (named?.dynamic === false) return named;
		return this.#beside(options).find(
			(other) => !other.dynamic && other.options.port === options.port && other.options.device === options.device,
		);
	}

	/** Dynamic neighbors whose connections belong to a configured peer with these options. */
	dynamicBeside(options: PeerOptions): readonly Peer[] {
		return this.#beside(options).filter(({ dynamic }) => dynamic);
	}

	/**
	 * The peer for an incoming connection. Its source port does not distinguish peers at one
	 * address: the first one without a session takes it; the others are reached by outgoing
	 * connections to their ports.
	 */
	accepting(address: string, interfaceName: string | undefined): Peer | undefined {
		const peers =
			this.#byAddress.get(endpoint(address, interfaceName)) ?? this.#byAddress.get(endpoint(address, undefined)) ?? [];
		return peers.find(({ state }) => state !== 'established' && state !== 'open-confirm') ?? peers[0];
	}

	add(peer: Peer): void {
		const { name, address, device } = peer.options;
		const key = endpoint(address, device);
		this.#byName.set(name, peer);
		this.#byAddress.set(key, [...(this.#byAddress.get(key) ?? []), peer]);
	}

	remove(peer: Peer): void {
		const { name, address, device } = peer.options;
		const key = endpoint(address, device);
		this.#byName.delete(name);
		const others = (this.#byAddress.get(key) ?? []).filter((other) => other !== peer);
		if (others.length === 0) this.#byAddress.delete(key);
		else this.#byAddress.set(key, others);
	}

	#beside({ address, device }: PeerOptions): readonly Peer[] {
		return this.#byAddress.get(endpoint(address, device)) ?? [];
	}
}

const octets = (address: string): string => Buffer.from(parseAddress(address).bytes).toString('hex');

/**
 * The scope of a link-local address is one link (RFC 4007 §6): `fe80::1` on two links is two peers.
 */
function endpoint(address: string, device: string | undefined): string {
	const key = octets(address);
	return device !== undefined && isLinkLocal(parseAddress(address).bytes) ? `${key}%${device}` : key;
}
