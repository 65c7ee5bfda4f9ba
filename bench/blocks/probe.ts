/**
 * Runs inside the daemon (`--import`): measures the blocks of its event loop, to a millisecond.
 * Each message of the parent gets the longest block since the last one, and starts a new
 * measurement.
 */
import { openSync, readSync } from 'node:fs';

/** Milliseconds: by the clock, and without the time in which the thread waited for a processor. */
export interface Block {
	readonly clockMs: number;
	readonly ownMs: number;
}

const intervalMs = 1;
const schedule = openSync('/proc/self/schedstat', 'r');
const buffer = Buffer.alloc(128);

/** Nanoseconds that the main thread was runnable and not running: the second field of schedstat. */
function waitedMs(): number {
	const length = readSync(schedule, buffer, 0, buffer.length, 0);
	return Number(buffer.toString('latin1', 0, length).split(' ')[1] ?? 0) / 1e6;
}

let longest = { clockMs: 0, ownMs: 0 };
let atMs = performance.now();
let waitedAtMs = waitedMs();

setInterval(() => {
	const [nowMs, waitedNowMs] = [performance.now(), waitedMs()];
	const clockMs = nowMs - atMs - intervalMs;
	const ownMs = clockMs - (waitedNowMs - waitedAtMs);
	longest = { clockMs: Math.max(longest.clockMs, clockMs), ownMs: Math.max(longest.ownMs, ownMs) };
	[atMs, waitedAtMs] = [nowMs, waitedNowMs];
}, intervalMs).unref();

process.on('message', () => {
	process.send?.(longest);
	longest = { clockMs: 0, ownMs: 0 };
});
// The channel alone does not keep the daemon alive.
process.channel?.unref();
