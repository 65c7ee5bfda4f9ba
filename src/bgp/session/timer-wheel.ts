import type { Clock, Timer } from '../../core/index.ts';

const slotMs = 50;
const slotCount = 1024;

/**
 * Coarse timers for thousands of sessions with one pending call of the clock. Extending a deadline,
 * which every received message does, only stores a number: the timer stays in its slot and is moved
 * when that slot is reached. Fires up to 50 ms late, never early.
 */
export class TimerWheel {
	readonly #clock: Clock;
	readonly #onFault: ((error: unknown) => void) | undefined;
	readonly #slots: Set<CoarseTimer>[] = Array.from({ length: slotCount }, () => new Set<CoarseTimer>());
	#timers = 0;
	/** The number of the next slot, counted from the clock's origin. */
	#position: number;
	#wake: { readonly slot: number; readonly timer: Timer } | undefined;
	/** True while callbacks run: the next wake-up is computed after them. */
	#turning = false;

	/**
	 * `onFault` receives the exception of a callback; the other timers are not affected. Without it
	 * the exception propagates.
	 */
	constructor(clock: Clock, onFault?: (error: unknown) => void) {
		this.#clock = clock;
		this.#onFault = onFault;
		this.#position = Math.floor(clock.monotonicMs() / slotMs);
	}

	/** Creates a timer that is off. */
	timer(callback: () => void): CoarseTimer {
		return new CoarseTimer(this, callback);
	}

	/** For `CoarseTimer`. */
	now(): number {
		return this.#clock.monotonicMs();
	}

	/** For `CoarseTimer`: ensures that it is in a slot at or before the deadline. */
	place(timer: CoarseTimer, deadlineMs: number): void {
		const slot = Math.max(Math.ceil(deadlineMs / slotMs), this.#position);
		if (timer.slot !== undefined) {
			if (timer.slot <= slot) return;
			this.#slots[timer.slot % slotCount]?.delete(timer);
		} else this.#timers++;
		// No timer is placed further ahead than one round of the wheel; a later one is placed again
		// on its way.
		const within = Math.min(slot, this.#position + slotCount - 1);
		timer.slot = within;
		this.#slots[within % slotCount]?.add(timer);
		if (!this.#turning && (this.#wake === undefined || within < this.#wake.slot)) this.#sleepUntil(within);
	}

	#sleepUntil(slot: number): void {
		this.#wake?.timer.cancel();
		const delay = Math.max(0, slot * slotMs - this.#clock.monotonicMs());
		this.#wake = { slot, timer: this.#clock.after(delay, () => this.#turn()) };
	}

	#turn(): void {
		this.#wake = undefined;
		const now = this.#clock.monotonicMs();
		const last = Math.floor(now / slotMs);
		const due: CoarseTimer[] = [];
		// After a long suspension of the machine, one round visits every slot.
		for (let slot = Math.max(this.#position, last - slotCount + 1); slot <= last; slot++) {
			const timers = this.#slots[slot % slotCount];
			if (timers === undefined) continue;
			for (const timer of timers) {
				timers.delete(timer);
				timer.slot = undefined;
				this.#timers--;
				due.push(timer);
			}
		}
		this.#position = Math.max(this.#position, last + 1);
		this.#turning = true;
		try {
			for (const timer of due) this.#arrive(timer, now);
		} finally {
			this.#turning = false;
			if (this.#timers > 0) this.#sleepUntil(this.#nextSlot());
		}
	}

	#arrive(timer: CoarseTimer, nowMs: number): void {
		try {
			timer.arrive(nowMs);
		} catch (error) {
			if (this.#onFault === undefined) throw error;
			this.#onFault(error);
		}
	}

	#nextSlot(): number {
		for (let slot = this.#position; slot < this.#position + slotCount; slot++)
			if ((this.#slots[slot % slotCount]?.size ?? 0) > 0) return slot;
		return this.#position;
	}
}

/** One deadline that can be armed and disarmed repeatedly. */
export class CoarseTimer {
	/** The slot of the timer; managed by the wheel. */
	slot: number | undefined;
	readonly #wheel: TimerWheel;
	readonly #callback: () => void;
	#deadlineMs: number | undefined;

	constructor(wheel: TimerWheel, callback: () => void) {
		this.#wheel = wheel;
		this.#callback = callback;
	}

	get armed(): boolean {
		return this.#deadlineMs !== undefined;
	}

	/** Fires once, `delayMs` from now. */
	arm(delayMs: number): void {
		const deadline = this.#wheel.now() + delayMs;
		this.#deadlineMs = deadline;
		this.#wheel.place(this, deadline);
	}

	disarm(): void {
		this.#deadlineMs = undefined;
	}

	/** Time until it fires; `undefined` while it is off. */
	get remainingMs(): number | undefined {
		return this.#deadlineMs === undefined ? undefined : Math.max(0, this.#deadlineMs - this.#wheel.now());
	}

	/** For the wheel: the timer's slot was reached. */
	arrive(nowMs: number): void {
		if (this.#deadlineMs === undefined) return;
		if (this.#deadlineMs > nowMs) {
			this.#wheel.place(this, this.#deadlineMs);
			return;
		}
		this.#deadlineMs = undefined;
		this.#callback();
	}
}
