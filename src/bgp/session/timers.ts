import type { Random } from '../../core/index.ts';
import { jittered } from '../fsm/retry.ts';
import type { Action, Event } from '../fsm/states.ts';
import type { CoarseTimer, TimerWheel } from './timer-wheel.ts';

/** The peer's OPEN must come within this: RFC 4271 §8.2.2 suggests four minutes. */
export const openHoldSeconds = 240;

const timerActions = [
	'arm-open-hold',
	'arm-hold',
	'restart-hold',
	'arm-keepalive',
	'disarm-connect-retry',
	'disarm-delay-open',
] as const satisfies readonly Action[];
/** Actions of the table that concern a timer alone. */
export type TimerAction = (typeof timerActions)[number];

export function isTimerAction(action: Action): action is TimerAction {
	// The list is a subset of what is asked for.
	return (timerActions as readonly Action[]).includes(action);
}

/** Timers whose end is an event as it is. */
export type TimerEvent = Extract<Event, 'connect-retry-expired' | 'delay-open-expired' | 'keepalive-expired'>;

/** What the timers of a session say when they fire. */
export interface TimerHandler {
	expired(event: TimerEvent): void;
	/** The deadline passed; whether it counts is for the session to find out. */
	holdPassed(): void;
	sendHoldPassed(): void;
}

/** The five timers of one session (RFC 4271 §8, RFC 9687). Arming with 0 seconds, or nothing, leaves one off. */
export class SessionTimers {
	readonly connectRetry: CoarseTimer;
	readonly delayOpen: CoarseTimer;
	readonly hold: CoarseTimer;
	readonly keepalive: CoarseTimer;
	readonly sendHold: CoarseTimer;
	readonly #random: Random;
	#holdMs = 0;
	#keepaliveMs = 0;
	#sendHoldMs = 0;

	constructor(wheel: TimerWheel, random: Random, handler: TimerHandler) {
		this.#random = random;
		this.connectRetry = wheel.timer(() => handler.expired('connect-retry-expired'));
		this.delayOpen = wheel.timer(() => handler.expired('delay-open-expired'));
		this.hold = wheel.timer(() => handler.holdPassed());
		this.keepalive = wheel.timer(() => handler.expired('keepalive-expired'));
		this.sendHold = wheel.timer(() => handler.sendHoldPassed());
	}

	/** Both OPENs are known. `sendHoldSeconds`: RFC 9687 §3's default where undefined. */
	negotiated(holdTimeSeconds: number, sendHoldSeconds: number | undefined): void {
		this.#holdMs = holdTimeSeconds * 1000;
		this.#keepaliveMs = this.#holdMs / 3;
		this.#sendHoldMs = holdTimeSeconds === 0 ? 0 : (sendHoldSeconds ?? Math.max(480, 2 * holdTimeSeconds)) * 1000;
	}

	/** What the table says of timers that need no more than that. */
	act(action: TimerAction): void {
		switch (action) {
			case 'arm-open-hold':
				this.hold.arm(openHoldSeconds * 1000);
				break;
			case 'arm-hold':
			case 'restart-hold':
				this.restartHold();
				break;
			case 'arm-keepalive':
				this.armKeepalive();
				break;
			case 'disarm-connect-retry':
				this.connectRetry.disarm();
				break;
			case 'disarm-delay-open':
				this.delayOpen.disarm();
				break;
			default:
				action satisfies never;
		}
	}

	/** `undefined`: off. */
	armConnectRetry(milliseconds: number | undefined): void {
		if (milliseconds !== undefined) this.connectRetry.arm(milliseconds);
	}

	armDelayOpen(seconds: number): void {
		this.delayOpen.arm(seconds * 1000);
	}

	/** For every KEEPALIVE and UPDATE that arrives. */
	restartHold(): void {
		if (this.#holdMs > 0) this.hold.arm(this.#holdMs);
		else this.hold.disarm();
	}

	/** RFC 4271 §4.4: a third of the hold time, jittered, never more often than once a second (the shortest hold time is three). */
	armKeepalive(): void {
		if (this.#keepaliveMs > 0) this.keepalive.arm(Math.max(1000, jittered(this.#keepaliveMs, this.#random)));
	}

	/** For the moment in which bytes had to wait. */
	armSendHold(): void {
		if (this.#sendHoldMs > 0 && !this.sendHold.armed) this.sendHold.arm(this.#sendHoldMs);
	}

	disarmAll(): void {
		for (const timer of [this.connectRetry, this.delayOpen, this.hold, this.keepalive, this.sendHold]) timer.disarm();
	}

	/** Seconds left of those that run, by name. */
	remainingSeconds(): Record<string, number> {
		const { connectRetry, delayOpen, hold, keepalive, sendHold } = this;
		const running = Object.entries({ connectRetry, delayOpen, hold, keepalive, sendHold }).flatMap(([name, timer]) => {
			const remaining = timer.remainingMs;
			return remaining === undefined ? [] : [[name, Math.round(remaining / 100) / 10] as const];
		});
		return Object.fromEntries(running);
	}
}
