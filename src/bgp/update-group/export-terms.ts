import { type Family, familyOf, parseAddress } from '../../core/index.ts';
import type { Negotiated, NegotiatedFamily, Role } from '../negotiated.ts';
import { lastResort } from '../policy/last-resort.ts';
import type { Policy } from '../policy/types.ts';
import type { RibOptions, RibPeerOptions } from '../rib/types.ts';

/**
 * Everything that decides what a peer is sent of one family, source aside: peers with equal terms share one encoded stream.
 * Plain JSON, so that its text is the group's key.
 */
export interface ExportTerms {
	readonly family: Family;
	readonly kind: 'internal' | 'external';
	/** A reflector's client, a route server's client, or neither. */
	readonly client: 'reflector' | 'route-server' | 'none';
	/** AS numbers that are prepended towards an external peer, first one first. */
	readonly prepend: readonly number[];
	/** The cluster of a client, ours for any other internal peer (RFC 4456 §7); 0 towards an external one. */
	readonly clusterId: number;
	readonly peerAsNumber: number | undefined;
	readonly fourOctetAs: boolean;
	readonly extendedMessage: boolean;
	readonly extendedNextHop: boolean;
	readonly addPath: boolean;
	readonly addPathLimit: number;
	readonly longLived: boolean;
	readonly nextHopMode: 'self' | 'keep' | 'auto';
	/** 4, 16 or no bytes: what `self` means. */
	readonly nextHopSelf: readonly number[];
	readonly removePrivateAs: boolean;
	/** RFC 8212: `undefined` for an external peer without policy, which is sent nothing; empty: everything. */
	readonly policies: readonly Policy[] | undefined;
	readonly role: Role | undefined;
	/** Present where policies ask for interfaces: counts how often those of next hops have changed, so that after each change it is another group. */
	readonly interfaceVersion?: number;
	/** Counts how often the cluster of a client has changed: what is reflected of it is another list then. */
	readonly clusterVersion?: number;
}

/** What `self` means as a next hop: the address that was asked for, or the session's own; empty where it does not serve the family. */
export function ownNextHop(negotiated: Negotiated, { family, extendedNextHop }: NegotiatedFamily, { nextHopSelf }: RibPeerOptions): Uint8Array {
	const given = nextHopSelf[family];
	const own = given === undefined ? negotiated.localAddress : parseAddress(given).bytes;
	// An IPv6 address serves IPv4 routes where RFC 8950 was negotiated; an IPv4 address never serves IPv6 ones.
	return familyOf(own) === family || (family === 'ipv4' && extendedNextHop) ? own : new Uint8Array(0);
}

/** The terms of a session for one of its families. `selfAddress` is the session's own for the family, none: empty. */
export function exportTerms(negotiated: Negotiated, family: NegotiatedFamily, options: RibPeerOptions, own: RibOptions, selfAddress: Uint8Array): ExportTerms {
	const external = negotiated.kind === 'external';
	const { localAsNumber } = negotiated;
	const denied = external && options.exportPolicies === undefined && options.ebgpRequiresPolicy;
	return {
		family: family.family,
		kind: negotiated.kind,
		client: options.routeServerClient ? 'route-server' : options.reflectorClient ? 'reflector' : 'none',
		// RFC 7705 §3: the AS that the peer knows stands before the one that we are.
		prepend: !external ? [] : localAsNumber === own.localAsNumber || options.replaceOwnAs ? [localAsNumber] : [localAsNumber, own.localAsNumber],
		clusterId: external ? 0 : ((options.reflectorClient ? options.clusterId : undefined) ?? own.clusterId ?? own.routerId),
		// Of use only where the peer's own number matters.
		peerAsNumber: external && (options.removePrivateAs || negotiated.localRole !== undefined) ? negotiated.peerAsNumber : undefined,
		fourOctetAs: negotiated.fourOctetAs,
		extendedMessage: negotiated.extendedMessageSend,
		extendedNextHop: family.extendedNextHop,
		addPath: family.addPathSend,
		addPathLimit: family.addPathSend ? options.addPathLimit : 0,
		longLived: family.longLivedStaleSeconds > 0,
		nextHopMode: options.nextHopMode,
		nextHopSelf: Array.from(selfAddress),
		removePrivateAs: external && options.removePrivateAs,
		policies: denied ? undefined : options.gracefulShutdown ? lastResort(options.exportPolicies ?? []) : (options.exportPolicies ?? []),
		role: negotiated.localRole,
	};
}
