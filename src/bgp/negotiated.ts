import type { Family } from '../core/index.ts';

/** What both OPENs together mean for one address family. Only families that both sides named are here (RFC 4760 §8). */
export interface NegotiatedFamily {
	readonly family: Family;
	/** We may receive path identifiers; the peer may (RFC 7911 §4). */
	readonly addPathReceive: boolean;
	readonly addPathSend: boolean;
	/** IPv4 routes may carry IPv6 next hops (RFC 8950). */
	readonly extendedNextHop: boolean;
	/** The family is in the peer's graceful-restart capability; `forwarding` is its F bit (RFC 4724 §3). */
	readonly gracefulRestart: { readonly forwarding: boolean } | undefined;
	/** Seconds of the peer's long-lived stale time, 0 for none (RFC 9494 §3). */
	readonly longLivedStaleSeconds: number;
}

/** An established session, as both OPENs made it. Fixed for the session's life. */
export interface Negotiated {
	readonly peerName: string;
	/** 4 or 16 bytes. */
	readonly peerAddress: Uint8Array;
	readonly localAddress: Uint8Array;
	readonly peerAsNumber: number;
	/** Ours towards this peer: the local-AS where one is configured (RFC 7705). */
	readonly localAsNumber: number;
	readonly peerRouterId: number;
	readonly localRouterId: number;
	/** Of the same AS? */
	readonly kind: 'internal' | 'external';
	/** 0: no keepalives, no hold timer. */
	readonly holdTimeSeconds: number;
	readonly fourOctetAs: boolean;
	/** The peer accepts up to 65535 bytes (RFC 8654). */
	readonly extendedMessageSend: boolean;
	readonly routeRefresh: boolean;
	readonly enhancedRefresh: boolean;
	readonly families: readonly NegotiatedFamily[];
	/** The peer's R bit (RFC 4724 §3): do not wait for its End-of-RIB before we send ours. */
	readonly peerRestarting: boolean;
	/** 0 where the peer has no graceful-restart capability. */
	readonly peerRestartSeconds: number;
	/** Both sides set the N bit (RFC 8538). */
	readonly notificationRestart: boolean;
	/** Our own role towards an external peer, which agreed or named none (RFC 9234 §4.2). */
	readonly localRole: Role | undefined;
}

/** RFC 9234 §4.1, ours towards the peer. */
export type Role = 'provider' | 'route-server' | 'route-server-client' | 'customer' | 'peer';

/** Where the RIB writes what a peer is to get: the socket, seen from the RIB. */
export interface SessionSink {
	/** Queues whole messages. `false`: wait for `drained` before writing more; the bytes were taken all the same. `bytes` must stay unchanged while `bufferedBytes` > 0. */
	write(bytes: Uint8Array): boolean;
	/** Bytes accepted and not yet handed to the kernel. */
	readonly bufferedBytes: number;
	/** Ends the session with a NOTIFICATION: the RIB found a reason (max-prefix, out of resources). */
	fail(code: number, subcode: number, data: Uint8Array, reason: string): void;
}

/** How a session ended, as far as its routes care. */
export type SessionEnd =
	/** All routes of the peer go. */
	| { readonly type: 'forget' }
	/** Graceful restart: they stay, marked stale, until the peer's restart time is over (RFC 4724 §4.2). */
	| { readonly type: 'retain' };

/** What the session hands to the RIB while it is established. */
export interface SessionReceiver {
	/**
	 * One whole UPDATE, header included, at `[start, end)` of `buffer`; the bytes are valid during the call only.
	 * Lesser problems (RFC 7606) are dealt with inside; @throws PacketError with remedy `session-reset`, for the session to send.
	 */
	update(buffer: Uint8Array, start: number, end: number): void;
	/** ROUTE-REFRESH (RFC 2918), and its begin and end marks (RFC 7313). */
	refresh(family: Family, subtype: 'request' | 'begin' | 'end'): void;
	/** The socket takes bytes again. */
	drained(): void;
	/** Called once; nothing else is called after it. */
	ended(end: SessionEnd): void;
}
