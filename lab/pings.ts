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
			const args = ['-n', '-D', '-c', `${count}`, '-i', `${intervalSeconds}`, '-W', `${waitSeconds}`, address];
			const { stdout } = await run('ip', ['netns', 'exec', namespace, 'ping', ...args]);
			return { from, to, address, ...parsePing(stdout, count) };
		}),
	);
}

/**
 * The summary of `ping -D`. Without one (no route to the target) every packet is lost. `lostAtMs`:
 * about when the lost packets were sent, in milliseconds since 1970, if any were and any arrived.
 */
export function parsePing(text: string, count: number): Pick<PingRow, 'sent' | 'lost' | 'averageMs' | 'lostAtMs'> {
	const counts = /(\d+) packets transmitted, (\d+) received/.exec(text);
	if (counts === null) return { sent: count, lost: count };
	const sent = Number(counts[1]);
	const lost = sent - Number(counts[2]);
	const average = /= [\d.]+\/([\d.]+)\//.exec(text)?.[1];
	const lostAtMs = lost === 0 ? [] : timesOfLost(text, sent);
	return {
		sent,
		lost,
		...(average === undefined ? {} : { averageMs: Number(average) }),
		...(lostAtMs.length === 0 ? {} : { lostAtMs }),
	};
}

/**
 * The times at which packets without a reply were sent: by their sequence numbers, between the
 * neighbours that have one.
 */
function timesOfLost(text: string, sent: number): readonly number[] {
	const sentAt = new Map<number, number>();
	for (const [, seconds, sequence, milliseconds] of text.matchAll(
		/^\[([\d.]+)\] .* icmp_seq=(\d+) .*time=([\d.]+) ms/gm,
	))
		sentAt.set(Number(sequence), Number(seconds) * 1000 - Number(milliseconds));
	const replied = [...sentAt].sort(([left], [right]) => left - right);
	const [first, last] = [replied[0], replied.at(-1)];
	if (first === undefined || last === undefined) return [];
	const usualMs = last[0] === first[0] ? 0 : (last[1] - first[1]) / (last[0] - first[0]);
	const times: number[] = [];
	let before = first;
	let next = 0;
	for (let sequence = 1; sequence <= sent; sequence++) {
		while (next < replied.length && (replied[next]?.[0] ?? 0) <= sequence) before = replied[next++] ?? before;
		if (sentAt.has(sequence)) continue;
		const after = replied[next];
		const stepMs =
			after === undefined || after[0] <= before[0] ? usualMs : (after[1] - before[1]) / (after[0] - before[0]);
		times.push(Math.round(before[1] + (sequence - before[0]) * stepMs));
	}
	return times;
}

/** Sent and lost of all rows. */
export function countPings(rows: readonly PingRow[]): PingCounts {
	return rows.reduce(({ sent, lost }, row) => ({ sent: sent + row.sent, lost: lost + row.lost }), { sent: 0, lost: 0 });
}
