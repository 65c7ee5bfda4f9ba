/** Frontends and pools as elements. Pure. */
import { endianness } from 'node:os';
import { type Family, formatAddress, parseAddress, parsePrefix } from '../../core/index.ts';
import { concatenate, portKey, type SetElement } from '../../linux/index.ts';
import {
	addressFrontendKey,
	type Backend,
	type Frontend,
	type FrontendAction,
	type FrontendKey,
	nodePortFrontendKey,
	type Pool,
	type ServiceProtocol,
} from '../../services/index.ts';
import { minimalPrefixes } from '../policy/match.ts';
import type { FrontendTrees } from './chains.ts';
import {
	countedSet,
	frontMap,
	kindOf,
	pickMap,
	rangedSet,
	refusedMap,
	sizeMap,
	sourcesSet,
	variantOf,
} from './names.ts';

export const protocolNumbers: Readonly<Record<ServiceProtocol, number>> = { tcp: 6, udp: 17, sctp: 132 };
const littleEndian = endianness() === 'LE';
/** Longest comment of an element that nft can list. */
const mostCommentBytes = 120;

/** An element and the set that it belongs to. */
export interface PlacedElement {
	readonly set: string;
	readonly element: SetElement;
}

/** `numgen` gives a number in the machine's byte order. */
function drawn(number: number): Uint8Array {
	const bytes = new Uint8Array(4);
	new DataView(bytes.buffer).setUint32(0, number, littleEndian);
	return bytes;
}

/** The drawn number at the end of a key. */
export const readDrawn = (key: Uint8Array): number =>
	new DataView(key.buffer, key.byteOffset, key.length).getUint32(key.length - 4, littleEndian);

/** What a packet to a frontend has in its headers. */
export function frontendKeyBytes(frontend: Frontend): Uint8Array {
	const rest = [Uint8Array.of(protocolNumbers[frontend.protocol]), portKey(frontend.port)];
	return frontend.type === 'node-port'
		? concatenate(...rest)
		: concatenate(parseAddress(frontend.address).bytes, ...rest);
}

const backendData = ({ address, port }: Backend): Uint8Array => concatenate(parseAddress(address).bytes, portKey(port));

/** The frontend of a key; `undefined`: another protocol. */
export function frontendKeyOf(family: Family, kind: 'address' | 'port', key: Uint8Array): FrontendKey | undefined {
	const addressBytes = kind === 'port' ? 0 : family === 'ipv4' ? 4 : 16;
	const number = key[addressBytes];
	const protocol = (['tcp', 'udp', 'sctp'] as const).find((name) => protocolNumbers[name] === number);
	if (protocol === undefined) return undefined;
	const port = new DataView(key.buffer, key.byteOffset, key.length).getUint16(addressBytes + 4);
	return kind === 'port'
		? nodePortFrontendKey(family, protocol, port)
		: addressFrontendKey(formatAddress(key.subarray(0, addressBytes)), protocol, port);
}

/** The pools that a frontend's actions name, each once. */
export function poolsOf({ actions }: Frontend): string[] {
	const names = Object.values(actions).flatMap((action: FrontendAction) =>
		action.type === 'dnat' ? [action.pool] : [],
	);
	return [...new Set(names)];
}

/** The elements of a frontend. `pool` gives the pools that it names, `trees` its chains. */
export function frontendElements(
	frontend: Frontend,
	pool: (key: string) => Pool | undefined,
	{ translates, refuses }: FrontendTrees,
): PlacedElement[] {
	const { family } = frontend;
	const kind = kindOf(frontend);
	const key = frontendKeyBytes(frontend);
	const elements: PlacedElement[] = [{ set: countedSet(family, kind), element: { key } }];
	if (translates !== undefined) {
		const comment = frontend.servicePort;
		elements.push({
			set: frontMap(family, kind),
			element: {
				key,
				data: { type: 'goto', chain: translates.root.name },
				...(Buffer.byteLength(comment) <= mostCommentBytes ? { comment } : {}),
			},
		});
		for (const name of poolsOf(frontend)) {
			const found = pool(name);
			if (found !== undefined) elements.push(...backendElements(found, family, kind, key));
		}
	}
	if (refuses !== undefined) {
		elements.push({
			set: refusedMap(family, kind),
			element: { key, data: { type: 'goto', chain: refuses.root.name } },
		});
	}
	if (frontend.type !== 'node-port' && frontend.sourceRanges !== undefined) {
		elements.push({ set: rangedSet(family), element: { key } });
		// Ranges that overlap are refused by the kernel.
		for (const range of minimalPrefixes(frontend.sourceRanges)) {
			const prefix = parsePrefix(range);
			if (prefix.family !== family) continue;
			elements.push({
				set: sourcesSet(family),
				element: { key: concatenate(key, prefix.bytes), keyEnd: concatenate(key, lastOf(prefix.bytes, prefix.length)) },
			});
		}
	}
	return elements;
}

function backendElements(pool: Pool, family: Family, kind: 'address' | 'port', key: Uint8Array): PlacedElement[] {
	const variant = variantOf(pool);
	const size = pool.backends.length;
	return pool.backends.map((backend, index) =>
		pool.affinityTimeoutSeconds === undefined
			? {
					set: sizeMap(family, kind, variant, size),
					element: { key: concatenate(key, drawn(index)), data: backendData(backend) },
				}
			: { set: pickMap(family, kind, variant, index), element: { key, data: backendData(backend) } },
	);
}

/** The last address of a prefix. */
function lastOf(bytes: Uint8Array, length: number): Uint8Array {
	return bytes.map((byte, index) => {
		const bits = Math.min(8, Math.max(0, length - index * 8));
		return byte | (0xff >> bits);
	});
}
