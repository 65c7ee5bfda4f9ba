import { HeaderSubcode, headerLength, RouteRefreshSubcode } from '../constants.ts';
import type { PacketContext } from '../context.ts';
import { PacketError } from '../errors.ts';
import { readU16 } from '../reader.ts';
import type { Writer } from '../writer.ts';

/** RFC 7313 §3.2, in the order of their values. */
const subtypes = ['request', 'begin', 'end'] as const;

/**
 * Asks for all routes of a family, or marks the begin and end of the answer. RFC 2918 §3, RFC 7313
 * §3.2.
 */
export interface RouteRefreshMessage {
	readonly type: 'route-refresh';
	readonly afi: number;
	readonly safi: number;
	/** A number where the value is not assigned: to be ignored (RFC 7313 §5). */
	readonly subtype: (typeof subtypes)[number] | number;
	/** Outbound route filters behind a request, as bytes; empty without (RFC 5291 §4). */
	readonly filters: Uint8Array;
}

/**
 * The ROUTE-REFRESH at `[start, end)`, header included. @throws PacketError 7/1 (RFC 7313 §5) or
 * 1/2
 */
export function decodeRouteRefresh(
	bytes: Uint8Array,
	start: number,
	end: number,
	{ enhancedRefresh }: PacketContext,
): RouteRefreshMessage {
	const body = start + headerLength;
	const value = bytes[body + 2] ?? 0;
	const length = end - start;
	if (enhancedRefresh && (value === 1 || value === 2) && length !== 23) {
		const data = new Uint8Array(bytes.subarray(start, end));
		throw new PacketError(
			'routeRefresh',
			RouteRefreshSubcode.invalidMessageLength,
			`ROUTE-REFRESH mark of ${length} bytes`,
			{ data },
		);
	}
	if (length < 23) {
		const data = Uint8Array.of(length >>> 8, length);
		throw new PacketError('messageHeader', HeaderSubcode.badMessageLength, `ROUTE-REFRESH of ${length} bytes`, {
			data,
		});
	}
	const subtype = subtypes[value] ?? value;
	return {
		type: 'route-refresh',
		afi: readU16(bytes, body),
		safi: bytes[body + 3] ?? 0,
		subtype,
		filters: new Uint8Array(bytes.subarray(body + 4, end)),
	};
}

/** The body of a ROUTE-REFRESH. */
export function encodeRouteRefresh(writer: Writer, { afi, safi, subtype, filters }: RouteRefreshMessage): void {
	writer.u16(afi);
	writer.u8(typeof subtype === 'number' ? subtype : subtypes.indexOf(subtype));
	writer.u8(safi);
	writer.bytes(filters);
}

/** A ROUTE-REFRESH without filters. */
export function routeRefreshMessage(
	afi: number,
	safi: number,
	subtype: (typeof subtypes)[number] = 'request',
): RouteRefreshMessage {
	return { type: 'route-refresh', afi, safi, subtype, filters: new Uint8Array(0) };
}
