import type { Family } from '../../core/index.ts';

/**
 * The result of both OPENs for one address family. Only families in both OPENs are present (RFC
 * 4760 §8).
 */
export interface NegotiatedFamily {
	readonly family: Family;
	/** We may receive path identifiers; the peer may receive them (RFC 7911 §4). */
	readonly addPathReceive: boolean;
	readonly addPathSend: boolean;
	/** IPv4 routes may carry IPv6 next hops (RFC 8950). */
	readonly extendedNextHop: boolean;
	/**
	 * The family is in the peer's graceful-restart capability; `forwarding` is its F bit (RFC 4724
	 * §3).
	 */
	readonly gracefulRestart: { readonly forwarding: boolean } | undefined;
	/** The peer's long-lived stale time in seconds, 0 for none (RFC 9494 §3). */
	readonly longLivedStaleSeconds: number;
}

/** The parameters of an established session, from both OPENs. Constant during the session. */
export interface Negotiated {
	readonly peerName: string;
	/** 4 or 16 bytes. */
	readonly peerAddress: Uint8Array;
	readonly localAddress: Uint8Array;
	/**
	 * The interface of this node that the session uses, if known: the scope of the peer's
	 * link-local addresses.
	 */
	readonly interfaceName: string | undefined;
	/**
	 * The first global address of that interface for each family: a next hop for routes of the
	 * family that the session does not use.
	 */
	readonly interfaceAddresses: Readonly<Partial<Record<Family, Uint8Array>>>;
	readonly peerAsNumber: number;
	/** Our AS number towards this peer: the configured local-AS if present (RFC 7705). */
	readonly localAsNumber: number;
	readonly peerRouterId: number;
	readonly localRouterId: number;
	/** `internal`: both sides have the same AS number. */
	readonly kind: 'internal' | 'external';
	/** 0: no keepalives, no hold timer. */
	readonly holdTimeSeconds: number;
	readonly fourOctetAs: boolean;
	/** The peer accepts up to 65535 bytes (RFC 8654). */
	readonly extendedMessageSend: boolean;
	readonly routeRefresh: boolean;
	readonly enhancedRefresh: boolean;
	readonly families: readonly NegotiatedFamily[];
	/** The peer's R bit (RFC 4724 §3): do not wait for its End-of-RIB before sending ours. */
	readonly peerRestarting: boolean;
	/** 0 if the peer has no graceful-restart capability. */
	readonly peerRestartSeconds: number;
	/** Both sides set the N bit (RFC 8538). */
	readonly notificationRestart: boolean;
	/** Our role towards an external peer with a matching role or none (RFC 9234 §4.2). */
	readonly localRole: Role | undefined;
}

/** RFC 9234 §4.1, our role towards the peer. */
export type Role = 'provider' | 'route-server' | 'route-server-client' | 'customer' | 'peer';

/** The RIB's view of the socket: the destination of a peer's messages. */
export interface SessionSink {
	/**
	 * Queues whole messages. `false`: wait for `drained` before writing more; the bytes were
	 * accepted anyway. `bytes` must stay unchanged while `bufferedBytes` > 0.
	 */
	write(bytes: Uint8Array): boolean;
	/** Bytes accepted and not yet handed to the kernel. */
	readonly bufferedBytes: number;
	/** Ends the session with a NOTIFICATION on behalf of the RIB (max-prefix, out of resources). */
	fail(code: number, subcode: number, data: Uint8Array, reason: string): void;
}

/** The effect of the end of a session on its routes. */
export type SessionEnd =
	/** All routes of the peer are removed. */
	| { readonly type: 'forget' }
	/**
	 * Graceful restart: they are kept as stale until the peer's restart time ends (RFC 4724 §4.2).
	 */
	| { readonly type: 'retain' };

/** The calls of an established session to the RIB. */
export interface SessionReceiver {
	/**
	 * One whole UPDATE, header included, at `[start, end)` of `buffer`; valid only during the call.
	 * Errors with a weaker remedy (RFC 7606) are handled inside. @throws PacketError with remedy
	 * `session-reset`, for the session to send
	 */
	update(buffer: Uint8Array, start: number, end: number): void;
	/** ROUTE-REFRESH (RFC 2918), and its begin and end marks (RFC 7313). */
	refresh(family: Family, subtype: 'request' | 'begin' | 'end'): void;
	/** The socket accepts bytes again. */
	drained(): void;
	/** Called once, as the last call. */
	ended(end: SessionEnd): void;
}
