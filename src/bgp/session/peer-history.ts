import type { NotificationMessage } from 'bgp-packet';
import type { Clock, ErrorView, Logger, NotificationView } from '../../core/index.ts';
import type { State } from '../fsm/states.ts';
import type { Negotiated } from '../model/negotiated.ts';
import type { SessionOutcome } from './host.ts';
import { notificationView } from './notices.ts';
import type { Session } from './session.ts';

/** Maximum number of octets of a NOTIFICATION's data in the log: a peer may send up to 65514. */
const mostLoggedBytes = 64;

/** What is known of a peer's sessions beyond their end, for output; records and logs each event. */
export class PeerHistory {
	readonly #log: Logger;
	readonly #clock: Clock;
	#establishedCount = 0;
	#idleSinceWallMs: number;
	/** The last reported state. */
	#shownState: State = 'idle';
	#lastError: ErrorView | undefined;
	#lastNotificationSent: NotificationView | undefined;
	#lastNotificationReceived: NotificationView | undefined;

	constructor(log: Logger, clock: Clock) {
		this.#log = log;
		this.#clock = clock;
		this.#idleSinceWallMs = clock.wallMs();
	}

	/** Times a session reached Established. */
	get establishedCount(): number {
		return this.#establishedCount;
	}
	/** Milliseconds since 1970. */
	get idleSinceWallMs(): number {
		return this.#idleSinceWallMs;
	}
	get lastError(): ErrorView | undefined {
		return this.#lastError;
	}
	get lastNotificationSent(): NotificationView | undefined {
		return this.#lastNotificationSent;
	}
	get lastNotificationReceived(): NotificationView | undefined {
		return this.#lastNotificationReceived;
	}

	established(session: Session, { holdTimeSeconds, families }: Negotiated): void {
		this.#establishedCount++;
		this.#log.info('session established', {
			holdTimeSeconds,
			families: families.map(({ family }) => family),
			direction: session.direction,
		});
	}

	/** `false`: the peer is shown in this state already. */
	changed(state: State): boolean {
		if (state === this.#shownState) return false;
		this.#shownState = state;
		if (state === 'idle') this.#idleSinceWallMs = this.#clock.wallMs();
		return true;
	}

	notified(direction: 'sent' | 'received', message: NotificationMessage): void {
		const view = notificationView(message, this.#now());
		if (direction === 'sent') this.#lastNotificationSent = view;
		else this.#lastNotificationReceived = view;
		const { name, text, dataHex } = view;
		this.#log.info(`notification ${direction}`, {
			code: message.code,
			subcode: message.subcode,
			name,
			...(text === undefined ? shortened(dataHex) : { text }),
		});
	}

	ended({ reason, establishedMs, penalized }: SessionOutcome): void {
		if (establishedMs !== undefined)
			this.#log.info('session ended', { reason, establishedSeconds: Math.round(establishedMs / 1000) });
		else if (penalized) this.#log.debug('session failed', { reason });
	}

	interrupted(reason: string): void {
		this.#lastError = { at: this.#now(), message: reason };
	}

	#now(): string {
		return new Date(this.#clock.wallMs()).toISOString();
	}
}

/** The beginning of a NOTIFICATION's data. */
function shortened(dataHex: string): { readonly dataHex: string; readonly dataBytes?: number } {
	if (dataHex.length <= 2 * mostLoggedBytes) return { dataHex };
	return { dataHex: dataHex.slice(0, 2 * mostLoggedBytes), dataBytes: dataHex.length / 2 };
}
