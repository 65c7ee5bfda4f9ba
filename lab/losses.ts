import { setTimeout as pause } from 'node:timers/promises';
import type { Laboratory } from './laboratory.ts';
import { countPings, type PingTarget, pingAll } from './pings.ts';
import type { PingCounts, PingRow } from './report.ts';

const intervalSeconds = 0.02;
const roundSeconds = 10;

/**
 * Pings in both directions between the pod of the first node and every other pod, 50 per second
 * each, from a second before `happens` until it has completed, on a machine of any speed. They run
 * in rounds, since an interrupted ping can't distinguish lost packets from those in flight: a few
 * milliseconds are between two.
 */
export async function lossDuring(
	laboratory: Laboratory,
	happens: () => Promise<void>,
	signal: AbortSignal,
): Promise<PingCounts> {
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
	return countPings(rows);
}
