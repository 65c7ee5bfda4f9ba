import type { Clock, Timer } from '../../core/index.ts';

const slotMs = 50;
const slotCount = 1024;

/**
 * Coarse timers for thousands of sessions: one pending call of the clock for all of them. Pushing a deadline back, which every received
 * message does, only stores a number: the timer stays in its slot and moves on when that slot comes round. Fires late by up to 50 ms, never early.
 */
export class TimerWheel {
	readonly #clock: Clock;
	readonly #slots: Set<CoarseTimer>[] = Array.from({ length: slotCount }, () => new Set<CoarseTimer>());
	#timers = 0;
	/** The number of the next slot to look at, counted from the clock's origin. */
	#position: number;
	#wake: { readonly slot: number; readonly timer: Timer } | undefined;
	/** Callbacks run: when to wake is decided after them. */
	#turning = false;

	constructor(clock: Clock) {
		this.#clock = clock;
		this.#position = Math.floor(clock.monotonicMs() / slotMs);
	}

	/** A timer that is off. */
	timer(callback: () => void): CoarseTimer {
		return new CoarseTimer(this, callback);
	}

	/** For `CoarseTimer`. */
	now(): number {
		return this.#clock.monotonicMs();
	}

	/** For `CoarseTimer`: makes sure that a slot at or before the deadline holds it. */
	place(timer: CoarseTimer, deadlineMs: number): void {
		const slot = Math.max(Math.ceil(deadlineMs / slotMs), this.#position);
		if (timer.slot !== undefined) {
			if (timer.slot <= slot) return;
			this.#slots[timer.slot % slotCount]?.delete(timer);
		} else this.#timers++;
		// Nothing waits further away than the wheel is round; what is due later is placed again on its way.
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
		// After a long sleep of the machine one round sees every slot.
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
			for (const timer of due) timer.arrive(now);
		} finally {
			this.#turning = false;
			if (this.#timers > 0) this.#sleepUntil(this.#nextSlot());
		}
	}

	#nextSlot(): number {
		for (let slot = this.#position; slot < this.#position + slotCount; slot++) if ((this.#slots[slot % slotCount]?.size ?? 0) > 0) return slot;
		return this.#position;
	}
}

/** One deadline, armed and disarmed as often as one likes. */
export class CoarseTimer {
	/** Where the wheel keeps it; the wheel's own. */
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

	/** Until it fires; `undefined` while it is off. */
	get remainingMs(): number | undefined {
		return this.#deadlineMs === undefined ? undefined : Math.max(0, this.#deadlineMs - this.#wheel.now());
	}

	/** For the wheel: its slot came round. */
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
