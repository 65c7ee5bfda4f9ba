import { AttributeCode, AttributeFlag, UpdateSubcode } from '../constants.ts';
import { familyCodec } from '../families/index.ts';
import { decodeNlri, encodeNlri, type Nlri, validateNlri } from '../nlri.ts';
import { readU16 } from '../reader.ts';
import { type AttributeCodec, fault } from './codec.ts';
import { isHostIpv4 } from './next-hop.ts';

/** Routes of a family that is prefixes, or of any other one as bytes. */
export type FamilyRoutes =
	| { readonly type: 'prefixes'; readonly nlri: readonly Nlri[] }
	| { readonly type: 'opaque'; readonly bytes: Uint8Array };

/** Reachable routes of one family, and where to send packets for them. RFC 4760 §3. */
export interface MpReach {
	readonly afi: number;
	readonly safi: number;
	/**
	 * As on the wire: 4, 16 or 32 (global, link-local) bytes for unicast, anything for other
	 * families.
	 */
	readonly nextHop: Uint8Array;
	readonly routes: FamilyRoutes;
}

const reset = (text: string) => fault('session-reset', text, UpdateSubcode.optionalAttributeError);
const tooShort = reset('MP_REACH_NLRI is too short');
const badNextHopLength = reset('MP_REACH_NLRI next hop of a length that does not fit its family');
const badNlri = reset('MP_REACH_NLRI with a prefix that is too long or cut off');
const badNextHop = fault(
	'treat-as-withdraw',
	'MP_REACH_NLRI next hop is no host address',
	UpdateSubcode.invalidNextHop,
);

/**
 * A host's address of 4 or 16 bytes, or a global and a link-local one; some speakers leave the
 * global one zero.
 */
function isHost(bytes: Uint8Array, offset: number, length: number): boolean {
	if (length === 4) return isHostIpv4(bytes, offset);
	if (isHostIpv6(bytes, offset)) return true;
	return (
		length === 32 &&
		bytes[offset] !== 0xff &&
		bytes[offset + 16] === 0xfe &&
		((bytes[offset + 17] ?? 0) & 0xc0) === 0x80
	);
}

/** Neither unspecified nor multicast. */
function isHostIpv6(bytes: Uint8Array, offset: number): boolean {
	if (bytes[offset] === 0xff) return false;
	for (let index = offset; index < offset + 16; index++) if (bytes[index] !== 0) return true;
	return false;
}

/** MP_REACH_NLRI. RFC 4760 §3, RFC 8950 §3, RFC 7606 §5.3 and §7.11. */
export const mpReach: AttributeCodec<'mpReach', MpReach> = {
	name: 'mpReach',
	code: AttributeCode.mpReach,
	flags: AttributeFlag.optional,
	check(bytes, start, end, context) {
		if (end - start < 5) return tooShort;
		const nextHopLength = bytes[start + 3] ?? 0;
		// One reserved octet follows the next hop (RFC 4760 §3).
		const routesStart = start + 4 + nextHopLength + 1;
		if (routesStart > end) return badNextHopLength;
		const afi = readU16(bytes, start);
		const safi = bytes[start + 2] ?? 0;
		const family = familyCodec(afi, safi);
		if (family === undefined) return undefined;
		if (!family.acceptsNextHop(nextHopLength, context.extendedNextHop(afi, safi))) return badNextHopLength;
		if (validateNlri(bytes, routesStart, end, family.addressBits, context.addPath(afi, safi)) < 0) return badNlri;
		return isHost(bytes, start + 4, nextHopLength) ? undefined : badNextHop;
	},
	decode(reader, context) {
		const afi = reader.u16();
		const safi = reader.u8();
		const nextHop = reader.bytes(reader.u8());
		reader.u8();
		return { afi, safi, nextHop, routes: decodeRoutes(reader.bytes(), afi, safi, context.addPath(afi, safi)) };
	},
	encode(writer, { afi, safi, nextHop, routes }, context) {
		writer.u16(afi);
		writer.u8(safi);
		writer.u8(nextHop.length);
		writer.bytes(nextHop);
		writer.u8(0);
		if (routes.type === 'prefixes') encodeNlri(writer, routes.nlri, context.addPath(afi, safi));
		else writer.bytes(routes.bytes);
	},
};

/** The routes field of MP_REACH_NLRI or MP_UNREACH_NLRI. */
export function decodeRoutes(bytes: Uint8Array, afi: number, safi: number, addPath: boolean): FamilyRoutes {
	const family = familyCodec(afi, safi);
	if (family === undefined) return { type: 'opaque', bytes };
	return { type: 'prefixes', nlri: decodeNlri(bytes, 0, bytes.length, family.family, addPath) };
}
