import type { Negotiated, SessionEnd } from '../model/negotiated.ts';

/** The cause of the end of an established session. */
export type EndCause =
	| { readonly type: 'tcp-lost' }
	| { readonly type: 'hold-expired' }
	| { readonly type: 'send-hold-expired' }
	| { readonly type: 'notification-received'; readonly code: number; readonly subcode: number }
	| { readonly type: 'notification-sent'; readonly code: number; readonly subcode: number }
	/** Removed, disabled, or the speaker stops: the routes are removed. */
	| { readonly type: 'administrative' };

/** Cease, Hard Reset: RFC 8538 §3. */
const isHardReset = (code: number, subcode: number): boolean => code === 6 && subcode === 9;

/**
 * True if the peer's routes are kept as stale. RFC 4724 §4.2 for the loss of TCP; with the N bit of
 * both sides (RFC 8538 §4) also for an expired hold timer and for NOTIFICATIONs in either direction
 * except Hard Reset.
 */
export function retention(
	negotiated: Pick<Negotiated, 'families' | 'notificationRestart'>,
	cause: EndCause,
): SessionEnd {
	const retained =
		negotiated.families.some(({ gracefulRestart }) => gracefulRestart !== undefined) &&
		bridged(negotiated.notificationRestart, cause);
	return { type: retained ? 'retain' : 'forget' };
}

function bridged(notificationRestart: boolean, cause: EndCause): boolean {
	switch (cause.type) {
		case 'tcp-lost':
			return true;
		case 'hold-expired':
			return notificationRestart;
		case 'notification-received':
		case 'notification-sent':
			return notificationRestart && !isHardReset(cause.code, cause.subcode);
		// RFC 9687 §3: the peer does not read; its routes are removed.
		case 'send-hold-expired':
		case 'administrative':
			return false;
		default:
			cause satisfies never;
			return false;
	}
}
