import { Line, type MonitorEvent } from '../control/index.ts';
import { nextTurn } from '../core/index.ts';

/** Number of events kept for slow readers: one buffer for any number of readers. */
const mostEvents = { sessions: 4096, all: 65_536 };
/** Lines that a reader gets at a time, some kilobytes. */
const batchLines = 64;

/**
 * The last events, numbered. A reader is a number: one that does not read costs nothing, and loses
 * overwritten events.
 */
class EventLog {
	readonly #capacity: number;
	readonly #lines: Line<MonitorEvent>[] = [];
	/** The number of the next event. */
	end = 0;

	constructor(capacity: number) {
		this.#capacity = capacity;
	}

	/** The number of the oldest event that is kept. */
	get start(): number {
		return Math.max(0, this.end - this.#lines.length);
	}

	push(line: Line<MonitorEvent>): void {
		this.#lines[this.end % this.#capacity] = line;
		this.end++;
	}

	/** At most `most` events, starting with this number. */
	from(number: number, most: number): Line<MonitorEvent>[] {
		const count = Math.max(0, Math.min(most, this.end - number));
		return Array.from({ length: count }, (_, index) => this.#lines[(number + index) % this.#capacity]).filter(
			(line) => line !== undefined,
		);
	}

	clear(): void {
		this.#lines.length = 0;
		this.end = 0;
	}
}

interface Reader {
	readonly log: EventLog;
	/** The number of the next event to read. */
	next: number;
	wake: (() => void) | undefined;
}

/**
 * Passes events to monitors. The last events are stored once for all of them; each monitor reads at
 * its own pace, and a slower one loses events and gets their number. Check `watched` before
 * building an event.
 */
export class MonitorHub {
	readonly #logs = { sessions: new EventLog(mostEvents.sessions), all: new EventLog(mostEvents.all) };
	readonly #readers = new Set<Reader>();
	#waking = false;
	#dropped = 0;
	#followRoutes: (() => () => void) | undefined;
	#unfollowRoutes: (() => void) | undefined;

	/**
	 * Starts following best-route changes, and returns the stop; called only while a reader needs
	 * them.
	 */
	setRouteSource(follow: () => () => void): void {
		this.#followRoutes = follow;
		this.#matchRoutes();
	}

	/**
	 * The events from now on, in batches, until the signal aborts; with `routes` also best-route
	 * changes.
	 */
	follow(routes: boolean, signal: AbortSignal): AsyncGenerator<readonly Line<MonitorEvent>[]> {
		const log = routes ? this.#logs.all : this.#logs.sessions;
		const reader: Reader = { log, next: log.end, wake: undefined };
		this.#readers.add(reader);
		this.#matchRoutes();
		signal.addEventListener('abort', () => this.#leave(reader), { once: true });
		return this.#read(reader, signal);
	}

	/** Is there a reader of events of this type? */
	watched(type: MonitorEvent['type']): boolean {
		for (const { log } of this.#readers) if (type !== 'route' || log === this.#logs.all) return true;
		return false;
	}

	/** Monitors, and the number of events that they lost. */
	get statistics(): { readonly readers: number; readonly dropped: number } {
		let dropped = this.#dropped;
		for (const { log, next } of this.#readers) dropped += Math.max(0, log.start - next);
		return { readers: this.#readers.size, dropped };
	}

	publish(event: MonitorEvent): void {
		const line = new Line(event);
		if (this.watched('route')) this.#logs.all.push(line);
		if (event.type !== 'route') this.#logs.sessions.push(line);
		if (this.#waking) return;
		this.#waking = true;
		setImmediate(() => {
			this.#waking = false;
			for (const reader of this.#readers) reader.wake?.();
		});
	}

	async *#read(reader: Reader, signal: AbortSignal): AsyncGenerator<readonly Line<MonitorEvent>[]> {
		while (!signal.aborted) {
			const { log } = reader;
			const lost = Math.max(0, log.start - reader.next);
			reader.next += lost;
			this.#dropped += lost;
			const lines = log.from(reader.next, batchLines);
			reader.next += lines.length;
			const at = new Date().toISOString();
			if (lost > 0) yield [new Line<MonitorEvent>({ type: 'lost', at, count: lost }), ...lines];
			else if (lines.length > 0) yield lines;
			else
				await new Promise<void>((resolve) => {
					reader.wake = resolve;
				});
			reader.wake = undefined;
			// One reader per turn: hundreds of them share the time with all other work.
			await nextTurn();
		}
	}

	#leave(reader: Reader): void {
		this.#dropped += Math.max(0, reader.log.start - reader.next);
		this.#readers.delete(reader);
		reader.wake?.();
		this.#matchRoutes();
		if (!this.watched('route')) this.#logs.all.clear();
	}

	#matchRoutes(): void {
		if (!this.watched('route')) {
			this.#unfollowRoutes?.();
			this.#unfollowRoutes = undefined;
		} else this.#unfollowRoutes ??= this.#followRoutes?.();
	}
}
