import {
	AttributeCode,
	AttributeFlag,
	AttributeScan,
	attributesOf,
	encodeAttributes,
	judgeAttributes,
	packetContext,
} from 'bgp-packet';
import { Kind } from '../table/attribute-pool.ts';
import { defaultLocalPref, Flag } from '../table/attribute-summary.ts';
import { copyBytes } from '../table/copy-bytes.ts';
import { storedContext } from '../table/stored-context.ts';
import { writeAsPath, writeU32 } from './as-path.ts';
import type { ExportTerms } from './export-terms.ts';
import { type ExportDependencies, setsSelf } from './exporter.ts';

const { optional, transitive, extendedLength } = AttributeFlag;
/** An external route that is about to be withdrawn. */
const lastResort = Flag.external | Flag.gracefulShutdown;
const twoOctetContext = packetContext({ fourOctetAs: false });

/**
 * Writes the attributes of one set for the peers of a group: one pass over the stored block that
 * copies, drops, rewrites, and inserts missing attributes, once per set and batch. The result
 * excludes MP_REACH_NLRI: its next hop is separate, because routes follow it.
 */
export class BlockWriter {
	/** Attributes without MP_REACH_NLRI. */
	bytes: Uint8Array = new Uint8Array(0x1_0000 + 4096);
	length = 0;
	/** For MP_REACH_NLRI: 4, 16 or 32 bytes; `undefined`: NEXT_HOP is among the attributes. */
	nextHop: Uint8Array | undefined = undefined;
	readonly #terms: ExportTerms;
	readonly #dependencies: ExportDependencies;
	readonly #self: Uint8Array;
	readonly #external: boolean;
	/** A route server does not add itself to the path. RFC 7947 §2.2. */
	readonly #transparent: boolean;
	/** The clusters that a reflected route passes here, 0 for no second one. */
	#cluster = 0;
	#otherCluster = 0;

	constructor(terms: ExportTerms, dependencies: ExportDependencies) {
		this.#terms = terms;
		this.#dependencies = dependencies;
		this.#self = Uint8Array.from(terms.nextHopSelf);
		this.#external = terms.kind === 'external';
		this.#transparent = terms.client === 'route-server';
	}

	/** Writes the attributes of the set `id` for the group. */
	write(id: number): void {
		const { pool } = this.#dependencies;
		const flags = pool.flags[id] ?? 0;
		const kind = pool.kind[id] ?? 0;
		const inside = flags & (Flag.external | Flag.local) ? 0 : 1;
		const reflects = !this.#external && inside === 1;
		if (reflects) this.#chooseClusters(kind, pool.peer[id] ?? 0);
		const nextHop = this.#chooseNextHop(id, flags, kind);
		this.nextHop = nextHop.length === 4 && this.#terms.family === 'ipv4' ? undefined : nextHop;

		// Inserts missing attributes. The result is in ascending order if the stored block is.
		let wantsNextHop = this.nextHop === undefined;
		let wantsLocalPref = !this.#external && (flags & Flag.hasLocalPref) === 0;
		let wantsOriginator = reflects && (flags & Flag.hasOriginator) === 0;
		let wantsCluster = reflects && (flags & Flag.hasClusterList) === 0;
		const wantsMark = (flags & Flag.onlyToCustomer) === 0 && this.#marks();

		const slab = pool.slab(id);
		const start = pool.start(id);
		const end = start + (pool.length[id] ?? 0);
		this.length = 0;
		for (let at = start; at < end; ) {
			const code = slab[at + 1] ?? 0;
			const extended = ((slab[at] ?? 0) & extendedLength) !== 0;
			const value = at + (extended ? 4 : 3);
			const next = value + (extended ? ((slab[at + 2] ?? 0) << 8) | (slab[at + 3] ?? 0) : (slab[at + 2] ?? 0));
			if (wantsNextHop && code >= AttributeCode.nextHop && code !== AttributeCode.mpReach) {
				this.#writeNextHop(nextHop);
				wantsNextHop = false;
			}
			if (wantsLocalPref && code > AttributeCode.localPref && code !== AttributeCode.mpReach) {
				this.#writeNumber(transitive, AttributeCode.localPref, this.#localPref(id, flags));
				wantsLocalPref = false;
			}
			if (wantsOriginator && code > AttributeCode.originatorId && code !== AttributeCode.mpReach) {
				this.#writeNumber(optional, AttributeCode.originatorId, pool.routerId[id] ?? 0);
				wantsOriginator = false;
			}
			if (wantsCluster && code > AttributeCode.clusterList && code !== AttributeCode.mpReach) {
				this.#writeClusterList(slab, 0, 0);
				wantsCluster = false;
			}
			this.#attribute(id, code, slab, at, value, next, flags, kind, reflects);
			at = next;
		}
		if (wantsNextHop) this.#writeNextHop(nextHop);
		if (wantsLocalPref) this.#writeNumber(transitive, AttributeCode.localPref, this.#localPref(id, flags));
		if (wantsOriginator) this.#writeNumber(optional, AttributeCode.originatorId, pool.routerId[id] ?? 0);
		if (wantsCluster) this.#writeClusterList(slab, 0, 0);
		if (wantsMark) this.#writeNumber(optional | transitive, AttributeCode.onlyToCustomer, this.#terms.prepend[0] ?? 0);
		if (!this.#terms.fourOctetAs) this.#narrow();
	}

	/** One attribute of the stored block: copied, dropped, or rewritten. */
	#attribute(
		id: number,
		code: number,
		slab: Uint8Array,
		at: number,
		value: number,
		next: number,
		flags: number,
		kind: number,
		reflects: boolean,
	): void {
		switch (code) {
			case AttributeCode.asPath:
				if (this.#external) {
					this.#writeAsPath(slab, value, next);
					return;
				}
				break;
			case AttributeCode.nextHop:
			case AttributeCode.mpReach:
				return;
			case AttributeCode.med:
				// RFC 4271 §5.1.4: a MED received from one AS is not sent to another.
				if (this.#external && !this.#transparent && (flags & Flag.local) === 0 && (kind & Kind.medSet) === 0) return;
				break;
			case AttributeCode.localPref:
				if (this.#external) return;
				// RFC 8326 §4.1: overrides a value set by policy.
				if ((flags & lastResort) === lastResort) {
					this.#writeNumber(transitive, AttributeCode.localPref, this.#localPref(id, flags));
					return;
				}
				break;
			case AttributeCode.originatorId:
				if (this.#external) return;
				break;
			case AttributeCode.clusterList:
				if (this.#external) return;
				if (reflects) {
					this.#writeClusterList(slab, value, next);
					return;
				}
				break;
			case AttributeCode.extendedCommunities:
			case AttributeCode.ipv6ExtendedCommunities:
				if (this.#external && (flags & Flag.nonTransitive) !== 0) {
					this.#writeTransitive(code, code === AttributeCode.extendedCommunities ? 8 : 20, slab, value, next);
					return;
				}
				break;
		}
		copyBytes(slab, at, this.bytes, this.length, next - at);
		this.length += next - at;
	}

	/**
	 * RFC 4456 §7, §8: the cluster of the client it is sent to, before that of its source client.
	 * Between a client and another peer there is one cluster.
	 */
	#chooseClusters(kind: number, source: number): void {
		const { client, clusterId } = this.#terms;
		const from = (kind & Kind.fromClient) !== 0 ? this.#dependencies.clusterOf(source) : 0;
		this.#cluster = client === 'none' && from !== 0 ? from : clusterId;
		this.#otherCluster = from === this.#cluster ? 0 : from;
	}

	/** 4, 16 or 32 bytes. */
	#chooseNextHop(id: number, flags: number, kind: number): Uint8Array {
		const { pool, nextHops } = this.#dependencies;
		const stored = pool.nextHop[id] ?? 0;
		if (setsSelf(this.#terms, kind, flags, stored, nextHops.isLinkLocal(stored))) return this.#self;
		const bytes = nextHops.bytes(stored);
		// RFC 2545 §3: the link-local address is valid only on its link.
		return bytes.length === 32 ? bytes.subarray(0, 16) : bytes;
	}

	/** RFC 4271 §5.1.5: every route inside the AS has LOCAL_PREF. */
	#localPref(id: number, flags: number): number {
		return (flags & Flag.local) !== 0 ? defaultLocalPref : (this.#dependencies.pool.localPref[id] ?? 0);
	}

	/** RFC 9234 §5, egress. */
	#marks(): boolean {
		const { role } = this.#terms;
		return this.#external && (role === 'provider' || role === 'peer' || role === 'route-server');
	}

	#writeNextHop(nextHop: Uint8Array): void {
		this.#head(transitive, AttributeCode.nextHop, 4);
		copyBytes(nextHop, 0, this.bytes, this.length, 4);
		this.length += 4;
	}

	#writeNumber(flags: number, code: number, value: number): void {
		this.#head(flags, code, 4);
		this.length = writeU32(this.bytes, this.length, value);
	}

	#writeClusterList(slab: Uint8Array, start: number, end: number): void {
		this.#head(optional, AttributeCode.clusterList, end - start + (this.#otherCluster === 0 ? 4 : 8));
		this.length = writeU32(this.bytes, this.length, this.#cluster);
		if (this.#otherCluster !== 0) this.length = writeU32(this.bytes, this.length, this.#otherCluster);
		copyBytes(slab, start, this.bytes, this.length, end - start);
		this.length += end - start;
	}

	#writeAsPath(slab: Uint8Array, start: number, end: number): void {
		const prepend = this.#transparent ? [] : this.#terms.prepend;
		const removePrivateAs = this.#terms.removePrivateAs && !this.#transparent;
		const head = this.length;
		// Room for the longer kind of header; the path is moved if the shorter one is sufficient.
		const pathEnd = writeAsPath(slab, start, end, prepend, removePrivateAs, this.bytes, head + 4);
		const length = pathEnd - head - 4;
		this.#head(transitive, AttributeCode.asPath, length);
		if (this.length !== head + 4) this.bytes.copyWithin(this.length, head + 4, pathEnd);
		this.length += length;
	}

	/**
	 * RFC 4360 §6, RFC 5701 §2: non-transitive communities, of `size` octets each, stay inside the
	 * AS.
	 */
	#writeTransitive(code: number, size: number, slab: Uint8Array, start: number, end: number): void {
		const kept: number[] = [];
		for (let at = start; at < end; at += size) if (((slab[at] ?? 0) & 0x40) === 0) kept.push(at);
		if (kept.length === 0) return;
		this.#head(optional | transitive, code, kept.length * size);
		for (const at of kept) {
			copyBytes(slab, at, this.bytes, this.length, size);
			this.length += size;
		}
	}

	#head(flags: number, code: number, length: number): void {
		const { bytes } = this;
		const extended = length > 255;
		bytes[this.length++] = extended ? flags | extendedLength : flags;
		bytes[this.length++] = code;
		if (extended) bytes[this.length++] = length >> 8;
		bytes[this.length++] = length;
	}

	/**
	 * RFC 6793 §4.2.2: for a speaker of 2-octet AS numbers, with AS4_PATH and AS4_AGGREGATOR if
	 * needed.
	 */
	#narrow(): void {
		const scan = new AttributeScan();
		const wide = this.bytes.slice(0, this.length);
		judgeAttributes(wide, 0, wide.length, storedContext, scan);
		const narrow = encodeAttributes(attributesOf(wide, scan, storedContext), twoOctetContext);
		// AS_TRANS beside every real number: one and a half times the received length.
		if (narrow.length > this.bytes.length) this.bytes = new Uint8Array(narrow.length);
		this.bytes.set(narrow);
		this.length = narrow.length;
	}
}
