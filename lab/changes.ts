import { setTimeout as pause } from 'node:timers/promises';
import { must } from './commands.ts';
import type { Laboratory, Sight } from './laboratory.ts';
import { lossDuring } from './losses.ts';
import type { ScenarioResult } from './report.ts';
import { nodesFile, type PoolMode, poolsFile } from './resources.ts';
import type { LabTopology } from './topology.ts';

const mostSeconds = 60;
/** Other daemons may be a moment behind the observed one. */
const settleMs = 3000;

/** The transport of packets to nodes of the other subnet. */
const devices: Readonly<Record<PoolMode, string>> = { ipip: 'tunl0', vxlan: 'vxlan.calico', none: 'eth0' };

/**
 * IPIP, VXLAN, no tunnel, VXLAN, IPIP; VXLAN, no tunnel, VXLAN where the pools begin with it, as in
 * a kernel without ipip. Without a tunnel the router has routes to the blocks, as a
 * fabric would.
 */
export async function poolMode(laboratory: Laboratory, signal: AbortSignal): Promise<ScenarioResult> {
	const { cluster, topology } = laboratory;
	if (cluster === undefined) throw new RangeError('a laboratory without an API server');
	const problems: string[] = [];
	const router = laboratory.namespace('router');
	const fabric = (verb: 'replace' | 'del') =>
		Promise.all(
			topology.nodes.map(({ block, address }) => must('ip', ['-n', router, 'route', verb, block, 'via', address])),
		);
	const isIn =
		(mode: PoolMode) =>
		({ routes }: Sight): boolean =>
			topology.nodes.every(({ name, subnet }) => {
				const far = topology.nodes.filter((other) => other.subnet !== subnet).map(({ block }) => block);
				const rows = routes[name] ?? [];
				return far.every((block) => rows.some(({ prefix, device }) => prefix === block && device === devices[mode]));
			});
	const become = async (mode: PoolMode) => {
		await cluster.apply([poolsFile(topology, mode)]);
		if (!isIn(mode)(await laboratory.lookUntil(isIn(mode), mostSeconds, signal)))
			problems.push(`not every route went through ${devices[mode]} after the change to ${mode}`);
		await pause(settleMs, undefined, { signal });
	};
	const hasIpip = laboratory.poolMode === 'ipip';
	const happens = async () => {
		if (hasIpip) await become('vxlan');
		await fabric('replace');
		await become('none');
		await become('vxlan');
		await fabric('del');
		if (hasIpip) await become('ipip');
	};
	const counts = await lossDuring(laboratory, happens, signal);
	const text =
		`the pools changed from ${hasIpip ? 'IPIP to VXLAN' : 'VXLAN'}, to no tunnel, and back: ${counts.lost} of ` +
		`${counts.sent} packets lost${problems.map((problem) => `; ${problem}`).join('')}`;
	return { name: 'pool-mode', ...counts, ok: counts.lost === 0 && problems.length === 0, text };
}

/**
 * The first node gets another address in its subnet: on its interface, then on its Node; the old
 * one is removed when all sessions, routes and tunnels use the new one.
 */
export async function addressChange(laboratory: Laboratory, signal: AbortSignal): Promise<ScenarioResult> {
	const { cluster, topology } = laboratory;
	const [node, ...others] = topology.nodes;
	if (cluster === undefined || node === undefined) throw new RangeError('a laboratory without nodes or an API server');
	const problems: string[] = [];
	const namespace = laboratory.namespace(node.name);
	const become = async (from: string, to: string) => {
		const after: LabTopology = { ...topology, nodes: [{ ...node, address: to }, ...others] };
		await must('ip', ['-n', namespace, 'addr', 'add', `${to}/${node.subnet.length}`, 'dev', 'eth0']);
		await cluster.apply([nodesFile(after, false)]);
		laboratory.becomes(after);
		const uses = (sight: Sight) =>
			laboratory.converged(sight) &&
			others.every(({ name }) =>
				sight.sessions.some(
					(session) => session.node === name && session.address === to && session.state === 'established',
				),
			) &&
			!sight.sessions.some(({ address }) => address === from);
		if (!uses(await laboratory.lookUntil(uses, mostSeconds * 2, signal))) problems.push(`not every session uses ${to}`);
		// Routes follow the sessions, on a busy machine by seconds.
		if (!(await laboratory.isUnused(from, mostSeconds, signal)))
			problems.push(`not every kernel uses ${to} in place of ${from}`);
		await pause(settleMs, undefined, { signal });
		await must('ip', ['-n', namespace, 'addr', 'del', `${from}/${node.subnet.length}`, 'dev', 'eth0']);
		await must('ip', ['-n', namespace, 'route', 'replace', 'default', 'via', node.subnet.router]);
		await pause(settleMs, undefined, { signal });
	};
	// Without it the kernel removes the second address of a subnet with the first.
	await must('ip', ['netns', 'exec', namespace, 'sysctl', '-q', '-w', 'net.ipv4.conf.eth0.promote_secondaries=1']);
	const other = node.address.replace(/\d+$/, '77');
	const happens = async () => {
		await become(node.address, other);
		await become(other, node.address);
	};
	const counts = await lossDuring(laboratory, happens, signal);
	const text =
		`the address of ${node.name} changed from ${node.address} to ${other} and back: ` +
		`${counts.lost} of ${counts.sent} packets ` +
		`lost${problems.map((problem) => `; ${problem}`).join('')}`;
	return { name: 'address', ...counts, ok: counts.lost === 0 && problems.length === 0, text };
}
