import { AttributeCode, type AttributeScan, WellKnownCommunity } from 'bgp-packet';
import type { RibOptions } from '../model/rib.ts';
import { type AttributePool, Kind } from './attribute-pool.ts';
import type { NextHops } from './next-hops.ts';
import type { RibPeer } from './peers.ts';

/** Boolean properties of an attribute set. */
export const Flag = {
	/** Learned from an external peer; originated here; neither: from an internal peer. */
	external: 1,
	local: 2,
	hasLocalPref: 1 << 2,
	hasMed: 1 << 3,
	hasOriginator: 1 << 4,
	hasClusterList: 1 << 5,
	/** The next hop is in MP_REACH_NLRI. */
	multiprotocol: 1 << 6,
	noExport: 1 << 7,
	noAdvertise: 1 << 8,
	noExportSubconfed: 1 << 9,
	gracefulShutdown: 1 << 10,
	llgrStale: 1 << 11,
	noLlgr: 1 << 12,
	onlyToCustomer: 1 << 13,
	/** Has a non-transitive extended community (RFC 4360 §6, RFC 5701 §2). */
	nonTransitive: 1 << 14,
	/** A received attribute was discarded (RFC 7606 §2). */
	discarded: 1 << 15,
} as const;

/** The reason why an attribute set is not eligible. The texts are for output. */
export const Reason = {
	none: 0,
	ownAs: 1,
	ownOriginator: 2,
	ownCluster: 3,
	policy: 4,
	noPolicy: 5,
	ownNextHop: 6,
	leak: 7,
	firstAs: 8,
	tooLong: 9,
} as const;

/** By `Reason`. */
export const reasonTexts = [
	'',
	'own AS number in AS_PATH',
	'own identifier in ORIGINATOR_ID',
	'own cluster in CLUSTER_LIST',
	'rejected by import policy',
	'no import policy for an external peer (RFC 8212)',
	'NEXT_HOP is an address of this node',
	'route leak (RFC 9234)',
	"first AS number is not the peer's",
	'attributes longer than any message',
] as const;

/** Default LOCAL_PREF. RFC 4271 §5.1.5 leaves it to the implementation; 100 is usual. */
export const defaultLocalPref = 100;

/** Computes the columns of a new attribute set from its bytes, which `scan` has validated. */
export function summarize(
	pool: AttributePool,
	id: number,
	scan: AttributeScan,
	peer: RibPeer,
	options: RibOptions,
	nextHops: NextHops,
): void {
	const bytes = pool.slab(id);
	let flags = peer.id === 0 ? Flag.local : peer.external ? Flag.external : 0;
	let reason: number = Reason.none;
	pool.localPref[id] = defaultLocalPref;
	pool.med[id] = 0;
	pool.neighborAs[id] = 0;
	pool.routerId[id] = peer.routerId;
	pool.asPathLength[id] = 0;
	pool.clusterListLength[id] = 0;
	const nextHopBefore = pool.nextHop[id] ?? 0;
	pool.nextHop[id] = 0;
	for (let index = 0; index < scan.count; index++) {
		const start = scan.valueStarts[index] ?? 0;
		const end = scan.ends[index] ?? 0;
		switch (scan.codes[index]) {
			case AttributeCode.origin:
				pool.origin[id] = bytes[start] ?? 0;
				break;
			case AttributeCode.asPath:
				reason ||= summarizeAsPath(pool, id, bytes, start, end, peer, options);
				break;
			case AttributeCode.nextHop:
				pool.nextHop[id] = nextHops.intern(bytes, start, end, peer.interfaceName);
				break;
			case AttributeCode.mpReach:
				flags |= Flag.multiprotocol;
				pool.nextHop[id] = nextHops.intern(bytes, start + 4, start + 4 + (bytes[start + 3] ?? 0), peer.interfaceName);
				break;
			case AttributeCode.med:
				flags |= Flag.hasMed;
				pool.med[id] = u32(bytes, start);
				break;
			case AttributeCode.localPref:
				flags |= Flag.hasLocalPref;
				pool.localPref[id] = u32(bytes, start);
				break;
			case AttributeCode.communities:
				flags |= communityFlags(bytes, start, end);
				break;
			case AttributeCode.originatorId: {
				flags |= Flag.hasOriginator;
				const originator = u32(bytes, start);
				pool.routerId[id] = originator;
				// RFC 4456 §8.
				if (originator === options.routerId) reason ||= Reason.ownOriginator;
				break;
			}
			case AttributeCode.clusterList:
				flags |= Flag.hasClusterList;
				pool.clusterListLength[id] = Math.min(255, (end - start) / 4);
				for (let at = start; at < end; at += 4) if (isOwnCluster(u32(bytes, at), options)) reason ||= Reason.ownCluster;
				break;
			case AttributeCode.extendedCommunities:
			case AttributeCode.ipv6ExtendedCommunities: {
				const size = scan.codes[index] === AttributeCode.extendedCommunities ? 8 : 20;
				for (let at = start; at < end; at += size) if (((bytes[at] ?? 0) & 0x40) !== 0) flags |= Flag.nonTransitive;
				break;
			}
			case AttributeCode.onlyToCustomer:
				flags |= Flag.onlyToCustomer;
				reason ||= leaks(peer, u32(bytes, start)) ? Reason.leak : Reason.none;
				break;
		}
	}
	nextHops.retain(pool.nextHop[id] ?? 0);
	nextHops.release(nextHopBefore);
	// RFC 8326 §4.1: a route that is about to be withdrawn is the last resort in the whole AS.
	if ((flags & Flag.external) !== 0 && (flags & Flag.gracefulShutdown) !== 0) pool.localPref[id] = 0;
	if (peer.id !== 0 && peer.isOwnAddress(nextHops.text(pool.nextHop[id] ?? 0))) reason ||= Reason.ownNextHop;
	if (((pool.kind[id] ?? 0) & Kind.rejected) !== 0) reason = peer.deniesImport ? Reason.noPolicy : Reason.policy;
	if (((pool.kind[id] ?? 0) & Kind.tooLong) !== 0) reason = Reason.tooLong;
	pool.flags[id] = flags;
	pool.reason[id] = reason;
}

/** RFC 4456 §8: our cluster ID, or that of some of our clients. */
function isOwnCluster(cluster: number, { clusterId, clientClusters }: RibOptions): boolean {
	return cluster === clusterId || clientClusters?.has(cluster) === true;
}

/** Computes length, neighbouring AS and loops of an AS_PATH of 4-octet numbers. */
function summarizeAsPath(
	pool: AttributePool,
	id: number,
	bytes: Uint8Array,
	start: number,
	end: number,
	peer: RibPeer,
	options: RibOptions,
): number {
	let length = 0;
	let own = 0;
	let ours = pool.added[id] ?? 0;
	/** Of the received path; 0 for a set. */
	let first: number | undefined;
	/** The first segment outside a confederation. */
	let outer: number | undefined;
	for (let at = start; at < end; ) {
		const type = bytes[at] ?? 0;
		const count = bytes[at + 1] ?? 0;
		// RFC 4271 §9.1.2.2 (a), RFC 5065 §5.3.
		length += type === 2 ? count : type === 1 ? 1 : 0;
		if (type <= 2) outer ??= at;
		at += 2;
		for (const segmentEnd = at + count * 4; at < segmentEnd; at += 4) {
			// AS numbers added by import are no loop.
			if (ours-- > 0) continue;
			const asNumber = u32(bytes, at);
			first ??= type === 2 ? asNumber : 0;
			if (asNumber === options.localAsNumber || asNumber === peer.localAsNumber) own++;
		}
	}
	pool.asPathLength[id] = Math.min(length, 0xffff);
	// RFC 4271 §9.1.2.2 (c): as seen by the other routers of the AS.
	pool.neighborAs[id] = outer !== undefined && bytes[outer] === 2 ? u32(bytes, outer + 2) : 0;
	if (peer.id === 0) return Reason.none;
	if (own > peer.options.allowOwnAs) return Reason.ownAs;
	return peer.external && peer.options.enforceFirstAs && (first ?? 0) !== peer.asNumber ? Reason.firstAs : Reason.none;
}

function communityFlags(bytes: Uint8Array, start: number, end: number): number {
	let flags = 0;
	for (let at = start; at < end; at += 4) {
		if (bytes[at] !== 0xff || bytes[at + 1] !== 0xff) continue;
		switch (u32(bytes, at)) {
			case WellKnownCommunity.noExport:
				flags |= Flag.noExport;
				break;
			case WellKnownCommunity.noAdvertise:
				flags |= Flag.noAdvertise;
				break;
			case WellKnownCommunity.noExportSubconfed:
				flags |= Flag.noExportSubconfed;
				break;
			case WellKnownCommunity.gracefulShutdown:
				flags |= Flag.gracefulShutdown;
				break;
			case WellKnownCommunity.llgrStale:
				flags |= Flag.llgrStale;
				break;
			case WellKnownCommunity.noLlgr:
				flags |= Flag.noLlgr;
				break;
		}
	}
	return flags;
}

/**
 * RFC 9234 §5, ingress: true if a route with this ONLY_TO_CUSTOMER is a leak. Our role implies the
 * peer's.
 */
function leaks(peer: RibPeer, onlyToCustomer: number): boolean {
	switch (peer.role) {
		case 'provider':
		case 'route-server':
			return true;
		case 'peer':
			return onlyToCustomer !== peer.asNumber;
		default:
			return false;
	}
}

/** Unsigned, in network order. */
export function u32(bytes: Uint8Array, at: number): number {
	return (
		(((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)) >>> 0
	);
}
