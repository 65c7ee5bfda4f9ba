import {
	Afi,
	AttributeCode,
	AttributeScan,
	attributesOf,
	judgeAttributes,
	MessageType,
	type PathAttributes,
	Safi,
} from 'bgp-packet';
import { copyBytes } from '../table/copy-bytes.ts';
import type { PrefixTable } from '../table/prefix-table.ts';
import { storedContext } from '../table/stored-context.ts';
import { writeU32 } from './as-path.ts';
import { BlockWriter } from './block-writer.ts';
import type { ExportTerms } from './export-terms.ts';
import type { ExportDependencies } from './exporter.ts';
import type { Audience, MessageLog } from './log.ts';

const headerBytes = 19;
const usualMessage = 4096;
const longestMessage = 0xffff;
const optionalExtended = 0x90;

/** Prefixes for messages, with path identifiers if the family has them (RFC 7911 §3). */
export interface PrefixList {
	readonly ids: Int32Array;
	readonly pathIds: Uint32Array;
	count: number;
}

/** An empty list with this capacity. */
export function prefixList(capacity: number): PrefixList {
	return { ids: new Int32Array(capacity), pathIds: new Uint32Array(capacity), count: 0 };
}

/**
 * Packs prefixes of one attribute set, or withdrawals, into as few UPDATEs as possible, directly
 * into a log.
 */
export class UpdateWriter {
	readonly #prefixes: PrefixTable;
	readonly #block: BlockWriter;
	readonly #addPath: boolean;
	readonly #extended: boolean;
	readonly #fourOctetAs: boolean;
	/** Maximum bytes of one prefix. */
	readonly #nlriBytes: number;
	readonly #scratch = new Uint8Array(20);

	constructor(terms: ExportTerms, dependencies: ExportDependencies, prefixes: PrefixTable) {
		this.#prefixes = prefixes;
		this.#block = new BlockWriter(terms, dependencies);
		this.#addPath = terms.addPath;
		this.#extended = terms.extendedMessage;
		this.#fourOctetAs = terms.fourOctetAs;
		this.#nlriBytes = 1 + prefixes.width + (terms.addPath ? 4 : 0);
	}

	/**
	 * Announces the prefixes with the set `id`. `false`: at least one of them does not fit into a
	 * message that the peer accepts (RFC 8654 §5), and nothing is written.
	 */
	announce(log: MessageLog, id: number, audience: Audience, list: PrefixList): boolean {
		const block = this.#block;
		const fixed = this.#fixedBytes(id);
		const { nextHop } = block;
		// Near the limit, the exact length of the prefixes counts instead of the maximum.
		const widest = fixed + this.#nlriBytes <= usualMessage ? this.#nlriBytes : this.#widest(list);
		const limit = this.#limitFor(fixed + widest);
		if (limit === 0) return false;
		for (let index = 0; index < list.count; ) {
			const chunk = log.room(Math.min(limit, fixed + (list.count - index) * this.#nlriBytes));
			const { bytes, used: head } = chunk;
			// RFC 7606 §5.1: MP_REACH_NLRI is first; without it, the routes follow the attributes.
			let at = head + headerBytes + 4;
			if (nextHop === undefined) {
				at = this.#copyBlock(bytes, at);
				const routes = at;
				({ index, at } = this.#writePrefixes(list, index, bytes, at, head + limit, widest));
				finish(bytes, head, at, 0, routes - head - headerBytes - 4);
			} else {
				const reach = at;
				at = this.#writeReach(nextHop, bytes, at);
				({ index, at } = this.#writePrefixes(list, index, bytes, at, head + limit - block.length, widest));
				writeU16(bytes, reach + 2, at - reach - 4);
				at = this.#copyBlock(bytes, at);
				finish(bytes, head, at, 0, at - head - headerBytes - 4);
			}
			log.commit(at, audience);
		}
		return true;
	}

	/** True if a route of the set `id` fits into a message that the peer accepts. */
	fits(id: number, prefix: number): boolean {
		return this.#limitFor(this.#fixedBytes(id) + this.#widthOf(prefix)) > 0;
	}

	/** True if two sets are sent with equal attributes. */
	isSame(left: number, right: number): boolean {
		const block = this.#block;
		block.write(left);
		const { length, nextHop } = block;
		const bytes = block.bytes.slice(0, length);
		block.write(right);
		if (block.length !== length || block.nextHop?.length !== nextHop?.length) return false;
		if (nextHop?.some((byte, index) => byte !== block.nextHop?.[index])) return false;
		return bytes.every((byte, index) => byte === block.bytes[index]);
	}

	/** The attributes that `announce` sends for a set, as objects, without routes. */
	attributes(id: number): PathAttributes {
		this.#block.write(id);
		const { nextHop } = this.#block;
		const bytes = this.#block.bytes.slice(0, this.#block.length);
		const scan = new AttributeScan();
		const context = { ...storedContext, fourOctetAs: this.#fourOctetAs };
		judgeAttributes(bytes, 0, bytes.length, context, scan);
		const attributes = attributesOf(bytes, scan, context);
		if (nextHop === undefined) return attributes;
		const afi = this.#prefixes.family === 'ipv4' ? Afi.ipv4 : Afi.ipv6;
		return {
			...attributes,
			mpReach: { afi, safi: Safi.unicast, nextHop: nextHop.slice(), routes: { type: 'prefixes', nlri: [] } },
		};
	}

	/** Withdraws the prefixes. */
	withdraw(log: MessageLog, audience: Audience, list: PrefixList): void {
		const plain = this.#prefixes.family === 'ipv4';
		for (let index = 0; index < list.count; ) {
			const chunk = log.room(Math.min(usualMessage, headerBytes + 4 + 7 + (list.count - index) * this.#nlriBytes));
			const { bytes, used: head } = chunk;
			let at = head + headerBytes + 2;
			if (plain) {
				const routes = at;
				({ index, at } = this.#writePrefixes(list, index, bytes, at, head + usualMessage - 2));
				finish(bytes, head, at + 2, at - routes, 0);
				at += 2;
			} else {
				at += 2;
				const unreach = at;
				at = this.#writeUnreach(bytes, at);
				({ index, at } = this.#writePrefixes(list, index, bytes, at, head + usualMessage));
				writeU16(bytes, unreach + 2, at - unreach - 4);
				finish(bytes, head, at, 0, at - head - headerBytes - 4);
			}
			log.commit(at, audience);
		}
	}

	/**
	 * Writes as many prefixes, of at most `widest` octets each, as fit before `end`, at least one.
	 */
	#writePrefixes(
		list: PrefixList,
		index: number,
		bytes: Uint8Array,
		at: number,
		end: number,
		widest = this.#nlriBytes,
	): { index: number; at: number } {
		const { ids, pathIds, count } = list;
		const prefixes = this.#prefixes;
		const last = end - widest;
		while (index < count && at <= last) {
			if (this.#addPath) at = writeU32(bytes, at, pathIds[index] ?? 0);
			at = prefixes.write(ids[index++] ?? 0, bytes, at);
		}
		return { index, at };
	}

	/** Writes the block of `id`; returns the octets of a message with it and no routes. */
	#fixedBytes(id: number): number {
		this.#block.write(id);
		const { length, nextHop } = this.#block;
		return headerBytes + 4 + length + (nextHop === undefined ? 0 : 4 + 5 + nextHop.length);
	}

	/** The maximum message length for this number of octets, 0 if the peer accepts none. */
	#limitFor(octets: number): number {
		if (octets <= usualMessage) return usualMessage;
		return this.#extended && octets <= longestMessage ? longestMessage : 0;
	}

	/** The length of the longest prefix of a list, in octets. */
	#widest({ ids, count }: PrefixList): number {
		let widest = 0;
		for (let index = 0; index < count; index++) widest = Math.max(widest, this.#widthOf(ids[index] ?? 0));
		return widest;
	}

	#widthOf(prefix: number): number {
		return this.#prefixes.write(prefix, this.#scratch, 0) + (this.#addPath ? 4 : 0);
	}

	#copyBlock(bytes: Uint8Array, at: number): number {
		copyBytes(this.#block.bytes, 0, bytes, at, this.#block.length);
		return at + this.#block.length;
	}

	#writeReach(nextHop: Uint8Array, bytes: Uint8Array, at: number): number {
		bytes[at] = optionalExtended;
		bytes[at + 1] = AttributeCode.mpReach;
		at = this.#writeFamily(bytes, at + 4);
		bytes[at++] = nextHop.length;
		copyBytes(nextHop, 0, bytes, at, nextHop.length);
		at += nextHop.length;
		// RFC 4760 §3: reserved.
		bytes[at++] = 0;
		return at;
	}

	#writeUnreach(bytes: Uint8Array, at: number): number {
		bytes[at] = optionalExtended;
		bytes[at + 1] = AttributeCode.mpUnreach;
		return this.#writeFamily(bytes, at + 4);
	}

	#writeFamily(bytes: Uint8Array, at: number): number {
		bytes[at] = 0;
		bytes[at + 1] = this.#prefixes.family === 'ipv4' ? Afi.ipv4 : Afi.ipv6;
		bytes[at + 2] = Safi.unicast;
		return at + 3;
	}
}

/** End-of-RIB of a family. RFC 4724 §2. */
export function endOfRibBytes(family: 'ipv4' | 'ipv6'): Uint8Array {
	const bytes = new Uint8Array(family === 'ipv4' ? 23 : 29);
	finish(bytes, 0, bytes.length, 0, bytes.length - 23);
	if (family === 'ipv6') bytes.set([0x80, AttributeCode.mpUnreach, 3, 0, Afi.ipv6, Safi.unicast], 23);
	return bytes;
}

/**
 * Fills in the header and the length of attributes; the length of withdrawn routes is already
 * present.
 */
function finish(bytes: Uint8Array, head: number, end: number, withdrawn: number, attributes: number): void {
	for (let index = 0; index < 16; index++) bytes[head + index] = 0xff;
	writeU16(bytes, head + 16, end - head);
	bytes[head + 18] = MessageType.update;
	writeU16(bytes, head + headerBytes, withdrawn);
	writeU16(bytes, head + headerBytes + 2 + withdrawn, attributes);
}

function writeU16(bytes: Uint8Array, at: number, value: number): void {
	bytes[at] = value >> 8;
	bytes[at + 1] = value;
}
