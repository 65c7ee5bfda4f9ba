import {
	Afi,
	AttributeCode,
	AttributeScan,
	badNetworkField,
	judgeAttributes,
	PacketError,
	type Remedy,
	readU16,
	readU32,
	remedyLevel,
	Safi,
	scanUpdate,
	UpdateSpans,
	updateError,
	validateNlri,
} from 'bgp-packet';
import type { Family } from '../../core/index.ts';
import type { SessionEnd, SessionReceiver } from '../model/negotiated.ts';
import { Flag } from '../table/attribute-summary.ts';
import { copyBytes } from '../table/copy-bytes.ts';
import type { PeerFamily, RibPeer } from '../table/peers.ts';
import { attributesMask, type RouteTable, staleBit } from '../table/route-table.ts';
import { Imported, type Importer } from './importer.ts';
import type { Limits } from './limits.ts';

/** The callbacks of a receiver to the RIB. */
export interface ReceiverDependencies {
	readonly importer: Importer;
	readonly tables: Readonly<Record<Family, RouteTable>>;
	/** Paths changed: schedule a selection. */
	readonly changed: (table: RouteTable) => void;
	readonly endOfRib: (peer: RibPeer, family: Family) => void;
	readonly refresh: (peer: RibPeer, family: Family, subtype: 'request' | 'begin' | 'end') => void;
	readonly drained: (peer: RibPeer) => void;
	readonly ended: (peer: RibPeer, end: SessionEnd) => void;
	readonly limits: Limits;
}

// Shared by all sessions: an UPDATE is processed completely before the next one.
const spans = new UpdateSpans();
const scan = new AttributeScan();
const scratch = new Uint8Array(0x1_0000 + 64);

/** Decodes the UPDATEs of one session in place, and stores their routes in the tables. */
export class Receiver implements SessionReceiver {
	readonly #peer: RibPeer;
	readonly #dependencies: ReceiverDependencies;
	readonly #addPath: Readonly<Record<Family, boolean>>;
	#ended = false;
	/**
	 * Of the last block: offsets of the values of MP_REACH_NLRI and MP_UNREACH_NLRI, 0 if absent.
	 */
	#reach = 0;
	#reachEnd = 0;
	#unreach = 0;
	#unreachEnd = 0;
	/** Number of further attributes. */
	#others = 0;
	/** The remedy, if the UPDATE is malformed. */
	#remedy: Remedy | undefined;

	constructor(peer: RibPeer, dependencies: ReceiverDependencies) {
		this.#peer = peer;
		this.#dependencies = dependencies;
		this.#addPath = {
			ipv4: peer.context.addPath(Afi.ipv4, Safi.unicast),
			ipv6: peer.context.addPath(Afi.ipv6, Safi.unicast),
		};
	}

	update(buffer: Uint8Array, start: number, end: number): void {
		if (this.#ended) return;
		this.#remedy = undefined;
		try {
			this.#take(buffer, start, end);
		} catch (error) {
			if (error instanceof PacketError) this.#remedy = 'session-reset';
			throw error;
		} finally {
			if (this.#remedy !== undefined) this.#dependencies.limits.malformed(this.#peer, this.#remedy, buffer, start, end);
		}
	}

	#take(buffer: Uint8Array, start: number, end: number): void {
		scanUpdate(buffer, start, end, spans);
		const { withdrawnStart, withdrawnEnd, attributesStart, attributesEnd, nlriStart, nlriEnd } = spans;
		const addPath = this.#addPath.ipv4;
		// RFC 7606 §5.3: treat-as-withdraw requires that all prefixes were parsed.
		if (withdrawnEnd > withdrawnStart && validateNlri(buffer, withdrawnStart, withdrawnEnd, 32, addPath) < 0)
			throw badNetworkField('Withdrawn Routes');
		if (nlriEnd > nlriStart && validateNlri(buffer, nlriStart, nlriEnd, 32, addPath) < 0) throw badNetworkField('NLRI');
		if (end === nlriStart && attributesEnd === attributesStart && withdrawnEnd === withdrawnStart) {
			if (this.#peer.families.ipv4.negotiated !== undefined) this.#dependencies.endOfRib(this.#peer, 'ipv4');
			return;
		}
		this.#withdraw('ipv4', buffer, withdrawnStart, withdrawnEnd);
		if (attributesEnd === attributesStart && nlriEnd === nlriStart) return;
		const unusual = !this.#walk(buffer, attributesStart, attributesEnd, nlriEnd > nlriStart);
		if (unusual && this.#withdrawnWhole(buffer, attributesStart, attributesEnd, nlriStart, nlriEnd)) return;
		const multiprotocol = this.#reach !== 0 || this.#unreach !== 0;
		if (nlriEnd > nlriStart) {
			if (!multiprotocol)
				this.#announce('ipv4', false, buffer, attributesStart, attributesEnd, buffer, nlriStart, nlriEnd);
			else {
				const length = this.#trimmed(buffer, attributesStart, attributesEnd, false);
				this.#announce('ipv4', false, scratch, 0, length, buffer, nlriStart, nlriEnd);
			}
		}
		if (this.#unreach !== 0)
			this.#takeUnreach(buffer, attributesStart, attributesEnd, end === nlriStart && withdrawnEnd === withdrawnStart);
		if (this.#reach !== 0) this.#takeReach(buffer, attributesStart, attributesEnd);
	}

	refresh(family: Family, subtype: 'request' | 'begin' | 'end'): void {
		if (!this.#ended) this.#dependencies.refresh(this.#peer, family, subtype);
	}

	drained(): void {
		if (!this.#ended) this.#dependencies.drained(this.#peer);
	}

	ended(end: SessionEnd): void {
		if (this.#ended) return;
		this.#ended = true;
		this.#dependencies.ended(this.#peer, end);
	}

	/**
	 * Finds the MP attributes of a block. `false`: the block is unusual (malformed, MP attributes
	 * with wrong flags, without routes, of other families or beside NLRI, or no announcement), and
	 * requires the complete validation.
	 */
	#walk(buffer: Uint8Array, start: number, end: number, hasNlri: boolean): boolean {
		this.#reach = 0;
		this.#unreach = 0;
		this.#others = 0;
		let usual = true;
		for (let at = start; at < end; ) {
			const flags = buffer[at] ?? 0;
			const extended = (flags & 0x10) !== 0;
			const code = buffer[at + 1] ?? 0;
			const value = at + (extended ? 4 : 3);
			if (value > end) return false;
			const next = value + (extended ? readU16(buffer, at + 2) : (buffer[at + 2] ?? 0));
			if (next > end) return false;
			if (code === AttributeCode.mpReach) {
				const routes = value + 5 + (buffer[value + 3] ?? 0);
				if (this.#reach !== 0 || next < value + 5 || routes > next) return false;
				this.#reach = value;
				this.#reachEnd = next;
				usual &&= (flags & 0xc0) === 0x80 && routes < next && !hasNlri && familyAt(buffer, value) !== undefined;
			} else if (code === AttributeCode.mpUnreach) {
				if (this.#unreach !== 0 || next < value + 3) return false;
				this.#unreach = value;
				this.#unreachEnd = next;
				usual &&= (flags & 0xc0) === 0x80 && familyAt(buffer, value) !== undefined;
			} else {
				this.#others++;
				// RFC 7606 §7.3: ignored without NLRI, but counted.
				if (code === AttributeCode.nextHop && (next - value !== 4 || (flags & 0xc0) !== 0x40)) usual = false;
			}
			at = next;
		}
		// Even without announcements, an error may require a reset (RFC 7606 §5.2).
		return usual && (hasNlri || this.#reach !== 0 || this.#others === 0);
	}

	/**
	 * Validates a block completely; `true`: it is malformed, and all its routes are withdrawn (RFC
	 * 7606 §2). @throws PacketError
	 */
	#withdrawnWhole(buffer: Uint8Array, start: number, end: number, nlriStart: number, nlriEnd: number): boolean {
		const hasNlri = nlriEnd > nlriStart;
		judgeAttributes(buffer, start, end, this.#peer.context, scan);
		const level = remedyLevel(scan.summary, hasNlri);
		if (level === 3) throw updateError(buffer, scan, hasNlri);
		if (level === 1 && !hasNlri) this.#remedy ??= 'attribute-discard';
		if (level < 2) return false;
		this.#remedy = 'treat-as-withdraw';
		this.#withdraw('ipv4', buffer, nlriStart, nlriEnd);
		for (const index of [scan.mpReach, scan.mpUnreach]) {
			if (index < 0) continue;
			const value = scan.valueStarts[index] ?? 0;
			const family = familyAt(buffer, value);
			const routes = value + (index === scan.mpReach ? 5 + (buffer[value + 3] ?? 0) : 3);
			if (family !== undefined) this.#withdraw(family, buffer, routes, scan.ends[index] ?? 0);
		}
		return true;
	}

	#takeUnreach(buffer: Uint8Array, start: number, end: number, alone: boolean): void {
		const family = familyAt(buffer, this.#unreach);
		if (family === undefined) return;
		const routes = this.#unreach + 3;
		if (validateNlri(buffer, routes, this.#unreachEnd, family === 'ipv4' ? 32 : 128, this.#addPath[family]) < 0) {
			judgeAttributes(buffer, start, end, this.#peer.context, scan);
			throw updateError(buffer, scan, false);
		}
		this.#withdraw(family, buffer, routes, this.#unreachEnd);
		// RFC 4724 §2.
		if (
			alone &&
			this.#others === 0 &&
			this.#reach === 0 &&
			routes === this.#unreachEnd &&
			this.#peer.families[family].negotiated !== undefined
		) {
			this.#dependencies.endOfRib(this.#peer, family);
		}
	}

	#takeReach(buffer: Uint8Array, start: number, end: number): void {
		const family = familyAt(buffer, this.#reach);
		const nextHopBytes = buffer[this.#reach + 3] ?? 0;
		const routes = this.#reach + 5 + nextHopBytes;
		if (family === undefined) return;
		if (
			nextHopBytes > 32 ||
			validateNlri(buffer, routes, this.#reachEnd, family === 'ipv4' ? 32 : 128, this.#addPath[family]) < 0
		) {
			judgeAttributes(buffer, start, end, this.#peer.context, scan);
			throw updateError(buffer, scan, false);
		}
		const length = this.#trimmed(buffer, start, end, true);
		try {
			this.#announce(family, true, scratch, 0, length, buffer, routes, this.#reachEnd);
		} catch (error) {
			throw error instanceof PacketError ? this.#asReceived(error, buffer, start, end) : error;
		}
	}

	/** An error in the trimmed block, with the attribute as received (RFC 4271 §6.3). */
	#asReceived(error: PacketError, buffer: Uint8Array, start: number, end: number): PacketError {
		judgeAttributes(buffer, start, end, this.#peer.context, scan);
		return remedyLevel(scan.summary, false) === 3 ? updateError(buffer, scan, false) : error;
	}

	/**
	 * Copies a block to `scratch`: first MP_REACH_NLRI without routes if required, then without
	 * NEXT_HOP; never MP_UNREACH_NLRI. Returns its length.
	 */
	#trimmed(buffer: Uint8Array, start: number, end: number, wantsReach: boolean): number {
		let length = 0;
		if (wantsReach) {
			const value = 5 + (buffer[this.#reach + 3] ?? 0);
			scratch[0] = 0x80;
			scratch[1] = AttributeCode.mpReach;
			scratch[2] = value;
			copyBytes(buffer, this.#reach, scratch, 3, value);
			// RFC 4760 §3: the reserved octet is ignored.
			scratch[2 + value] = 0;
			length = 3 + value;
		}
		for (let at = start; at < end; ) {
			const extended = ((buffer[at] ?? 0) & 0x10) !== 0;
			const code = buffer[at + 1] ?? 0;
			const next = at + (extended ? 4 + readU16(buffer, at + 2) : 3 + (buffer[at + 2] ?? 0));
			// RFC 4760 §3: NEXT_HOP does not apply to these routes.
			if (
				code !== AttributeCode.mpReach &&
				code !== AttributeCode.mpUnreach &&
				!(wantsReach && code === AttributeCode.nextHop)
			) {
				copyBytes(buffer, at, scratch, length, next - at);
				length += next - at;
			}
			at = next;
		}
		return length;
	}

	/**
	 * Adds routes with one attribute block to a table; withdraws them if the block is malformed.
	 */
	#announce(
		family: Family,
		multiprotocol: boolean,
		block: Uint8Array,
		blockStart: number,
		blockEnd: number,
		buffer: Uint8Array,
		start: number,
		end: number,
	): void {
		const peer = this.#peer;
		const state = peer.families[family];
		if (state.negotiated === undefined) return;
		const { importer, tables } = this.#dependencies;
		const table = tables[family];
		const { pool } = table;
		const received = importer.receive(peer, family, multiprotocol, block, blockStart, blockEnd);
		const imported = pool.imported[received] ?? 0;
		if (((pool.flags[received] ?? 0) & Flag.discarded) !== 0) this.#remedy ??= 'attribute-discard';
		if (imported === Imported.withdraw) {
			this.#remedy = 'treat-as-withdraw';
			this.#withdraw(family, buffer, start, end);
		} else {
			if (imported > 0) pool.retain(imported);
			this.#store(table, family, state, received, imported, buffer, start, end);
			if (imported > 0) pool.release(imported);
		}
		pool.release(received);
		this.#dependencies.changed(table);
	}

	#store(
		table: RouteTable,
		family: Family,
		state: PeerFamily,
		received: number,
		imported: number,
		buffer: Uint8Array,
		start: number,
		end: number,
	): void {
		const peer = this.#peer;
		const { prefixes, pool } = table;
		const addPath = this.#addPath[family];
		const limit = peer.options.maxPrefix?.limit ?? Number.POSITIVE_INFINITY;
		for (let at = start; at < end; ) {
			const pathId = addPath ? readU32(buffer, at) : 0;
			if (addPath) at += 4;
			const bits = buffer[at++] ?? 0;
			const octets = at;
			at += (bits + 7) >>> 3;
			// RFC 4271 §6.3: a prefix that is no unicast route is ignored. Other martians are left
			// to policy.
			if (prefixes.isMulticast(buffer, octets, bits) || (peer.external && prefixes.isMartian(buffer, octets, bits))) {
				this.#dependencies.limits.martian(peer);
				continue;
			}
			const prefix = prefixes.intern(buffer, octets, bits);
			if (
				state.received >= limit &&
				table.path(prefix, peer.id, pathId) === 0 &&
				!this.#dependencies.limits.over(peer, family)
			) {
				table.discardIfEmpty(prefix);
				if (this.#ended) return;
				continue;
			}
			const set = imported > 0 ? imported : this.#dependencies.importer.forPrefix(received, prefixes, prefix);
			const old = table.announce(prefix, peer.id, pathId, set);
			if (old === 0) state.received++;
			else {
				if (pool.reason[old & attributesMask] === 0) state.accepted--;
				if ((old & staleBit) !== 0) state.stale--;
			}
			if (pool.reason[set] === 0) state.accepted++;
		}
		if (state.received > limit * ((peer.options.maxPrefix?.warnPercent ?? 100) / 100) && !state.warned)
			this.#dependencies.limits.near(peer, family);
	}

	#withdraw(family: Family, buffer: Uint8Array, start: number, end: number): void {
		const peer = this.#peer;
		const state = peer.families[family];
		if (start === end || state.negotiated === undefined) return;
		const table = this.#dependencies.tables[family];
		const { prefixes, pool } = table;
		const addPath = this.#addPath[family];
		for (let at = start; at < end; ) {
			const pathId = addPath ? readU32(buffer, at) : 0;
			if (addPath) at += 4;
			const bits = buffer[at++] ?? 0;
			const prefix = prefixes.find(buffer, at, bits);
			at += (bits + 7) >>> 3;
			if (prefix === 0) continue;
			const old = table.withdraw(prefix, peer.id, pathId);
			if (old === 0) continue;
			state.received--;
			// If that was the last reference, the columns of the set are still valid.
			if (pool.reason[old & attributesMask] === 0) state.accepted--;
			if ((old & staleBit) !== 0) state.stale--;
		}
		this.#dependencies.changed(table);
	}
}

/** The unicast family of an MP attribute, `undefined` for any other. */
function familyAt(buffer: Uint8Array, at: number): Family | undefined {
	if (buffer[at + 2] !== Safi.unicast) return undefined;
	const afi = readU16(buffer, at);
	return afi === Afi.ipv4 ? 'ipv4' : afi === Afi.ipv6 ? 'ipv6' : undefined;
}
