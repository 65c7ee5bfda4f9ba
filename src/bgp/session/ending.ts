import { type NotificationMessage, notificationMessage, type PacketError } from 'bgp-packet';
import type { EndCause } from '../fsm/retention.ts';
import type { State } from '../fsm/states.ts';
import type { SessionOutcome } from './host.ts';
import { type Cease, ceaseCause, type NoticeAction, noticeFor } from './notices.ts';

/**
 * Why a session ends: collected from the event that ends it, read by the step that sends the last
 * NOTIFICATION and by the host.
 */
export class Ending {
	#rejection: NotificationMessage | undefined;
	/** The type of the last message received, for the NOTIFICATION of an FSM error. */
	#messageType: number | undefined;
	#cease: Cease | undefined;
	#cause: EndCause = { type: 'tcp-lost' };
	#reason = '';
	#isPenalized = false;
	/** The peer opened the connection but sent no message: its end does not count as a failure. */
	#isHalfOpen = false;

	/** The reason for people. */
	get reason(): string {
		return this.#reason;
	}
	/** The reason for the decision about the peer's routes (RFC 4724 §4.2). */
	get cause(): EndCause {
		return this.#cause;
	}

	/** A connection was attached; `incoming`: the peer opened it. */
	attached(incoming: boolean): void {
		this.#isHalfOpen = incoming;
	}

	/** A message of this type was received. */
	received(messageType: number): void {
		this.#messageType = messageType;
		this.#isHalfOpen = false;
	}

	/** The coming event may end the session, for this reason. */
	because(reason: string, cause: EndCause): void {
		this.#reason = reason;
		this.#cause = cause;
	}

	/** This side ends the session; silently without a CEASE. */
	ceased(cease: Cease | undefined, reason: string): void {
		this.#cease = cease;
		this.because(reason, ceaseCause(cease));
	}

	/** A message of the peer is invalid. */
	rejected({ code, subcode, data, message }: Pick<PacketError, 'code' | 'subcode' | 'data' | 'message'>): void {
		this.#rejection = notificationMessage({ code, subcode, data });
		this.because(message, { type: 'notification-sent', code, subcode });
	}

	/** The end counts as a failure (RFC 4271 §8.1.1, ConnectRetryCounter). */
	penalize(): void {
		this.#isPenalized = true;
	}

	/** An exception of this process ends the session. */
	faulted(): void {
		this.#reason = 'internal error, the log has the details';
		this.#isPenalized = true;
		this.#isHalfOpen = false;
	}

	/**
	 * The NOTIFICATION of an action in `state`; `undefined`: none. `hardResetKnown`: both sides set
	 * the N bit (RFC 8538). An FSM error is itself the reason of the end.
	 */
	notice(action: NoticeAction, state: State, hardResetKnown: boolean): NotificationMessage | undefined {
		const notice = noticeFor(action, {
			state,
			rejection: this.#rejection,
			cease: this.#cease,
			messageType: this.#messageType,
			hardResetKnown,
		});
		if (notice !== undefined && action === 'send-fsm-error')
			this.because(`message of type ${this.#messageType} in state ${state}`, {
				type: 'notification-sent',
				code: notice.code,
				subcode: notice.subcode,
			});
		return notice;
	}

	/** For the host; `establishedMs`: the duration of Established, `undefined` if never reached. */
	outcome(establishedMs: number | undefined): SessionOutcome {
		return {
			reason: this.#reason,
			penalized: this.#isPenalized && !this.#isHalfOpen,
			ceaseSubcode: this.#cease?.subcode,
			establishedMs,
		};
	}
}
