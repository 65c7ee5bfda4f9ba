import { setTimeout as pause } from 'node:timers/promises';
import type { Laboratory } from './laboratory.ts';
import { countPings, type PingTarget, pingAll } from './pings.ts';
import type { PingCounts, PingRow, ScenarioResult } from './report.ts';
import { crowdFile, crowdPool, meshFile, nodesFile, reflectorFile } from './resources.ts';
import { type LabMode, type LabTopology, labTopology } from './topology.ts';

/** Something that happens to a laboratory that works, and what it must not cost. */
export interface Scenario {
	readonly describe: string;
	/** Only where an API server has the resources. */
	readonly needsCluster?: boolean;
	/** Only in this layout. */
	readonly mode?: LabMode;
	/** What it needs beside what the laboratory itself has, where the laboratory runs in a kernel of its own. */
	readonly memoryMiB?: number;
	readonly run: (laboratory: Laboratory, signal: AbortSignal) => Promise<ScenarioResult>;
}

const intervalSeconds = 0.02;
const roundSeconds = 10;

/**
 * Pings there and back between the pod of the first node and every other pod, 50 a second each, from a second before `happens` until it has happened, however
 * slow the machine is. They go in rounds, since a ping that is cut off can't tell what was lost from what is on its way: a few milliseconds lie between two.
 */
async function lossDuring(laboratory: Laboratory, happens: () => Promise<void>, signal: AbortSignal): Promise<PingCounts> {
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
		do rows.push(...(await pingAll(targets, { count: roundSeconds / intervalSeconds, waitSeconds: 1, intervalSeconds })));
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

/** Restarts the daemon of the first node, ended by `signal`, while packets flow; then everything must be as before. */
const restart =
	(ending: NodeJS.Signals, name: string): Scenario['run'] =>
	async (laboratory, signal) => {
		const [node] = laboratory.topology.nodes;
		if (node === undefined) throw new RangeError('a laboratory without nodes');
		let again = false;
		const happens = async () => {
			await laboratory.kill(node.name, ending);
			await pause(1500, undefined, { signal });
			await laboratory.startDaemon(node);
			again = laboratory.converged(await laboratory.lookUntil(laboratory.converged, 150, signal));
		};
		const counts = await lossDuring(laboratory, happens, signal);
		const text = `the daemon of ${node.name} was ended by ${ending} and started again: ${counts.lost} of ${counts.sent} packets lost${again ? '' : '; not every session and route came back'}`;
		return { name, ...counts, ok: counts.lost === 0 && again, text };
	};

/**
 * A full mesh becomes two reflectors with their clients and a mesh again, by resources alone, in the order that the documentation
 * gives: first the neighbours that will be, then the end of those that were.
 */
const meshToReflector: Scenario['run'] = async (laboratory, signal) => {
	const { cluster } = laboratory;
	if (cluster === undefined) throw new RangeError('a laboratory without an API server');
	const mesh = labTopology('mesh');
	const reflector = labTopology('reflector');
	const problems: string[] = [];
	const until = async (topology: LabTopology) => {
		laboratory.becomes(topology);
		const sight = await laboratory.lookUntil(laboratory.converged, 150, signal);
		if (!laboratory.converged(sight)) problems.push(`not every session of the ${topology.mode} came up, or not every other one ended`);
	};
	const happens = async () => {
		await cluster.apply([reflectorFile, nodesFile(mesh, true)]);
		await pause(3000, undefined, { signal });
		await cluster.apply([meshFile(mesh, false)]);
		await until(reflector);
		await cluster.apply([meshFile(mesh, true)]);
		await pause(3000, undefined, { signal });
		await cluster.apply([nodesFile(mesh, false)]);
		await until(mesh);
	};
	const counts = await lossDuring(laboratory, happens, signal);
	const text = `the mesh became two reflectors and a mesh again: ${counts.lost} of ${counts.sent} packets lost${problems.map((problem) => `; ${problem}`).join('')}`;
	return { name: 'mesh-to-reflector', ...counts, ok: counts.lost === 0 && problems.length === 0, text };
};

const crowd = 100;
/** So many pings at the same time: a `ping` that waits seconds for a processor takes its answers for lost. */
const pingsAtOnce = 10;

/**
 * A hundred pods are attached to the first node at the same moment, and detached: each by a process of `ptp` and one of our plugin. The
 * node's pool has not that many addresses, so another one is applied first; the blocks that the node takes of it are announced, or no
 * packet from the other nodes would arrive.
 */
const pods: Scenario['run'] = async (laboratory, signal) => {
	const { cluster } = laboratory;
	const [node, ...others] = laboratory.topology.nodes;
	if (cluster === undefined || node === undefined) throw new RangeError('a laboratory without nodes or an API server');
	await cluster.apply([crowdFile(node)]);
	await laboratory.knowsPool(node, crowdPool, signal);
	const names = Array.from({ length: crowd }, (_, index) => `crowd-${index + 1}`);
	await laboratory.addNamespaces(names);
	const call = (verb: 'ADD' | 'DEL') => Promise.allSettled(names.map((pod) => cluster.plugin(verb, { node, socket: laboratory.socket(node), pod })));
	const problems: string[] = [];
	const failed = (verb: string, results: readonly PromiseSettledResult<string>[]) => {
		const reasons = results.flatMap((result) => (result.status === 'rejected' ? [String(result.reason)] : []));
		if (reasons.length > 0) problems.push(`${reasons.length} ${verb} failed, the first with: ${reasons[0]}`);
	};

	const attached = await call('ADD');
	failed('ADD', attached);
	const given = attached.flatMap((result, index) => (result.status === 'fulfilled' ? [{ to: names[index] ?? '', address: result.value }] : []));
	const owners = new Set([...given.map(({ address }) => address), ...laboratory.topology.nodes.map(({ pod }) => pod.address)]);
	const twice = given.length + laboratory.topology.nodes.length - owners.size;
	if (twice > 0) problems.push(`${twice} addresses were given twice`);
	const addresses = given.map(({ address }) => address);
	const attachedAt = performance.now();
	if (!(await laboratory.reachable(node, addresses, signal))) problems.push('not every other node has the routes');
	const routesSeconds = (performance.now() - attachedAt) / 1000;
	const pings: PingRow[] = [];
	for (let first = 0; first < given.length; first += pingsAtOnce)
		pings.push(...(await laboratory.pingFrom(others, given.slice(first, first + pingsAtOnce), { count: 2, waitSeconds: 5 })));
	const counts = countPings(pings);
	const unreached = pings.flatMap(({ from, to, address, lost }) => (lost > 0 ? [`${lost} from ${from} to ${to} (${address})`] : []));
	if (unreached.length > 0) problems.push(`pings were lost: ${unreached.join(', ')}`);

	failed('DEL', await call('DEL'));
	const left = await laboratory.stillUsed(node, addresses, signal);
	if (left.length > 0) problems.push(`addresses were left behind: ${left.join(', ')}`);
	const reached = `${counts.lost} of ${counts.sent} pings to them from the other nodes lost`;
	const text = `${given.length} of ${crowd} pods were attached to ${node.name} at once, the others' routes were there ${routesSeconds.toFixed(1)} s later, ${reached}, and detached${problems.map((problem) => `; ${problem}`).join('')}`;
	return { name: 'pods', ...counts, ok: counts.lost === 0 && counts.sent > 0 && problems.length === 0, text };
};

/** What `--scenario` knows. */
export const scenarios: Readonly<Record<string, Scenario>> = {
	'mesh-to-reflector': {
		describe: 'a full mesh becomes two route reflectors, and back, by resources alone; no packet may be lost',
		needsCluster: true,
		mode: 'mesh',
		run: meshToReflector,
	},
	pods: {
		describe: 'a hundred pods are attached to one node at once by the CNI plugins, reached from the others, and detached',
		needsCluster: true,
		memoryMiB: 5120,
		run: pods,
	},
	crash: { describe: 'a daemon is killed with SIGKILL and started again; no packet may be lost', run: restart('SIGKILL', 'crash') },
	restart: { describe: 'a daemon leaves by SIGUSR2, as at systemctl restart, and is started again; no packet may be lost', run: restart('SIGUSR2', 'restart') },
};
