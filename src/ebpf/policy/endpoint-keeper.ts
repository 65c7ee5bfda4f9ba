import { type Family, parseAddress } from '../../core/index.ts';
import type { Direction } from '../../policy/index.ts';
import type { BpfMap } from '../kernel/map.ts';
import { Layout, type PolicyMaps } from './maps.ts';

/** What the entry programs look up for an interface. */
export interface EndpointState {
	readonly interfaceIndex: number;
	/** What may be the source of its packets. */
	readonly addresses: readonly string[];
	/** Place of the first program with rules. */
	readonly first: Readonly<Record<Direction, Readonly<Record<Family, number>>>>;
}

const directions = ['ingress', 'egress'] as const;

/** The maps of endpoints: their addresses and where their rules begin. */
export class EndpointKeeper {
	readonly #endpoints: BpfMap;
	readonly #sources: BpfMap;
	readonly #pods: BpfMap;

	constructor(maps: PolicyMaps) {
		const [endpoints, sources, pods] = [maps.get('endpoints'), maps.get('sources'), maps.get('pods')];
		if (endpoints === undefined || sources === undefined || pods === undefined)
			throw new RangeError('the maps of endpoints are missing');
		this.#pods = pods;
		this.#endpoints = endpoints;
		this.#sources = sources;
	}

	/** Each direction changes in one step. @throws MapFullError, SystemCallError */
	set({ interfaceIndex, addresses, first }: EndpointState, before?: EndpointState): void {
		const here = before?.interfaceIndex === interfaceIndex ? before : undefined;
		for (const address of addresses)
			if (here === undefined || !here.addresses.includes(address))
				this.#sources.set(sourceKey(interfaceIndex, address), Uint8Array.of(1, 0, 0, 0));
		for (const direction of directions) {
			const { ipv4, ipv6 } = first[direction];
			const standing = here?.first[direction];
			if (standing?.ipv4 !== ipv4 || standing.ipv6 !== ipv6)
				this.#endpoints.set(endpointKey(interfaceIndex, direction), new Uint8Array(Uint32Array.of(ipv4, ipv6).buffer));
		}
		for (const address of here?.addresses ?? [])
			if (!addresses.includes(address)) this.#sources.delete(sourceKey(interfaceIndex, address));
	}

	/**
	 * Packets of other pods of this node go to these interfaces at once, and to no others. The
	 * programs of an endpoint must stand before, and go behind. @throws MapFullError, SystemCallError
	 */
	redirect(endpoints: Iterable<Pick<EndpointState, 'interfaceIndex' | 'addresses'>>): void {
		const wanted = new Map<string, number>();
		for (const { interfaceIndex, addresses } of endpoints)
			for (const address of addresses) wanted.set(textOf(podKey(address)), interfaceIndex);
		for (const key of [...this.#pods.keys()]) if (!wanted.has(textOf(key))) this.#pods.delete(key);
		for (const [text, interfaceIndex] of wanted)
			this.#pods.set(
				new Uint8Array(Buffer.from(text, 'latin1')),
				new Uint8Array(Uint32Array.of(interfaceIndex).buffer),
			);
	}

	/** @throws SystemCallError */
	remove({ interfaceIndex, addresses }: Pick<EndpointState, 'interfaceIndex' | 'addresses'>): void {
		for (const direction of directions) this.#endpoints.delete(endpointKey(interfaceIndex, direction));
		for (const address of addresses) this.#sources.delete(sourceKey(interfaceIndex, address));
	}

	/** Removes all others, those of an earlier process. @throws SystemCallError */
	prune(kept: Iterable<EndpointState>): void {
		const keys = new Set<string>();
		for (const { interfaceIndex, addresses } of kept) {
			for (const direction of directions) keys.add(textOf(endpointKey(interfaceIndex, direction)));
			for (const address of addresses) keys.add(textOf(sourceKey(interfaceIndex, address)));
		}
		for (const map of [this.#endpoints, this.#sources])
			for (const key of [...map.keys()]) if (!keys.has(textOf(key))) map.delete(key);
	}
}

const textOf = (key: Uint8Array): string => Buffer.from(key).toString('latin1');

/** See `Layout.pod`. */
function podKey(text: string): Uint8Array {
	const { family, bytes } = parseAddress(text);
	const key = new Uint8Array(Layout.pod.bytes);
	key.set(bytes, 0);
	new DataView(key.buffer).setUint32(Layout.pod.family, family === 'ipv4' ? 4 : 6, true);
	return key;
}

/** See `Layout.endpoint`. */
const endpointKey = (interfaceIndex: number, direction: Direction): Uint8Array =>
	new Uint8Array(Uint32Array.of(interfaceIndex, direction === 'ingress' ? 0 : 1).buffer);

function sourceKey(interfaceIndex: number, text: string): Uint8Array {
	const { family, bytes } = parseAddress(text);
	const at = Layout.sourceAddress;
	const key = new Uint8Array(at.bytes);
	const view = new DataView(key.buffer);
	view.setUint32(0, interfaceIndex, true);
	view.setUint32(at.family, family === 'ipv4' ? 4 : 6, true);
	key.set(bytes, at.address);
	return key;
}
