import { setTimeout as pause } from 'node:timers/promises';
import { tunnelOverheadBytes } from '../src/encapsulation/index.ts';
import { must } from './commands.ts';
import type { Laboratory } from './laboratory.ts';
import { lossDuring } from './losses.ts';
import { problemsOf } from './observe.ts';
import type { ScenarioResult } from './report.ts';
import type { PoolMode } from './resources.ts';

const usualMtuBytes = 1500;
/** The MTU of the switch's port to the node. */
const holeMtuBytes = 1400;
/** A bridge forwards frames with a VLAN tag in addition to the MTU. */
const vlanTagBytes = 4;
/** Headers of the tunnel in front of a packet. */
const overheadBytes: Readonly<Record<PoolMode, number>> = {
	ipip: tunnelOverheadBytes.ipip,
	vxlan: tunnelOverheadBytes.vxlan,
	none: 0,
};
const mostSeconds = 150;
const lookMs = 500;

/**
 * The switch's port to a node of the other subnet gets a smaller MTU: a switch sends no ICMP error,
 * so that packets of full size vanish. Both nodes of the first subnet must report it with the node
 * and the size that passes, and the end of it after the repair; small packets must not be lost.
 */
export async function blackHole(laboratory: Laboratory, signal: AbortSignal): Promise<ScenarioResult> {
	const { nodes } = laboratory.topology;
	const [first] = nodes;
	const far = nodes.find(({ subnet }) => subnet !== first?.subnet);
	if (first === undefined || far === undefined) throw new RangeError('a laboratory without nodes in two subnets');
	const reporters = nodes.filter(({ subnet }) => subnet === first.subnet);
	const passes = holeMtuBytes + vlanTagBytes - overheadBytes[laboratory.poolMode];
	const problems: string[] = [];
	let reported = '';
	const setPort = (mtuBytes: number) =>
		must('ip', ['-n', laboratory.namespace('switches'), 'link', 'set', far.name, 'mtu', `${mtuBytes}`]);
	/** The reasons of all reporters, once each of them has one or none of them has. */
	const until = async (isThere: boolean): Promise<readonly string[] | undefined> => {
		for (const deadline = performance.now() + mostSeconds * 1000; performance.now() < deadline; ) {
			const reasons = await Promise.all(
				reporters.map(async (node) => {
					const found = await problemsOf(laboratory.socket(node));
					return found.flatMap(({ id, subject, reason }) =>
						id === 'tunnel-mtu' && subject === far.name ? [reason] : [],
					);
				}),
			);
			if (reasons.every((each) => each.length > 0 === isThere)) return reasons.flat();
			await pause(lookMs, undefined, { signal });
		}
		return undefined;
	};
	const happens = async () => {
		await setPort(holeMtuBytes);
		const reasons = await until(true);
		if (reasons === undefined) problems.push(`not every node of ${first.subnet.name} reported ${far.name}`);
		reported = reasons?.[0] ?? '';
		for (const reason of reasons ?? [])
			if (!reason.includes(` ${passes} bytes arrive`)) problems.push(`the size that passes is ${passes}: ${reason}`);
		await setPort(usualMtuBytes);
		if ((await until(false)) === undefined) problems.push('the problem did not end with the repair');
	};
	const counts = await lossDuring(laboratory, happens, signal);
	const text =
		`the way to ${far.name} lost packets of full size: ${counts.lost} of ${counts.sent} small ` +
		`packets lost; reported: ${reported}${problems.map((problem) => `; ${problem}`).join('')}`;
	return { name: 'mtu', ...counts, ok: counts.lost === 0 && problems.length === 0, text };
}
