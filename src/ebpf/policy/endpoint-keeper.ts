import { type Family, formatAddress, parseAddress } from '../../core/index.ts';
import type { Direction } from '../../policy/index.ts';
import type { BpfMap } from '../kernel/map.ts';
import type { EarlyProgram } from './early-stages.ts';
import { Layout, type PolicyMaps, rulesNumber } from './maps.ts';

/** What the entry programs look up for an interface. */
export interface EndpointState {
	readonly interfaceIndex: number;
	/** What may be the source of its packets. */
	readonly addresses: readonly string[];
	/** Place of the first program with rules. */
	readonly first: FirstPrograms;
	/** The same for what is forwarded; of host endpoints alone. */
	readonly forward?: FirstPrograms;
	/** The same for the stages before translation that a host endpoint has. */
	readonly early?: readonly EarlyRules[];
}

/** By family. */
export type FirstProgram = Readonly<Record<Family, number>>;
type FirstPrograms = Readonly<Record<Direction, FirstProgram>>;

/** Where the rules of an early stage begin. */
export interface EarlyRules extends Pick<EarlyProgram, 'stage' | 'direction'> {
	readonly places: FirstProgram;
}

const directions = ['ingress', 'egress'] as const;

const earlyRules = ({ interfaceIndex, early = [] }: Pick<EndpointState, 'interfaceIndex' | 'early'>) =>
	early.map(({ stage, direction, places }) => ({
		key: endpointKey(interfaceIndex, rulesNumber(direction, stage)),
		places,
	}));

/** The keys of an endpoint with the places of its rules. */
const rulesOf = ({ interfaceIndex, first, forward, early = [] }: Omit<EndpointState, 'addresses'>) => [
	...earlyRules({ interfaceIndex, early }),
	...directions.flatMap((direction) => [
		{ key: endpointKey(interfaceIndex, rulesNumber(direction, 'own')), places: first[direction] },
		...(forward === undefined
			? []
			: [{ key: endpointKey(interfaceIndex, rulesNumber(direction, 'forward')), places: forward[direction] }]),
	]),
];

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
	set(state: EndpointState, before?: EndpointState): void {
		const { interfaceIndex, addresses } = state;
		const here = before?.interfaceIndex === interfaceIndex ? before : undefined;
		for (const address of addresses)
			if (here === undefined || !here.addresses.includes(address))
				this.#sources.set(sourceKey(interfaceIndex, address), Uint8Array.of(1, 0, 0, 0));
		this.#place(rulesOf(state), here);
		for (const address of here?.addresses ?? [])
			if (!addresses.includes(address)) this.#sources.delete(sourceKey(interfaceIndex, address));
	}

	/** The early stages alone: they stand before the other rules change. @throws as `set` */
	setEarly({ interfaceIndex, early = [] }: EndpointState, before?: EndpointState): void {
		this.#place(earlyRules({ interfaceIndex, early }), before);
	}

	/** What the endpoint has no more; its programs are gone. @throws SystemCallError */
	forget(state: EndpointState, before: EndpointState | undefined): void {
		if (before?.interfaceIndex !== state.interfaceIndex) return;
		const kept = new Set(rulesOf(state).map(({ key }) => textOf(key)));
		for (const { key } of rulesOf(before)) if (!kept.has(textOf(key))) this.#endpoints.delete(key);
	}

	#place(rules: ReturnType<typeof rulesOf>, before: EndpointState | undefined): void {
		const standing = new Map(
			(before === undefined ? [] : rulesOf(before)).map(({ key, places }) => [textOf(key), places]),
		);
		for (const { key, places } of rules) {
			const { ipv4, ipv6 } = places;
			const there = standing.get(textOf(key));
			if (there?.ipv4 !== ipv4 || there.ipv6 !== ipv6)
				this.#endpoints.set(key, new Uint8Array(Uint32Array.of(ipv4, ipv6).buffer));
		}
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

	/** Addresses whose packets `redirect` sent to an interface, by an earlier process perhaps. */
	redirected(): ReadonlySet<string> {
		return new Set([...this.#pods.keys()].map(podAddress));
	}

	/** All but what `heir`, which has the interface now, has too. @throws SystemCallError */
	remove(state: EndpointState, heir?: EndpointState): void {
		const { interfaceIndex, addresses } = state;
		const kept = new Set((heir === undefined ? [] : rulesOf(heir)).map(({ key }) => textOf(key)));
		for (const { key } of rulesOf(state)) if (!kept.has(textOf(key))) this.#endpoints.delete(key);
		for (const address of addresses)
			if (heir?.addresses.includes(address) !== true) this.#sources.delete(sourceKey(interfaceIndex, address));
	}

	/** Removes all others, those of an earlier process. @throws SystemCallError */
	prune(kept: Iterable<EndpointState>): void {
		const keys = new Set<string>();
		for (const state of kept) {
			const { interfaceIndex, addresses } = state;
			for (const { key } of rulesOf(state)) keys.add(textOf(key));
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

function podAddress(key: Uint8Array): string {
	const family = new DataView(key.buffer, key.byteOffset).getUint32(Layout.pod.family, true);
	return formatAddress(key.subarray(0, family === 4 ? 4 : 16));
}

/** See `Layout.endpoint`. */
const endpointKey = (interfaceIndex: number, rules: number): Uint8Array =>
	new Uint8Array(Uint32Array.of(interfaceIndex, rules).buffer);

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
