import { setTimeout as pause } from 'node:timers/promises';
import type { Laboratory } from './laboratory.ts';
import { countPings, type PingTarget, pingAll } from './pings.ts';
import type { LossRow, PingRow, ScenarioResult } from './report.ts';

const intervalSeconds = 0.02;
const roundSeconds = 10;

/** Packets further apart than this are two losses, in milliseconds. */
const apartMs = 500;

/** Sent and lost packets. */
export type Losses = Pick<ScenarioResult, 'sent' | 'lost' | 'losses'>;

/** The lost packets of each row, together where they follow each other. Pure. */
export function lossesOf(rows: readonly PingRow[], beginMs: number): LossRow[] {
	const seconds = (ms: number) => Number(((ms - beginMs) / 1000).toFixed(2));
	return rows.flatMap(({ from, to, lostAtMs = [] }) => {
		const runs: { first: number; last: number; lost: number }[] = [];
		for (const at of lostAtMs) {
			const run = runs.at(-1);
			if (run !== undefined && at - run.last <= apartMs) {
				run.last = at;
				run.lost++;
			} else runs.push({ first: at, last: at, lost: 1 });
		}
		return runs.map(({ first, last, lost }) => ({
			from,
			to,
			lost,
			fromSeconds: seconds(first),
			toSeconds: seconds(last),
		}));
	});
}

/**
 * Pings in both directions between the pod of the first node and every other pod, 50 per second
 * each, from a second before `happens` until it has completed, on a machine of any speed. They run
 * in rounds, since an interrupted ping can't distinguish lost packets from those in flight: a few
 * milliseconds are between two.
 */
export async function pingsDuring(
	laboratory: Laboratory,
	happens: () => Promise<void>,
	signal: AbortSignal,
): Promise<{ readonly rows: readonly PingRow[]; readonly beginMs: number }> {
	const [first, ...others] = laboratory.topology.nodes;
	if (first === undefined) throw new RangeError('a laboratory without nodes');
	const target = (from: typeof first, to: typeof first): PingTarget => ({
		from: from.pod.name,
		namespace: laboratory.namespace(from.pod.name),
		to: to.pod.name,
		address: to.pod.address,
	});
	const targets = others.flatMap((other) => [target(first, other), target(other, first)]);
	const rows: PingRow[] = [];
	const beginMs = Date.now();
	let happened = false;
	const streams = async () => {
		do
			rows.push(
				...(await pingAll(targets, { count: roundSeconds / intervalSeconds, waitSeconds: 1, intervalSeconds })),
			);
		while (!happened && !signal.aborted);
	};
	const happening = async () => {
		await pause(1000, undefined, { signal });
		try {
			await happens();
		} finally {
			happened = true;
		}
	};
	await Promise.all([streams(), happening()]);
	return { rows, beginMs };
}

/** The result of such pings. Pure. */
export function countLosses(rows: readonly PingRow[], beginMs: number): Losses {
	const losses = lossesOf(rows, beginMs);
	return { ...countPings(rows), ...(losses.length === 0 ? {} : { losses }) };
}

/** The packets of `pingsDuring`, counted. */
export async function lossDuring(
	laboratory: Laboratory,
	happens: () => Promise<void>,
	signal: AbortSignal,
): Promise<Losses> {
	const { rows, beginMs } = await pingsDuring(laboratory, happens, signal);
	return countLosses(rows, beginMs);
}
