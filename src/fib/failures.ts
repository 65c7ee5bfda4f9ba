import { type Backoff, backoffMs, LineLimiter, type Logger, type PrefixKey, type Random } from '../core/index.ts';
import type { RouteFailure } from './kernel.ts';
import type { FibDependencies } from './options.ts';

/** Maximum number of refusals logged individually per run; the others are counted. */
const mostRefusalsLogged = 5;

interface Failure {
	readonly reason: string;
	readonly attempts: number;
	readonly retryAtMs: number;
}

/** Prefixes whose route the kernel refused, with the time of the next attempt. */
export class Failures {
	readonly #byPrefix = new Map<PrefixKey, Failure>();
	readonly #retry: Backoff;
	readonly #random: Random;
	readonly #log: Logger;

	constructor(retry: Backoff, { random, clock, log }: Pick<FibDependencies, 'random' | 'clock' | 'log'>) {
		this.#retry = retry;
		this.#random = random;
		// Neighbours decide which routes they announce, and how often.
		this.#log = new LineLimiter(clock).limit(log, 'refused routes');
	}

	get size(): number {
		return this.#byPrefix.size;
	}

	reason(prefix: PrefixKey): string | undefined {
		return this.#byPrefix.get(prefix)?.reason;
	}

	/** The first `limit` of them. */
	first(limit: number): readonly { readonly prefix: PrefixKey; readonly reason: string }[] {
		const listed: { readonly prefix: PrefixKey; readonly reason: string }[] = [];
		for (const [prefix, { reason }] of this.#byPrefix) {
			if (listed.length === limit) break;
			listed.push({ prefix, reason });
		}
		return listed;
	}

	/** Cancels all retries. */
	clear(): void {
		this.#byPrefix.clear();
	}

	/**
	 * Records the results for these prefixes; returns new refusals: of a new prefix, or with a new
	 * reason.
	 */
	update(
		attempted: Iterable<{ readonly prefix: PrefixKey }>,
		refused: readonly RouteFailure[],
		nowMs: number,
	): RouteFailure[] {
		const refusedPrefixes = new Set(refused.map(({ operation }) => operation.route.prefix));
		if (this.size > 0)
			for (const { prefix } of attempted) if (!refusedPrefixes.has(prefix)) this.#byPrefix.delete(prefix);
		return refused.filter(({ operation, error }) => this.#add(operation.route.prefix, error.message, nowMs));
	}

	#add(prefix: PrefixKey, reason: string, nowMs: number): boolean {
		const before = this.#byPrefix.get(prefix);
		const attempts = (before?.attempts ?? 0) + 1;
		this.#byPrefix.set(prefix, { reason, attempts, retryAtMs: nowMs + backoffMs(this.#retry, attempts, this.#random) });
		return before?.reason !== reason;
	}

	/** Milliseconds until the next retry; `undefined`: none. */
	dueInMs(nowMs: number): number | undefined {
		let first: number | undefined;
		for (const { retryAtMs } of this.#byPrefix.values())
			if (first === undefined || retryAtMs < first) first = retryAtMs;
		return first === undefined ? undefined : Math.max(0, first - nowMs);
	}

	/** Logs newly refused routes, with the resource of a static route. */
	tell(news: readonly RouteFailure[], wantedBy: (prefix: PrefixKey) => string | undefined): void {
		for (const { operation, error } of news.slice(0, mostRefusalsLogged)) {
			const { prefix } = operation.route;
			const who = wantedBy(prefix);
			this.#log.warn('the kernel refused a route', {
				prefix,
				operation: operation.type,
				reason: error.message,
				...(who === undefined ? {} : { wantedBy: who }),
			});
		}
		if (news.length > mostRefusalsLogged)
			this.#log.warn('the kernel refused more routes', { count: news.length - mostRefusalsLogged });
	}
}
