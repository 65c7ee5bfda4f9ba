/** The two supported address families, unicast. */
export type Family = 'ipv4' | 'ipv6';

declare const prefixBrand: unique symbol;
/**
 * A prefix in canonical text: RFC 5952 address, no host bits, `/` and length. Created only by
 * `parsePrefix` and `formatPrefix`.
 */
export type PrefixKey = string & { readonly [prefixBrand]: true };

/** An address as bytes, 4 or 16 of them, and its family. */
export interface Address {
	readonly family: Family;
	readonly bytes: Uint8Array;
}

/** A prefix as bytes: 4 or 16 of them, host bits zero. */
export interface Prefix extends Address {
	/** 0 to 32 or 0 to 128. */
	readonly length: number;
}

/** Bytes of an address of a family. */
export const addressBytes: Readonly<Record<Family, 4 | 16>> = { ipv4: 4, ipv6: 16 };

/** Text that is not an address or prefix; `text` is the input. */
export class AddressError extends Error {
	override readonly name = 'AddressError';
	readonly text: string;

	constructor(text: string, expected: string) {
		super(`'${text}' is not ${expected}`);
		this.text = text;
	}
}

/** An IPv4 or IPv6 address; leading zeros and zone identifiers are refused. @throws AddressError */
export function parseAddress(text: string): Address {
	const bytes = text.includes(':') ? parseIpv6(text) : parseIpv4(text);
	if (bytes === undefined) throw new AddressError(text, 'an IPv4 or IPv6 address');
	return { family: bytes.length === 4 ? 'ipv4' : 'ipv6', bytes };
}

/** Canonical text: dotted quad, or RFC 5952 §4 (IPv4-mapped addresses in mixed notation, §5). */
export function formatAddress(bytes: Uint8Array): string {
	// A template takes half the time of `join`.
	return bytes.length === 4 ? `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}` : formatIpv6(bytes);
}

/** An address in canonical text: RFC 5952, no leading zeros. @throws AddressError */
export const canonicalAddress = (text: string): string => formatAddress(parseAddress(text).bytes);

/** In fe80::/10 (RFC 4291 §2.5.6). */
export const isLinkLocal = (bytes: Uint8Array): boolean =>
	bytes.length === 16 && bytes[0] === 0xfe && ((bytes[1] ?? 0) & 0xc0) === 0x80;

/**
 * A link-local address with its interface, `fe80::1%eth0` (RFC 4007 §11); any other address alone.
 */
export const zonedAddress = (address: string, interfaceName: string | undefined): string =>
	interfaceName === undefined || !/^fe[89ab]/.test(address) ? address : `${address}%${interfaceName}`;

/** The counterpart of `zonedAddress`. */
export function splitZone(text: string): { readonly address: string; readonly interfaceName: string | undefined } {
	const at = text.indexOf('%');
	return at < 0
		? { address: text, interfaceName: undefined }
		: { address: text.slice(0, at), interfaceName: text.slice(at + 1) };
}

/** An IPv4-mapped IPv6 address, ::ffff:a.b.c.d (RFC 4291 §2.5.5.2). */
export const isIpv4Mapped = (bytes: Uint8Array): boolean =>
	bytes.length === 16 && bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;

/** The family of an address given as bytes. */
export function familyOf(bytes: Uint8Array): Family {
	return bytes.length === 4 ? 'ipv4' : 'ipv6';
}

/** `ADDRESS/LENGTH`; host bits are an error unless `hostBits` is `clear`. @throws AddressError */
export function parsePrefix(text: string, hostBits: 'refuse' | 'clear' = 'refuse'): Prefix {
	const slash = text.indexOf('/');
	const lengthText = text.slice(slash + 1);
	if (slash < 1 || !/^(0|[1-9]\d{0,2})$/.test(lengthText)) throw new AddressError(text, 'a prefix such as 10.0.0.0/26');
	const { family, bytes } = parseAddress(text.slice(0, slash));
	const length = Number(lengthText);
	if (length > bytes.length * 8) throw new AddressError(text, `a prefix: its length exceeds ${bytes.length * 8}`);
	const network = clearHostBits(bytes, length);
	if (hostBits === 'refuse' && network.some((byte, index) => byte !== bytes[index])) {
		throw new AddressError(text, `a prefix without host bits; did you mean ${formatAddress(network)}/${length}?`);
	}
	return { family, bytes: network, length };
}

/** The canonical key of a prefix given as text. @throws AddressError */
export function prefixKey(text: string, hostBits: 'refuse' | 'clear' = 'refuse'): PrefixKey {
	const { bytes, length } = parsePrefix(text, hostBits);
	return formatPrefix(bytes, length);
}

/** The canonical key of a prefix given as bytes (4 or 16, host bits zero) and length. */
export function formatPrefix(bytes: Uint8Array, length: number): PrefixKey {
	// The only place that creates the brand: the text is canonical by construction.
	return `${formatAddress(bytes)}/${length}` as PrefixKey;
}

/** The canonical key of the prefix with one address (/32, /128). @throws AddressError */
export function hostPrefix(address: string): PrefixKey {
	const { bytes } = parseAddress(address);
	return formatPrefix(bytes, bytes.length * 8);
}

/** Does `prefix` contain `address`? Families must agree. */
export function prefixContains(prefix: Prefix, address: Address): boolean {
	return prefix.family === address.family && sharesBits(prefix.bytes, address.bytes, prefix.length);
}

/** Is `inner` equal to `outer` or more specific than it? */
export function prefixCovers(outer: Prefix, inner: Prefix): boolean {
	return (
		outer.family === inner.family && inner.length >= outer.length && sharesBits(outer.bytes, inner.bytes, outer.length)
	);
}

/** Are the first `length` bits equal? */
function sharesBits(left: Uint8Array, right: Uint8Array, length: number): boolean {
	const whole = length >> 3;
	for (let index = 0; index < whole; index++) if (left[index] !== right[index]) return false;
	const rest = length & 7;
	if (rest === 0) return true;
	return (((left[whole] ?? 0) ^ (right[whole] ?? 0)) & (0xff00 >> rest) & 0xff) === 0;
}

/** The bytes with everything after `length` bits zero. */
export function clearHostBits(bytes: Uint8Array, length: number): Uint8Array {
	const network = new Uint8Array(bytes.length);
	const whole = length >> 3;
	network.set(bytes.subarray(0, whole));
	const rest = length & 7;
	if (rest > 0) network[whole] = (bytes[whole] ?? 0) & (0xff00 >> rest);
	return network;
}

/** Character by character: the FIB parses some for every route. */
function parseIpv4(text: string): Uint8Array | undefined {
	const bytes = new Uint8Array(4);
	let octet = 0;
	let value: number | undefined;
	for (let at = 0; at <= text.length; at++) {
		const digit = text.charCodeAt(at) - zeroCode;
		if (at === text.length || digit === dotMinusZero) {
			if (value === undefined || octet > 3) return undefined;
			bytes[octet++] = value;
			value = undefined;
		} else if (digit >= 0 && digit <= 9) {
			// Some parsers read a leading zero as octal.
			if (value === 0) return undefined;
			value = (value ?? 0) * 10 + digit;
			if (value > 255) return undefined;
		} else return undefined;
	}
	return octet === 4 ? bytes : undefined;
}

const zeroCode = '0'.charCodeAt(0);
const dotMinusZero = '.'.charCodeAt(0) - zeroCode;

function parseIpv6(text: string): Uint8Array | undefined {
	const halves = text.split('::');
	if (halves.length > 2) return undefined;
	const groups = halves.map(parseGroups);
	const [left, right] = groups;
	if (left === undefined || (halves.length === 2 && right === undefined)) return undefined;
	const given = left.length + (right?.length ?? 0);
	if (halves.length === 1 ? given !== 8 : given > 7) return undefined;
	const bytes = new Uint8Array(16);
	const view = new DataView(bytes.buffer);
	for (const [index, group] of left.entries()) view.setUint16(index * 2, group);
	for (const [index, group] of (right ?? []).entries()) view.setUint16((8 - (right?.length ?? 0) + index) * 2, group);
	return bytes;
}

/** The 16-bit groups of one side of `::`; a dotted quad at the end counts two. */
function parseGroups(half: string): number[] | undefined {
	if (half === '') return [];
	const groups: number[] = [];
	const parts = half.split(':');
	for (const [index, part] of parts.entries()) {
		if (part.includes('.')) {
			const quad = index === parts.length - 1 ? parseIpv4(part) : undefined;
			if (quad === undefined) return undefined;
			const view = new DataView(quad.buffer);
			groups.push(view.getUint16(0), view.getUint16(2));
		} else {
			if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
			groups.push(Number.parseInt(part, 16));
		}
	}
	return groups;
}

function formatIpv6(bytes: Uint8Array): string {
	const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
	const groups = Array.from({ length: 8 }, (_, index) => view.getUint16(index * 2));
	if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff)
		return `::ffff:${bytes.subarray(12).join('.')}`;
	const { start, length } = longestZeroRun(groups);
	const hex = (part: readonly number[]) => part.map((group) => group.toString(16)).join(':');
	// RFC 5952 §4.2.2: a single zero group is not shortened.
	if (length < 2) return hex(groups);
	return `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
	let best = { start: 0, length: 0 };
	let length = 0;
	for (const [index, group] of groups.entries()) {
		length = group === 0 ? length + 1 : 0;
		if (length > best.length) best = { start: index - length + 1, length };
	}
	return best;
}
