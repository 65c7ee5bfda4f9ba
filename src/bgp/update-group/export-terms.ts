import { type Family, familyOf, parseAddress } from '../../core/index.ts';
import type { Negotiated, NegotiatedFamily, Role } from '../model/negotiated.ts';
import type { RibPeerOptions } from '../model/peer-options.ts';
import type { Policy } from '../model/policy.ts';
import type { RibOptions } from '../model/rib.ts';
import { lastResort } from '../policy/last-resort.ts';

/**
 * All inputs of a peer's announcements for one family, except the sources: peers with equal terms
 * share one encoded stream. Plain JSON: its text is the group's key.
 */
export interface ExportTerms {
	readonly family: Family;
	readonly kind: 'internal' | 'external';
	/** Client of a reflector, client of a route server, or neither. */
	readonly client: 'reflector' | 'route-server' | 'none';
	/** AS numbers that are prepended towards an external peer, in order. */
	readonly prepend: readonly number[];
	/**
	 * The cluster of a client, our own for any other internal peer (RFC 4456 §7); 0 towards an
	 * external one.
	 */
	readonly clusterId: number;
	readonly peerAsNumber: number | undefined;
	readonly fourOctetAs: boolean;
	readonly extendedMessage: boolean;
	readonly extendedNextHop: boolean;
	readonly addPath: boolean;
	readonly addPathLimit: number;
	/** Sends the best path that the peer may receive instead of the best path (RFC 7947 §2.3). */
	readonly bestForPeer: boolean;
	/**
	 * The only member, present if paths are counted or selected for it: its own paths do not count.
	 */
	readonly member?: number;
	readonly longLived: boolean;
	readonly nextHopMode: 'self' | 'keep' | 'auto';
	/** The address for `self`: 4, 16 or no bytes. */
	readonly nextHopSelf: readonly number[];
	readonly removePrivateAs: boolean;
	/**
	 * RFC 8212: `undefined` for an external peer without policy, which gets no routes; empty: all
	 * routes.
	 */
	readonly policies: readonly Policy[] | undefined;
	readonly role: Role | undefined;
	/**
	 * Present if policies match on interfaces: the version of the interfaces, so that a change
	 * leads to another group.
	 */
	readonly interfaceVersion?: number;
	/**
	 * Version of the clusters of clients: a change alters the cluster lists of reflected routes.
	 */
	readonly clusterVersion?: number;
}

/**
 * The next hop for `self`: the configured address, the session's own, or one of its interface;
 * empty if none is usable for the family.
 */
export function ownNextHop(
	negotiated: Negotiated,
	{ family, extendedNextHop }: NegotiatedFamily,
	{ nextHopSelf }: RibPeerOptions,
): Uint8Array {
	const given = nextHopSelf[family];
	const own = given === undefined ? negotiated.localAddress : parseAddress(given).bytes;
	// An IPv6 address is usable for IPv4 routes if RFC 8950 was negotiated; an IPv4 address is
	// never usable for IPv6.
	if (familyOf(own) === family || (family === 'ipv4' && extendedNextHop)) return own;
	// An address of the family on the session's interface leads to this node as well (RFC 4760 §3).
	return negotiated.interfaceAddresses[family] ?? new Uint8Array(0);
}

/** True if paths besides the best one are considered. */
export const ranksPaths = ({ addPath, bestForPeer }: ExportTerms): boolean => addPath || bestForPeer;

/**
 * The terms of a session for one of its families. `selfAddress`: the session's own address for the
 * family; empty if none.
 */
export function exportTerms(
	negotiated: Negotiated,
	family: NegotiatedFamily,
	options: RibPeerOptions,
	own: RibOptions,
	selfAddress: Uint8Array,
): ExportTerms {
	const external = negotiated.kind === 'external';
	const { localAsNumber } = negotiated;
	const denied = external && options.exportPolicies === undefined && options.ebgpRequiresPolicy;
	return {
		family: family.family,
		kind: negotiated.kind,
		client: options.routeServerClient ? 'route-server' : options.reflectorClient ? 'reflector' : 'none',
		// RFC 7705 §3: the AS of our OPEN to the peer is before the speaker's own.
		prepend: !external
			? []
			: localAsNumber === own.localAsNumber || options.replaceOwnAs
				? [localAsNumber]
				: [localAsNumber, own.localAsNumber],
		clusterId: external
			? 0
			: ((options.reflectorClient ? options.clusterId : undefined) ?? own.clusterId ?? own.routerId),
		// Used only if the peer's own AS number matters.
		peerAsNumber:
			external && (options.removePrivateAs || negotiated.localRole !== undefined) ? negotiated.peerAsNumber : undefined,
		fourOctetAs: negotiated.fourOctetAs,
		extendedMessage: negotiated.extendedMessageSend,
		extendedNextHop: family.extendedNextHop,
		addPath: family.addPathSend,
		addPathLimit: family.addPathSend ? options.addPathLimit : 0,
		bestForPeer: options.secondBestPath && !family.addPathSend,
		longLived: family.longLivedStaleSeconds > 0,
		nextHopMode: options.nextHopMode,
		nextHopSelf: Array.from(selfAddress),
		removePrivateAs: external && options.removePrivateAs,
		policies: denied
			? undefined
			: options.gracefulShutdown
				? lastResort(options.exportPolicies ?? [])
				: (options.exportPolicies ?? []),
		role: negotiated.localRole,
	};
}
