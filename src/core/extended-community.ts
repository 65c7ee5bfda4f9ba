/**
 * Extended communities (RFC 4360) as text. A route target is `rt:`, a route origin `ro:`, followed
 * by administrator and number: `rt:65000:100` (two-octet AS, RFC 4360 §3.1), `rt:10.0.0.1:100`
 * (IPv4 address, §3.2), `rt:4200000000:100` or `rt:65000L:100` (four-octet AS, RFC 5668 §2; the L
 * is needed where the number fits two octets). Every other one is `0x` and its eight octets in hex.
 */

/** Sub-types of the three kinds below. RFC 4360 §4, §5. */
const subTypes = { rt: 0x02, ro: 0x03 } as const;
/** Transitive types that have an administrator. RFC 7153 §5.2. */
const Type = { twoOctetAs: 0x00, ipv4: 0x01, fourOctetAs: 0x02 } as const;

/** The expected notation, for messages. */
export const extendedCommunityExpected =
	'an extended community such as rt:65000:100, ro:10.0.0.1:100 or 0x0002fde800000064 (in quotes)';

/** The eight octets of a text; `undefined`: invalid. */
export function parseExtendedCommunity(text: string): Uint8Array | undefined {
	const raw = /^(?:0x)?([0-9a-f]{16})$/i.exec(text)?.[1];
	if (raw !== undefined) return Uint8Array.from(raw.match(/../g) ?? [], (octet) => Number.parseInt(octet, 16));
	const [kind = '', administrator = '', local = '', ...more] = text.split(':');
	if (more.length > 0 || (kind !== 'rt' && kind !== 'ro')) return undefined;
	const number = decimal(local);
	const address = administrator.split('.').map(decimal);
	if (address.length === 4) {
		if (!(number <= 0xffff) || !address.every((octet) => octet <= 0xff)) return undefined;
		return Uint8Array.of(Type.ipv4, subTypes[kind], ...address, ...octets(number, 2));
	}
	const wide = administrator.endsWith('L');
	const asNumber = decimal(wide ? administrator.slice(0, -1) : administrator);
	if (wide || asNumber > 0xffff) {
		if (!(number <= 0xffff) || !(asNumber <= 0xffff_ffff)) return undefined;
		return Uint8Array.of(Type.fourOctetAs, subTypes[kind], ...octets(asNumber, 4), ...octets(number, 2));
	}
	if (!(number <= 0xffff_ffff) || !(asNumber <= 0xffff)) return undefined;
	return Uint8Array.of(Type.twoOctetAs, subTypes[kind], ...octets(asNumber, 2), ...octets(number, 4));
}

/** The text of eight octets; parsing it returns the same octets. */
export function formatExtendedCommunity(bytes: Uint8Array): string {
	const [type, subType, a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = bytes;
	const kind = subType === subTypes.rt ? 'rt' : subType === subTypes.ro ? 'ro' : undefined;
	if (kind !== undefined) {
		const first = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
		if (type === Type.twoOctetAs) return `${kind}:${first >>> 16}:${((c << 24) | (d << 16) | (e << 8) | f) >>> 0}`;
		if (type === Type.ipv4) return `${kind}:${a}.${b}.${c}.${d}:${(e << 8) | f}`;
		if (type === Type.fourOctetAs) return `${kind}:${first}${first <= 0xffff ? 'L' : ''}:${(e << 8) | f}`;
	}
	return `0x${Buffer.from(bytes).toString('hex')}`;
}

const decimal = (digits: string): number => (/^(0|[1-9]\d{0,9})$/.test(digits) ? Number(digits) : Number.NaN);

function octets(value: number, count: number): number[] {
	return Array.from({ length: count }, (_, index) => Math.floor(value / 256 ** (count - 1 - index)) % 256);
}
