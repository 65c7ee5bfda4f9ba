import { type Backoff, backoffMs, type Logger, type PrefixKey, type Random } from '../core/index.ts';
import type { RouteFailure } from './kernel.ts';

/** Refusals told one by one in a run; the rest is a number. */
const mostRefusalsLogged = 5;

interface Failure {
	readonly reason: string;
	readonly attempts: number;
	readonly retryAtMs: number;
}

/** Prefixes whose route the kernel refused, and when each is due again. */
export class Failures {
	readonly #byPrefix = new Map<PrefixKey, Failure>();
	readonly #retry: Backoff;
	readonly #random: Random;

	constructor(retry: Backoff, random: Random) {
		this.#retry = retry;
		this.#random = random;
	}

	get size(): number {
		return this.#byPrefix.size;
	}

	reason(prefix: PrefixKey): string | undefined {
		return this.#byPrefix.get(prefix)?.reason;
	}

	/** Nothing is tried again. */
	clear(): void {
		this.#byPrefix.clear();
	}

	/** Takes over how it went with these prefixes; gives the refusals that are news: of a prefix or with a reason not seen before. */
	update(attempted: Iterable<PrefixKey>, refused: readonly RouteFailure[], nowMs: number): RouteFailure[] {
		const refusedPrefixes = new Set(refused.map(({ operation }) => operation.route.prefix));
		if (this.size > 0) for (const prefix of attempted) if (!refusedPrefixes.has(prefix)) this.#byPrefix.delete(prefix);
		return refused.filter(({ operation, error }) => this.#add(operation.route.prefix, error.message, nowMs));
	}

	#add(prefix: PrefixKey, reason: string, nowMs: number): boolean {
		const before = this.#byPrefix.get(prefix);
		const attempts = (before?.attempts ?? 0) + 1;
		this.#byPrefix.set(prefix, { reason, attempts, retryAtMs: nowMs + backoffMs(this.#retry, attempts, this.#random) });
		return before?.reason !== reason;
	}

	/** Milliseconds until the first is due; `undefined`: none failed. */
	dueInMs(nowMs: number): number | undefined {
		let first: number | undefined;
		for (const { retryAtMs } of this.#byPrefix.values()) if (first === undefined || retryAtMs < first) first = retryAtMs;
		return first === undefined ? undefined : Math.max(0, first - nowMs);
	}
}

/** Says which routes the kernel refused, and of those that somebody wants by name, who. */
export function tellRefusals(news: readonly RouteFailure[], log: Logger, wantedBy: (prefix: PrefixKey) => string | undefined): void {
	for (const { operation, error } of news.slice(0, mostRefusalsLogged)) {
		const { prefix } = operation.route;
		const who = wantedBy(prefix);
		log.warn('the kernel refused a route', { prefix, operation: operation.type, reason: error.message, ...(who === undefined ? {} : { wantedBy: who }) });
	}
	if (news.length > mostRefusalsLogged) log.warn('the kernel refused more routes', { count: news.length - mostRefusalsLogged });
}
