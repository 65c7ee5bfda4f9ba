import { setTimeout as pause } from 'node:timers/promises';
import type { Laboratory } from './laboratory.ts';
import { countPings, type PingTarget, pingAll } from './pings.ts';
import type { ScenarioResult } from './report.ts';

/** Something that happens to a laboratory that works, and what it must not cost. */
export interface Scenario {
	readonly describe: string;
	readonly run: (laboratory: Laboratory, signal: AbortSignal) => Promise<ScenarioResult>;
}

const intervalSeconds = 0.02;
const streamSeconds = 10;

/** Pings there and back between the pod of the first node and every other pod, 50 a second each, while `happens` happens. */
async function lossDuring(laboratory: Laboratory, happens: () => Promise<void>) {
	const [first, ...others] = laboratory.topology.nodes;
	if (first === undefined) throw new RangeError('a laboratory without nodes');
	const target = (from: typeof first, to: typeof first): PingTarget => ({
		from: from.pod.name,
		namespace: laboratory.namespace(from.pod.name),
		to: to.pod.name,
		address: to.pod.address,
	});
	const streams = pingAll(
		others.flatMap((other) => [target(first, other), target(other, first)]),
		{ count: Math.round(streamSeconds / intervalSeconds), waitSeconds: 1, intervalSeconds },
	);
	await happens();
	return countPings(await streams);
}

/** Restarts the daemon of the first node, ended by `signal`, while packets flow; then everything must be as before. */
const restart =
	(ending: NodeJS.Signals, name: string): Scenario['run'] =>
	async (laboratory, signal) => {
		const [node] = laboratory.topology.nodes;
		if (node === undefined) throw new RangeError('a laboratory without nodes');
		const counts = await lossDuring(laboratory, async () => {
			await pause(1000, undefined, { signal });
			await laboratory.kill(node.name, ending);
			await pause(1500, undefined, { signal });
			await laboratory.startDaemon(node);
		});
		const sight = await laboratory.lookUntil(laboratory.converged, 30, signal);
		const again = laboratory.converged(sight);
		const text = `the daemon of ${node.name} was ended by ${ending} and started again: ${counts.lost} of ${counts.sent} packets lost${again ? '' : '; not every session and route came back'}`;
		return { name, ...counts, ok: counts.lost === 0 && again, text };
	};

/** What `--scenario` knows. */
export const scenarios: Readonly<Record<string, Scenario>> = {
	crash: { describe: 'a daemon is killed with SIGKILL and started again; no packet may be lost', run: restart('SIGKILL', 'crash') },
	restart: { describe: 'a daemon is stopped with SIGTERM and started again; no packet may be lost', run: restart('SIGTERM', 'restart') },
};
