import { setTimeout as pause } from 'node:timers/promises';
import { must } from './commands.ts';
import type { Laboratory } from './laboratory.ts';
import { countLosses, lossDuring, pingsDuring } from './losses.ts';
import { countPings } from './pings.ts';
import type { PingRow, ScenarioResult } from './report.ts';

/** Duration of an outage of a cable or the router. */
const outageMs = 3000;
/** Time for which packets flow after everything is back. */
const afterwardsMs = 3000;
const mostSeconds = 150;
const crashes = 5;

/** Waits until every session and route is present. `false`: timeout. */
const comesBack = async (laboratory: Laboratory, signal: AbortSignal): Promise<boolean> =>
	laboratory.converged(await laboratory.lookUntil(laboratory.converged, mostSeconds, signal));

const notBack = (back: boolean): string => (back ? '' : '; not every session and route came back');

/** A daemon that is killed again as soon as it has started. */
export async function crashLoop(laboratory: Laboratory, signal: AbortSignal): Promise<ScenarioResult> {
	const [node] = laboratory.topology.nodes;
	if (node === undefined) throw new RangeError('a laboratory without nodes');
	let back = false;
	const happens = async () => {
		for (let crash = 0; crash < crashes; crash++) {
			await laboratory.kill(node.name, 'SIGKILL');
			await laboratory.startDaemon(node);
			await pause(2000, undefined, { signal });
		}
		back = await comesBack(laboratory, signal);
	};
	const counts = await lossDuring(laboratory, happens, signal);
	const text =
		`the daemon of ${node.name} was killed ${crashes} times in a row: ${counts.lost} of ` +
		`${counts.sent} packets lost${notBack(back)}`;
	return { name: 'crash-loop', ...counts, ok: counts.lost === 0 && back, text };
}

/** Delay of the second restart after the first one, in milliseconds: peers still converge then. */
const againMs = 2000;

/**
 * Every daemon ends by `ending` at the same moment and is started, and once more within ten
 * seconds, while peers may still be in their restart time (RFC 4724 §4.2). The kernels keep
 * forwarding.
 */
export const restartAll =
	(ending: NodeJS.Signals, name: string) =>
	async (laboratory: Laboratory, signal: AbortSignal): Promise<ScenarioResult> => {
		const { nodes } = laboratory.topology;
		const seconds: number[] = [];
		let back = false;
		const together = async () => {
			await Promise.all(nodes.map((node) => laboratory.kill(node.name, ending)));
			await Promise.all(nodes.map((node) => laboratory.startDaemon(node)));
			return performance.now();
		};
		const happens = async () => {
			const first = await together();
			await pause(againMs, undefined, { signal });
			const second = await together();
			seconds.push((second - first) / 1000);
			back = await comesBack(laboratory, signal);
			seconds.push((performance.now() - second) / 1000);
		};
		const counts = await lossDuring(laboratory, happens, signal);
		const [apart = 0, converged = 0] = seconds.map((value) => Number(value.toFixed(1)));
		const text =
			`the daemons of all ${nodes.length} nodes were ended by ${ending} at once and started, and ` +
			`again ${apart} s later: ${counts.lost} of ${counts.sent} packets ` +
			`lost${back ? `, every session and route was back ${converged} s after the second start` : notBack(back)}`;
		return { name, ...counts, ok: counts.lost === 0 && back, text };
	};

/**
 * A connection is interrupted and restored. Losses are counted meanwhile; afterwards no packet may
 * be lost.
 */
async function outage(
	name: string,
	what: string,
	laboratory: Laboratory,
	signal: AbortSignal,
	{ cut, mend }: { readonly cut: () => Promise<unknown>; readonly mend: () => Promise<unknown> },
): Promise<ScenarioResult> {
	let back = false;
	let mendedAtMs = 0;
	let backAtMs = 0;
	const happens = async () => {
		await cut();
		await pause(outageMs, undefined, { signal });
		await mend();
		mendedAtMs = Date.now();
		back = await comesBack(laboratory, signal);
		backAtMs = Date.now();
		// A whole round of packets after that.
		await pause(afterwardsMs, undefined, { signal });
	};
	const { rows, beginMs } = await pingsDuring(laboratory, happens, signal);
	const counts = countLosses(rows, beginMs);
	const after = countPings(await laboratory.podPings(10, 2));
	const phases = lossPhases(rows, { mendedAtMs, backAtMs });
	const lostByPhase = { ...phases, afterwards: phases.afterwards + after.lost };
	const text =
		`${what} was away for ${outageMs / 1000} s: ${counts.lost} of ${counts.sent} packets lost, ` +
		`${phases.away} of them meanwhile, ${phases.comingBack} until every session and route was back ` +
		`${((backAtMs - mendedAtMs) / 1000).toFixed(1)} s later, ${lostByPhase.afterwards} after that${notBack(back)}`;
	return { name, ...counts, lostByPhase, ok: back && lostByPhase.afterwards === 0 && after.sent > 0, text };
}

/**
 * The lost packets of an outage by the time at which they were sent. One without a known time was
 * lost meanwhile: no packet of its round arrived. Pure.
 */
export function lossPhases(
	rows: readonly PingRow[],
	{ mendedAtMs, backAtMs }: { readonly mendedAtMs: number; readonly backAtMs: number },
): NonNullable<ScenarioResult['lostByPhase']> {
	const times = rows.flatMap(({ lostAtMs = [] }) => lostAtMs);
	const { lost } = countPings(rows);
	const afterwards = times.filter((at) => at >= backAtMs).length;
	const comingBack = times.filter((at) => at >= mendedAtMs).length - afterwards;
	return { away: lost - comingBack - afterwards, comingBack, afterwards };
}

/**
 * The cable of the first node: its interface goes down, and with it the routes of its addresses and
 * the default route.
 */
export function linkOutage(laboratory: Laboratory, signal: AbortSignal): Promise<ScenarioResult> {
	const [node] = laboratory.topology.nodes;
	if (node === undefined) throw new RangeError('a laboratory without nodes');
	const namespace = laboratory.namespace(node.name);
	return outage('link', `the link of ${node.name}`, laboratory, signal, {
		cut: () => must('ip', ['-n', namespace, 'link', 'set', 'eth0', 'down']),
		async mend() {
			await must('ip', ['-n', namespace, 'link', 'set', 'eth0', 'up']);
			// The kernel keeps the address; the default route must be added again.
			await must('ip', ['-n', namespace, 'route', 'replace', 'default', 'via', node.subnet.router]);
		},
	});
}

/** The router between the subnets, which is also on the path to the API server. */
export function routerReboot(laboratory: Laboratory, signal: AbortSignal): Promise<ScenarioResult> {
	const namespace = laboratory.namespace('router');
	const set = (state: 'up' | 'down') =>
		Promise.all(
			laboratory.topology.subnets.map(({ name }) => must('ip', ['-n', namespace, 'link', 'set', name, state])),
		);
	return outage('router', 'the router', laboratory, signal, { cut: () => set('down'), mend: () => set('up') });
}
