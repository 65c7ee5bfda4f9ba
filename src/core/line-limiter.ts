import type { Clock } from './clock.ts';
import type { LogFields, Logger } from './log.ts';

/** Limits of a `LineLimiter`, in one window. */
export interface LineLimits {
	readonly windowMs: number;
	/** Lines about one subject. */
	readonly lines: number;
	/** Lines about all subjects. */
	readonly total: number;
	/** Subjects that are counted separately; more of them share one count. */
	readonly subjects: number;
	/** Subjects with suppressed lines that are named at the end of the window. */
	readonly named: number;
}

const defaults: LineLimits = { windowMs: 60_000, lines: 30, total: 20_000, subjects: 32_768, named: 20 };

interface Count {
	readonly log: Logger;
	lines: number;
	suppressed: number;
}

/**
 * Bounds the log lines that a remote side can cause: a number of lines per subject and minute is
 * written, the others are counted, and lines at the end of the minute report the counts. Debug
 * lines are not limited.
 */
export class LineLimiter {
	readonly #clock: Pick<Clock, 'after'>;
	readonly #limits: LineLimits;
	/** Of the present window, by subject. */
	readonly #counts = new Map<string, Count>();
	#total = 0;

	constructor(clock: Pick<Clock, 'after'>, limits: Partial<LineLimits> = {}) {
		this.#clock = clock;
		this.#limits = { ...defaults, ...limits };
	}

	/** A logger for lines about `subject`; loggers for one subject share its count. */
	limit(log: Logger, subject: string): Logger {
		const write = (level: 'error' | 'warn' | 'info') => (message: string, fields?: LogFields) => {
			if (this.#permits(log, subject)) log[level](message, fields);
		};
		return {
			error: write('error'),
			warn: write('warn'),
			info: write('info'),
			debug: (message, fields) => log.debug(message, fields),
			child: (fields) => this.limit(log.child(fields), subject),
		};
	}

	#permits(log: Logger, subject: string): boolean {
		const { lines, total } = this.#limits;
		const count = this.#countOf(log, subject);
		if (count.lines >= lines || this.#total >= total) {
			count.suppressed++;
			return false;
		}
		count.lines++;
		this.#total++;
		return true;
	}

	#countOf(log: Logger, subject: string): Count {
		if (this.#counts.size === 0) this.#clock.after(this.#limits.windowMs, () => this.#end());
		const isSeparate = this.#counts.has(subject) || this.#counts.size < this.#limits.subjects;
		const key = isSeparate ? subject : '';
		let count = this.#counts.get(key);
		if (count === undefined) {
			count = { log, lines: 0, suppressed: 0 };
			this.#counts.set(key, count);
		}
		return count;
	}

	#end(): void {
		const { windowMs, named } = this.#limits;
		const silenced = [...this.#counts].filter(([, { suppressed }]) => suppressed > 0);
		this.#counts.clear();
		this.#total = 0;
		const windowSeconds = windowMs / 1000;
		for (const [about, { log, suppressed }] of silenced.slice(0, named))
			log.warn('log lines suppressed', { ...(about === '' ? {} : { about }), suppressed, windowSeconds });
		const rest = silenced.slice(named);
		if (rest.length > 0)
			rest[0]?.[1].log.warn('log lines suppressed', {
				about: `${rest.length} more`,
				suppressed: rest.reduce((sum, [, { suppressed }]) => sum + suppressed, 0),
				windowSeconds,
			});
	}
}
