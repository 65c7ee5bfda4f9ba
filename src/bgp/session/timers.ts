import type { Random } from '../../core/index.ts';
import { jittered } from '../fsm/retry.ts';
import type { Action, Event } from '../fsm/states.ts';
import type { CoarseTimer, TimerWheel } from './timer-wheel.ts';

/** Time limit for the peer's OPEN: RFC 4271 §8.2.2 suggests four minutes. */
const openHoldSeconds = 240;

/** The actions of the table that concern only a timer. */
type TimerAction = Extract<
	Action,
	'arm-open-hold' | 'arm-hold' | 'restart-hold' | 'arm-keepalive' | 'disarm-connect-retry' | 'disarm-delay-open'
>;

/** Timers whose expiry is an event of the FSM. */
export type TimerEvent = Extract<Event, 'connect-retry-expired' | 'delay-open-expired' | 'keepalive-expired'>;

/** Receives the expiries of a session's timers. */
export interface TimerHandler {
	expired(event: TimerEvent): void;
	/** The deadline passed; the session decides whether it counts. */
	holdPassed(): void;
	sendHoldPassed(): void;
}

/**
 * The five timers of one session (RFC 4271 §8, RFC 9687). Armed with 0 seconds or `undefined`, a
 * timer is off.
 */
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

	/** Sets the negotiated times. `sendHoldSeconds`: default of RFC 9687 §3 if undefined. */
	negotiated(holdTimeSeconds: number, sendHoldSeconds: number | undefined): void {
		this.#holdMs = holdTimeSeconds * 1000;
		this.#keepaliveMs = this.#holdMs / 3;
		this.#sendHoldMs = holdTimeSeconds === 0 ? 0 : (sendHoldSeconds ?? Math.max(480, 2 * holdTimeSeconds)) * 1000;
	}

	/** Executes actions on timers without further parameters. */
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

	/** Called for every received KEEPALIVE and UPDATE. */
	restartHold(): void {
		if (this.#holdMs > 0) this.hold.arm(this.#holdMs);
		else this.hold.disarm();
	}

	/**
	 * RFC 4271 §4.4: a third of the hold time, jittered, at most once per second (the shortest hold
	 * time is three).
	 */
	armKeepalive(): void {
		if (this.#keepaliveMs > 0) this.keepalive.arm(Math.max(1000, jittered(this.#keepaliveMs, this.#random)));
	}

	/** Called when bytes start to wait. */
	armSendHold(): void {
		if (this.#sendHoldMs > 0 && !this.sendHold.armed) this.sendHold.arm(this.#sendHoldMs);
	}

	disarmAll(): void {
		for (const timer of [this.connectRetry, this.delayOpen, this.hold, this.keepalive, this.sendHold]) timer.disarm();
	}

	/** Remaining seconds of the running timers, by name. */
	remainingSeconds(): Record<string, number> {
		const { connectRetry, delayOpen, hold, keepalive, sendHold } = this;
		const running = Object.entries({ connectRetry, delayOpen, hold, keepalive, sendHold }).flatMap(([name, timer]) => {
			const remaining = timer.remainingMs;
			return remaining === undefined ? [] : [[name, Math.round(remaining / 100) / 10] as const];
		});
		return Object.fromEntries(running);
	}
}
