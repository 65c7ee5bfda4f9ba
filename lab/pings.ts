import { run } from './commands.ts';
import type { PingCounts, PingRow } from './report.ts';

/** Source and targets of pings. */
export interface PingTarget {
	readonly from: string;
	/** The kernel's name of the source namespace. */
	readonly namespace: string;
	readonly to: string;
	readonly address: string;
}

/** Interval, and time-out of a reply. */
export interface PingOptions {
	readonly count: number;
	readonly waitSeconds: number;
	/** Default 0.2. */
	readonly intervalSeconds?: number;
}

/** Pings all targets at the same time, `count` packets each. */
export async function pingAll(
	targets: readonly PingTarget[],
	{ count, waitSeconds, intervalSeconds = 0.2 }: PingOptions,
): Promise<PingRow[]> {
	return Promise.all(
		targets.map(async ({ from, namespace, to, address }) => {
			const args = ['-n', '-q', '-c', `${count}`, '-i', `${intervalSeconds}`, '-W', `${waitSeconds}`, address];
			const { stdout } = await run('ip', ['netns', 'exec', namespace, 'ping', ...args]);
			return { from, to, address, ...parsePing(stdout, count) };
		}),
	);
}

/** The summary of `ping -q`. Without one (no route to the target) every packet is lost. */
export function parsePing(text: string, count: number): { sent: number; lost: number; averageMs?: number } {
	const counts = /(\d+) packets transmitted, (\d+) received/.exec(text);
	if (counts === null) return { sent: count, lost: count };
	const sent = Number(counts[1]);
	const average = /= [\d.]+\/([\d.]+)\//.exec(text)?.[1];
	return { sent, lost: sent - Number(counts[2]), ...(average === undefined ? {} : { averageMs: Number(average) }) };
}

/** Sent and lost of all rows. */
export function countPings(rows: readonly PingRow[]): PingCounts {
	return rows.reduce(({ sent, lost }, row) => ({ sent: sent + row.sent, lost: lost + row.lost }), { sent: 0, lost: 0 });
}
