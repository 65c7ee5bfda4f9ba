/**
 * Reads MRT files (RFC 6396), for tests and benchmarks. Records of an unknown type become
 * `unknown`, damaged ones `damaged`; reading never throws for the content of a file.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

/** The two ends of the session. */
export interface MrtPeer {
	readonly peerAs: number;
	readonly localAs: number;
	/** 4 or 16 bytes. */
	readonly peerAddress: Uint8Array;
	readonly localAddress: Uint8Array;
}

/** One route of a table. */
export interface MrtEntry {
	/** In the peer index of TABLE_DUMP_V2; `undefined` in TABLE_DUMP, which has `peer`. */
	readonly peerIndex: number | undefined;
	readonly peer: { readonly address: Uint8Array; readonly asNumber: number } | undefined;
	readonly originatedSeconds: number;
	readonly pathId: number | undefined;
	/**
	 * Path attributes as on the wire; in TABLE_DUMP_V2 MP_REACH_NLRI is cut down to next hop length
	 * and next hop (RFC 6396 §4.3.4).
	 */
	readonly attributes: Uint8Array;
}

interface Stamp {
	readonly timeSeconds: number;
	/** 0 except in BGP4MP_ET. */
	readonly microseconds: number;
}

/** One record, or one entry of a record that batches many. */
export type MrtRecord = Stamp &
	(
		| {
				readonly type: 'message';
				readonly peer: MrtPeer;
				/** The encoding of AS numbers in AS_PATH. */
				readonly fourOctetAs: boolean;
				/** RFC 8050 §3. */
				readonly addPath: boolean;
				/** Sent by the recording speaker. */
				readonly local: boolean;
				/** Header included. */
				readonly message: Uint8Array;
		  }
		| { readonly type: 'state-change'; readonly peer: MrtPeer; readonly oldState: number; readonly newState: number }
		| {
				readonly type: 'peer-index';
				readonly peers: readonly {
					readonly routerId: Uint8Array;
					readonly address: Uint8Array;
					readonly asNumber: number;
				}[];
		  }
		| {
				readonly type: 'rib';
				readonly afi: number;
				readonly safi: number;
				readonly addPath: boolean;
				readonly fourOctetAs: boolean;
				/** As on the wire, without path identifier. */
				readonly prefix: { readonly length: number; readonly bytes: Uint8Array };
				readonly entries: readonly MrtEntry[];
		  }
		| { readonly type: 'unknown'; readonly mrtType: number; readonly subtype: number; readonly body: Uint8Array }
		| { readonly type: 'damaged'; readonly mrtType: number; readonly subtype: number; readonly body: Uint8Array }
	);

/**
 * The content of a file: gzip is unpacked, bzip2 by the command `bzip2`. @throws Error where that
 * command fails
 */
export function readMrtFile(path: string): Uint8Array {
	const bytes = readFileSync(path);
	if (bytes[0] === 0x1f && bytes[1] === 0x8b) return gunzipSync(bytes);
	if (bytes.subarray(0, 3).toString('latin1') !== 'BZh') return bytes;
	const { stdout, status, error } = spawnSync('bzip2', ['-dc'], { input: bytes, maxBuffer: 2 ** 31 });
	if (error !== undefined || status !== 0) throw new Error(`bzip2 cannot unpack ${path}`, { cause: error });
	return stdout;
}

class Cut extends Error {}

/** Reads numbers; past the end it throws `Cut`, which `parse` turns into a `damaged` record. */
class Cursor {
	readonly #bytes: Uint8Array;
	#offset = 0;

	constructor(bytes: Uint8Array) {
		this.#bytes = bytes;
	}

	get offset(): number {
		return this.#offset;
	}

	get remaining(): number {
		return this.#bytes.length - this.#offset;
	}

	take(length: number): Uint8Array {
		if (length > this.remaining) throw new Cut();
		this.#offset += length;
		return this.#bytes.subarray(this.#offset - length, this.#offset);
	}

	uint(length: 1 | 2 | 4): number {
		return this.take(length).reduce((value, byte) => value * 256 + byte, 0);
	}
}

const MrtType = { bgp: 5, tableDump: 12, tableDumpV2: 13, bgp4mp: 16, bgp4mpEt: 17 } as const;

/** All records of a file's content, in order. */
export function* readMrt(content: Uint8Array): Generator<MrtRecord> {
	let offset = 0;
	const view = new DataView(content.buffer, content.byteOffset, content.length);
	while (offset + 12 <= content.length) {
		const timeSeconds = view.getUint32(offset);
		const mrtType = view.getUint16(offset + 4);
		const subtype = view.getUint16(offset + 6);
		const length = view.getUint32(offset + 8);
		offset += 12;
		let body = content.subarray(offset, offset + length);
		if (
			mrtType === MrtType.tableDump &&
			entriesEnd(content.subarray(offset, offset + length + 4), subtype) === length + 4
		) {
			// Writers of the year 2000 did not count view and sequence number.
			body = content.subarray(offset, offset + length + 4);
		}
		offset += body.length;
		const stamp = { timeSeconds, microseconds: 0 };
		if (body.length < length) yield { ...stamp, type: 'damaged', mrtType, subtype, body };
		else yield* parse(mrtType, subtype, body, stamp);
	}
}

function* parse(mrtType: number, subtype: number, body: Uint8Array, stamp: Stamp): Generator<MrtRecord> {
	try {
		switch (mrtType) {
			case MrtType.bgp4mp:
				yield bgp4mp(subtype, body, stamp);
				return;
			case MrtType.bgp4mpEt: {
				const cursor = new Cursor(body);
				const microseconds = cursor.uint(4);
				yield bgp4mp(subtype, body.subarray(4), { ...stamp, microseconds });
				return;
			}
			case MrtType.tableDump:
				yield* [...tableDump(subtype, body, stamp)];
				return;
			case MrtType.tableDumpV2:
				yield tableDumpV2(subtype, body, stamp);
				return;
			case MrtType.bgp:
				yield oldBgp(subtype, body, stamp);
				return;
		}
	} catch (error) {
		if (!(error instanceof Cut)) throw error;
		yield { ...stamp, type: 'damaged', mrtType, subtype, body };
		return;
	}
	yield { ...stamp, type: 'unknown', mrtType, subtype, body };
}

/** RFC 6396 §4.4, RFC 8050 §3. Subtypes select AS number size, direction and path identifiers. */
const bgp4mpMessages: Readonly<
	Record<number, { readonly fourOctetAs: boolean; readonly local: boolean; readonly addPath: boolean }>
> = {
	1: { fourOctetAs: false, local: false, addPath: false },
	4: { fourOctetAs: true, local: false, addPath: false },
	6: { fourOctetAs: false, local: true, addPath: false },
	7: { fourOctetAs: true, local: true, addPath: false },
	8: { fourOctetAs: false, local: false, addPath: true },
	9: { fourOctetAs: true, local: false, addPath: true },
	10: { fourOctetAs: false, local: true, addPath: true },
	11: { fourOctetAs: true, local: true, addPath: true },
};

function bgp4mp(subtype: number, body: Uint8Array, stamp: Stamp): MrtRecord {
	const cursor = new Cursor(body);
	const message = bgp4mpMessages[subtype];
	if (message === undefined && subtype !== 0 && subtype !== 5)
		return { ...stamp, type: 'unknown', mrtType: MrtType.bgp4mp, subtype, body };
	const asLength = subtype === 5 || message?.fourOctetAs === true ? 4 : 2;
	const peerAs = cursor.uint(asLength);
	const localAs = cursor.uint(asLength);
	cursor.uint(2);
	const addressLength = cursor.uint(2) === 2 ? 16 : 4;
	const peer = { peerAs, localAs, peerAddress: cursor.take(addressLength), localAddress: cursor.take(addressLength) };
	if (message === undefined)
		return { ...stamp, type: 'state-change', peer, oldState: cursor.uint(2), newState: cursor.uint(2) };
	return { ...stamp, type: 'message', peer, ...message, message: cursor.take(cursor.remaining) };
}

/** The end of the entries of a TABLE_DUMP body, -1 if they exceed it. */
function entriesEnd(body: Uint8Array, subtype: number): number {
	const head = (subtype === 2 ? 16 : 4) + 6;
	const fixed = head + (subtype === 2 ? 16 : 4) + 4;
	let offset = 4;
	while (offset < body.length) {
		if (offset + fixed > body.length) return -1;
		offset += fixed + ((body[offset + fixed - 2] ?? 0) << 8) + (body[offset + fixed - 1] ?? 0);
	}
	return offset === body.length ? offset : -1;
}

/** RFC 6396 §4.2; early writers put many entries after one view and sequence number. */
function* tableDump(subtype: number, body: Uint8Array, stamp: Stamp): Generator<MrtRecord> {
	const cursor = new Cursor(body);
	const addressLength = subtype === 2 ? 16 : 4;
	cursor.uint(4);
	while (cursor.remaining > 0) {
		const address = cursor.take(addressLength);
		const length = cursor.uint(1);
		cursor.uint(1);
		const originatedSeconds = cursor.uint(4);
		const peer = { address: cursor.take(addressLength), asNumber: cursor.uint(2) };
		const attributes = cursor.take(cursor.uint(2));
		const entry = { peerIndex: undefined, peer, originatedSeconds, pathId: undefined, attributes };
		yield {
			...stamp,
			type: 'rib',
			afi: subtype === 2 ? 2 : 1,
			safi: 1,
			addPath: false,
			fourOctetAs: false,
			prefix: { length, bytes: address },
			entries: [entry],
		};
	}
}

/** RFC 6396 §4.3, RFC 8050 §4. */
const ribSubtypes: Readonly<
	Record<number, { readonly afi: number; readonly safi: number; readonly addPath: boolean }>
> = {
	2: { afi: 1, safi: 1, addPath: false },
	3: { afi: 1, safi: 2, addPath: false },
	4: { afi: 2, safi: 1, addPath: false },
	5: { afi: 2, safi: 2, addPath: false },
	8: { afi: 1, safi: 1, addPath: true },
	9: { afi: 1, safi: 2, addPath: true },
	10: { afi: 2, safi: 1, addPath: true },
	11: { afi: 2, safi: 2, addPath: true },
};

/** RFC 6396 §4.3.3, RFC 8050 §4.2: of any family, which the record contains. */
const ribGeneric = 6;
const ribGenericAddPath = 12;

function tableDumpV2(subtype: number, body: Uint8Array, stamp: Stamp): MrtRecord {
	const cursor = new Cursor(body);
	if (subtype === 1) {
		cursor.take(4);
		cursor.take(cursor.uint(2));
		const peers = Array.from({ length: cursor.uint(2) }, () => {
			const kind = cursor.uint(1);
			return {
				routerId: cursor.take(4),
				address: cursor.take((kind & 1) === 0 ? 4 : 16),
				asNumber: cursor.uint((kind & 2) === 0 ? 2 : 4),
			};
		});
		return { ...stamp, type: 'peer-index', peers };
	}
	const known = ribSubtypes[subtype];
	const generic = subtype === ribGeneric || subtype === ribGenericAddPath;
	if (known === undefined && !generic)
		return { ...stamp, type: 'unknown', mrtType: MrtType.tableDumpV2, subtype, body };
	cursor.uint(4);
	const table = known ?? { afi: cursor.uint(2), safi: cursor.uint(1), addPath: subtype === ribGenericAddPath };
	// The length of an entry depends on its family.
	if (table.safi !== 1 && table.safi !== 2)
		return { ...stamp, type: 'unknown', mrtType: MrtType.tableDumpV2, subtype, body };
	const length = cursor.uint(1);
	const prefix = { length, bytes: cursor.take((length + 7) >> 3) };
	const entries = Array.from({ length: cursor.uint(2) }, () => ({
		peerIndex: cursor.uint(2),
		peer: undefined,
		originatedSeconds: cursor.uint(4),
		pathId: table.addPath ? cursor.uint(4) : undefined,
		attributes: cursor.take(cursor.uint(2)),
	}));
	return { ...stamp, type: 'rib', ...table, fourOctetAs: true, prefix, entries };
}

/** The type before BGP4MP: message bodies without their headers. RFC 6396 appendix B.2. */
const oldMessageTypes: Readonly<Record<number, number>> = { 1: 2, 5: 1, 6: 3, 7: 4 };

function oldBgp(subtype: number, body: Uint8Array, stamp: Stamp): MrtRecord {
	const cursor = new Cursor(body);
	if (subtype === 3) {
		const peer = { peerAs: cursor.uint(2), peerAddress: cursor.take(4), localAs: 0, localAddress: new Uint8Array(4) };
		return { ...stamp, type: 'state-change', peer, oldState: cursor.uint(2), newState: cursor.uint(2) };
	}
	const type = oldMessageTypes[subtype];
	if (type === undefined) return { ...stamp, type: 'unknown', mrtType: MrtType.bgp, subtype, body };
	const peerAs = cursor.uint(2);
	const peerAddress = cursor.take(4);
	const peer = { peerAs, peerAddress, localAs: cursor.uint(2), localAddress: cursor.take(4) };
	const content = cursor.take(cursor.remaining);
	const message = new Uint8Array(19 + content.length).fill(0xff, 0, 16);
	message.set([message.length >> 8, message.length & 0xff, type], 16);
	message.set(content, 19);
	return { ...stamp, type: 'message', peer, fourOctetAs: false, addPath: false, local: false, message };
}
