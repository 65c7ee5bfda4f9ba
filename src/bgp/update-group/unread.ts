import { AttributeCode, readU16, scanUpdate, UpdateSpans } from 'bgp-packet';
import type { RouteTable } from '../table/route-table.ts';
import type { CatchUp } from './member.ts';

const spans = new UpdateSpans();

/**
 * Records the prefixes of our own messages that a peer did not get, so that it gets their latest
 * state instead.
 */
export function missMessages(bytes: Uint8Array, table: RouteTable, addPath: boolean, catchUp: CatchUp): void {
	for (let start = 0; start < bytes.length; ) {
		const end = start + readU16(bytes, start + 16);
		scanUpdate(bytes, start, end, spans);
		missRoutes(bytes, spans.withdrawnStart, spans.withdrawnEnd, true, table, addPath, catchUp);
		missRoutes(bytes, spans.nlriStart, spans.nlriEnd, false, table, addPath, catchUp);
		// Our messages begin with the MP attribute, if present, and it has an extended length.
		const attribute = spans.attributesStart;
		const code = spans.attributesEnd > attribute ? bytes[attribute + 1] : 0;
		const valueEnd = attribute + 4 + readU16(bytes, attribute + 2);
		if (code === AttributeCode.mpReach)
			missRoutes(bytes, attribute + 9 + (bytes[attribute + 7] ?? 0), valueEnd, false, table, addPath, catchUp);
		if (code === AttributeCode.mpUnreach) missRoutes(bytes, attribute + 7, valueEnd, true, table, addPath, catchUp);
		start = end;
	}
}

function missRoutes(
	bytes: Uint8Array,
	start: number,
	end: number,
	withdrawn: boolean,
	table: RouteTable,
	addPath: boolean,
	catchUp: CatchUp,
): void {
	for (let at = start; at < end; ) {
		const pathId = addPath
			? (bytes[at] ?? 0) * 0x100_0000 +
				(((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0))
			: 0;
		if (addPath) at += 4;
		const bits = bytes[at++] ?? 0;
		// A removed prefix is restored until it is withdrawn from this peer, too.
		const prefix = table.prefixes.intern(bytes, at, bits);
		at += (bits + 7) >>> 3;
		table.discardIfEmpty(prefix);
		catchUp.miss(prefix);
		if (addPath && withdrawn) catchUp.missPath(prefix, pathId);
	}
}
