import type { PacketContext } from '../src/index.ts';

/**
 * RFC 7606 once more, written for reading and without a line of the package's own: what is to be done about an UPDATE, as a level from
 * 0 (nothing) over 1 (attribute-discard) and 2 (treat-as-withdraw) to 3 (session-reset).
 */
export function naiveLevel(wire: Uint8Array, context: PacketContext): number {
	const view = Buffer.from(wire);
	const withdrawnLength = view.readUInt16BE(19);
	if (23 + withdrawnLength > view.length) return 3;
	const attributesLength = view.readUInt16BE(21 + withdrawnLength);
	if (23 + withdrawnLength + attributesLength > view.length) return 3;
	const withdrawn = [...view.subarray(21, 21 + withdrawnLength)];
	const block = [...view.subarray(23 + withdrawnLength, 23 + withdrawnLength + attributesLength)];
	const nlri = [...view.subarray(23 + withdrawnLength + attributesLength)];
	const addPath = context.addPath(1, 1);
	if (!arePrefixes(withdrawn, 32, addPath) || !arePrefixes(nlri, 32, addPath)) return 3;

	const seen = new Map<number, readonly number[]>();
	const verdicts: number[] = [];
	let nextHopVerdict = 0;
	let rest: readonly number[] = block;
	while (rest.length > 0) {
		const [flags = 0, code = 0] = rest;
		const header = (flags & 0x10) !== 0 ? 4 : 3;
		const length = header === 4 ? (rest[2] ?? 0) * 256 + (rest[3] ?? 0) : (rest[2] ?? 0);
		if (rest.length < header || rest.length < header + length) {
			// Section 4; what cannot be withdrawn resets.
			verdicts.push(rest.length > 1 && (code === 14 || code === 15) ? 3 : 2);
			if (!seen.has(-1)) seen.set(-1, []);
			break;
		}
		const value = rest.slice(header, header + length);
		rest = rest.slice(header + length);
		if (seen.has(code)) {
			verdicts.push(code === 14 || code === 15 ? 3 : 1);
			continue;
		}
		seen.set(code, value);
		const verdict = attributeLevel(flags, code, value, context);
		if (code === 3) nextHopVerdict = verdict;
		else verdicts.push(verdict);
	}

	const reach = seen.get(14);
	const reachable = nlri.length > 0 || (reach !== undefined && reach.length > 5 + (reach[3] ?? 0));
	if (reachable && !(seen.has(1) && seen.has(2))) verdicts.push(2);
	if (nlri.length > 0) verdicts.push(seen.has(3) ? nextHopVerdict : 2);
	// Ignored without NLRI, and counted.
	else if (nextHopVerdict > 0) verdicts.push(1);
	const level = Math.max(0, ...verdicts);
	// Section 5.2.
	const others = [...seen.keys()].some((code) => code !== 15);
	return level === 2 && !reachable && others ? 3 : level;
}

function arePrefixes(bytes: readonly number[], bits: number, addPath: boolean): boolean {
	if (bytes.length === 0) return true;
	const body = addPath ? bytes.slice(4) : bytes;
	const [length] = body;
	if (length === undefined || length > bits) return false;
	const used = 1 + Math.ceil(length / 8);
	return body.length >= used && arePrefixes(body.slice(used), bits, addPath);
}

const wellKnown = [1, 2, 3, 5, 6];
const optionalNonTransitive = [4, 9, 10, 14, 15];
const optionalTransitive = [7, 8, 16, 17, 18, 25, 32, 35];

function attributeLevel(flags: number, code: number, value: readonly number[], context: PacketContext): number {
	const kind = flags & 0xc0;
	const known = [...wellKnown, ...optionalNonTransitive, ...optionalTransitive].includes(code);
	if (!known) return (kind & 0x80) === 0 ? 3 : 0;
	if (context.external && [5, 9, 10].includes(code)) return 1;
	if (context.fourOctetAs && [17, 18].includes(code)) return 1;
	const proper = wellKnown.includes(code) ? 0x40 : optionalTransitive.includes(code) ? 0xc0 : 0x80;
	const wrongFlags = kind === proper ? 0 : code === 6 || code === 7 ? 1 : 2;
	return Math.max(wrongFlags, valueLevel(code, value, context));
}

const listOf = (size: number, { length }: readonly number[]) => (length > 0 && length % size === 0 ? 0 : 2);

function valueLevel(code: number, value: readonly number[], context: PacketContext): number {
	const asBytes = context.fourOctetAs ? 4 : 2;
	const number = (bytes: readonly number[]) => bytes.reduce((sum, byte) => sum * 256 + byte, 0);
	switch (code) {
		case 1:
			return value.length === 1 && (value[0] ?? 0) <= 2 ? 0 : 2;
		case 2:
			return isPath(value, asBytes, !context.external) ? 0 : 2;
		case 3:
			return value.length === 4 && (value[0] ?? 0) !== 0 && (value[0] ?? 0) < 224 ? 0 : 2;
		case 4:
		case 5:
		case 9:
		case 35:
			return value.length === 4 ? 0 : 2;
		case 6:
			return value.length === 0 ? 0 : 1;
		case 7:
			return value.length === asBytes + 4 && number(value.slice(0, asBytes)) !== 0 ? 0 : 1;
		case 8:
		case 10:
			return listOf(4, value);
		case 16:
			return listOf(8, value);
		case 25:
			return listOf(20, value);
		case 32:
			return listOf(12, value);
		case 17:
			return value.length > 0 && isPath(value, 4, true) ? 0 : 1;
		case 18:
			return value.length === 8 && number(value.slice(0, 4)) !== 0 ? 0 : 1;
		default:
			return routesLevel(code, value, context);
	}
}

function isPath(value: readonly number[], asBytes: number, confederations: boolean): boolean {
	if (value.length === 0) return true;
	const [type = 0, count = 0] = value;
	const end = 2 + count * asBytes;
	if (value.length < 2 || count === 0 || value.length < end || type < 1 || type > (confederations ? 4 : 2))
		return false;
	for (let at = 2; at < end; at += asBytes) if (value.slice(at, at + asBytes).every((byte) => byte === 0)) return false;
	return isPath(value.slice(end), asBytes, confederations);
}

function routesLevel(code: number, value: readonly number[], context: PacketContext): number {
	if (value.length < (code === 14 ? 5 : 3)) return 3;
	const [high = 0, low = 0, safi = 0, nextHopLength = 0] = value;
	const afi = high * 256 + low;
	const isPrefixes = (afi === 1 || afi === 2) && (safi === 1 || safi === 2);
	const routes = value.slice(code === 14 ? 5 + nextHopLength : 3);
	if (code === 14 && value.length < 5 + nextHopLength) return 3;
	if (!isPrefixes) return 0;
	const nextHop = value.slice(4, 4 + nextHopLength);
	const lengths = afi === 2 ? [16, 32] : context.extendedNextHop(afi, safi) ? [4, 16, 32] : [4];
	if (code === 14 && !lengths.includes(nextHopLength)) return 3;
	if (!arePrefixes(routes, afi === 1 ? 32 : 128, context.addPath(afi, safi))) return 3;
	if (code === 15) return 0;
	const [first = 0] = nextHop;
	const zero = (bytes: readonly number[]) => bytes.every((byte) => byte === 0);
	if (nextHopLength === 4) return first === 0 || first >= 224 ? 2 : 0;
	const linkLocal = nextHop[16] === 0xfe && ((nextHop[17] ?? 0) & 0xc0) === 0x80;
	if (first === 0xff) return 2;
	return zero(nextHop.slice(0, 16)) && !linkLocal ? 2 : 0;
}
