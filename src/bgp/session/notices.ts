import {
	CeaseSubcode,
	ErrorCode,
	encodeShutdownText,
	escapeText,
	FsmSubcode,
	hardReset,
	hardResetReason,
	type NotificationMessage,
	notificationMessage,
	shutdownText,
} from 'bgp-packet';
import type { NotificationView } from '../../core/index.ts';
import type { EndCause } from '../fsm/retention.ts';
import type { Action, State } from '../fsm/states.ts';

/** An administrative reason to end a session: a CEASE (RFC 4486). */
export interface Cease {
	readonly subcode: number;
	/** RFC 9003; only with subcodes 2 and 4. */
	readonly text?: string;
	readonly data?: Uint8Array;
}

/**
 * Subcodes after which neither side keeps routes: sent as Hard Reset if the peer supports it (RFC
 * 8538 §3).
 */
const finalSubcodes: ReadonlySet<number> = new Set([
	CeaseSubcode.maximumPrefixesReached,
	CeaseSubcode.administrativeShutdown,
	CeaseSubcode.peerDeconfigured,
	CeaseSubcode.outOfResources,
]);

/** The effect of a CEASE of ours, or of a silent end, on the peer's routes. */
export function ceaseCause(cease: Cease | undefined): EndCause {
	if (cease === undefined) return { type: 'tcp-lost' };
	return finalSubcodes.has(cease.subcode)
		? { type: 'administrative' }
		: { type: 'notification-sent', code: ErrorCode.cease, subcode: cease.subcode };
}

/** The NOTIFICATION for a CEASE; `notificationRestart`: both sides set the N bit. */
export function ceaseMessage({ subcode, text, data }: Cease, notificationRestart: boolean): NotificationMessage {
	const takesText = subcode === CeaseSubcode.administrativeShutdown || subcode === CeaseSubcode.administrativeReset;
	const content =
		data ?? (text !== undefined && text !== '' && takesText ? encodeShutdownText(text) : new Uint8Array(0));
	const message = notificationMessage({ code: ErrorCode.cease, subcode, data: content });
	return notificationRestart && finalSubcodes.has(subcode) ? hardReset(message) : message;
}

/** The inputs of a NOTIFICATION. */
interface NoticeInputs {
	/** The state before the step. */
	readonly state: State;
	readonly rejection: NotificationMessage | undefined;
	readonly cease: Cease | undefined;
	/** The type of the last message received. */
	readonly messageType: number | undefined;
	readonly hardResetKnown: boolean;
}

const unexpectedIn: Readonly<Partial<Record<State, number>>> = {
	'open-sent': FsmSubcode.unexpectedInOpenSent,
	'open-confirm': FsmSubcode.unexpectedInOpenConfirm,
	established: FsmSubcode.unexpectedInEstablished,
};

/** The actions of the table that send a NOTIFICATION. */
export type NoticeAction = Extract<
	Action,
	'send-rejection' | 'send-hold-expired' | 'send-send-hold-expired' | 'send-fsm-error' | 'send-cease' | 'send-collision'
>;

/** The NOTIFICATION of an action; `undefined`: none. */
export function noticeFor(
	action: NoticeAction,
	{ state, rejection, cease, messageType, hardResetKnown }: NoticeInputs,
): NotificationMessage | undefined {
	switch (action) {
		case 'send-rejection':
			return rejection;
		case 'send-cease':
			return cease === undefined ? undefined : ceaseMessage(cease, hardResetKnown);
		case 'send-collision':
			return ceaseMessage({ subcode: CeaseSubcode.connectionCollisionResolution }, false);
		case 'send-hold-expired':
			return notificationMessage({ code: ErrorCode.holdTimerExpired, subcode: 0 });
		case 'send-send-hold-expired':
			return notificationMessage({ code: ErrorCode.sendHoldTimerExpired, subcode: 0 });
		case 'send-fsm-error': {
			// RFC 6608 §3: the data is the type of the unexpected message.
			const data = Uint8Array.from(messageType === undefined ? [] : [messageType]);
			return notificationMessage({
				code: ErrorCode.finiteStateMachine,
				subcode: unexpectedIn[state] ?? FsmSubcode.unspecified,
				data,
			});
		}
		default:
			return action satisfies never;
	}
}

const codeNames: Readonly<Record<number, string>> = {
	1: 'Message Header Error',
	2: 'OPEN Message Error',
	3: 'UPDATE Message Error',
	4: 'Hold Timer Expired',
	5: 'Finite State Machine Error',
	6: 'Cease',
	7: 'ROUTE-REFRESH Message Error',
	8: 'Send Hold Timer Expired',
};

const subcodeNames: Readonly<Record<number, readonly (string | undefined)[]>> = {
	1: [undefined, 'Connection Not Synchronized', 'Bad Message Length', 'Bad Message Type'],
	2: [
		undefined,
		'Unsupported Version Number',
		'Bad Peer AS',
		'Bad BGP Identifier',
		'Unsupported Optional Parameter',
		undefined,
		'Unacceptable Hold Time',
		'Unsupported Capability',
		undefined,
		undefined,
		undefined,
		'Role Mismatch',
	],
	3: [
		undefined,
		'Malformed Attribute List',
		'Unrecognized Well-known Attribute',
		'Missing Well-known Attribute',
		'Attribute Flags Error',
		'Attribute Length Error',
		'Invalid ORIGIN Attribute',
		undefined,
		'Invalid NEXT_HOP Attribute',
		'Optional Attribute Error',
		'Invalid Network Field',
		'Malformed AS_PATH',
	],
	5: [
		undefined,
		'Unexpected Message in OpenSent',
		'Unexpected Message in OpenConfirm',
		'Unexpected Message in Established',
	],
	6: [
		undefined,
		'Maximum Number of Prefixes Reached',
		'Administrative Shutdown',
		'Peer De-configured',
		'Administrative Reset',
		'Connection Rejected',
		'Other Configuration Change',
		'Connection Collision Resolution',
		'Out of Resources',
		'Hard Reset',
		'BFD Down',
	],
	7: [undefined, 'Invalid Message Length'],
};

/** `Cease/Administrative Shutdown`; numbers if there is no name. */
export function notificationName({ code, subcode }: { readonly code: number; readonly subcode: number }): string {
	const name = codeNames[code] ?? `code ${code}`;
	if (subcode === 0) return name;
	return `${name}/${subcodeNames[code]?.[subcode] ?? `subcode ${subcode}`}`;
}

/**
 * A NOTIFICATION for output, with the peer's text escaped; a Hard Reset is named by the
 * encapsulated code.
 */
export function notificationView(message: NotificationMessage, at: string): NotificationView {
	const inner = hardResetReason(message);
	const text = shutdownText(inner ?? message);
	return {
		at,
		code: message.code,
		subcode: message.subcode,
		name: inner === undefined ? notificationName(message) : `${notificationName(message)} (${notificationName(inner)})`,
		...(text?.type === 'text' ? { text: escapeText(text.text) } : {}),
		dataHex: Buffer.from(message.data.buffer, message.data.byteOffset, message.data.length).toString('hex'),
	};
}
