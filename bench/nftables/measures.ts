/** Durations in milliseconds. */
export interface Distribution {
	readonly count: number;
	readonly p50Ms: number;
	readonly p99Ms: number;
	readonly mostMs: number;
}

/** Percentiles of some durations. */
export function distribution(durationsMs: readonly number[]): Distribution {
	const sorted = [...durationsMs].sort((a, b) => a - b);
	const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
	return { count: sorted.length, p50Ms: round(at(0.5)), p99Ms: round(at(0.99)), mostMs: round(at(1)) };
}

/** The duration of a call. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
	const start = performance.now();
	await work();
	return performance.now() - start;
}

/** Durations of repeated calls, one after the other. */
export async function repeated(count: number, work: (index: number) => Promise<unknown>): Promise<Distribution> {
	const durations: number[] = [];
	for (let index = 0; index < count; index++) durations.push(await timed(() => work(index)));
	return distribution(durations);
}

/** Two decimals. */
export const round = (value: number): number => Math.round(value * 100) / 100;

/** Resident memory of this process in MiB. */
export const residentMib = (): number => Math.round(process.memoryUsage().rss / 2 ** 20);
