import { setTimeout as pause } from 'node:timers/promises';
import { blackHole } from './black-hole.ts';
import { addressChange, poolMode } from './changes.ts';
import type { Laboratory } from './laboratory.ts';
import { lossDuring } from './losses.ts';
import { crashLoop, linkOutage, restartAll, routerReboot } from './outages.ts';
import { countPings } from './pings.ts';
import { policyChange } from './policy-change.ts';
import type { PingRow, ScenarioResult } from './report.ts';
import { crowdFile, crowdPool, meshFile, nodesFile, reflectorFile } from './resources.ts';
import { type LabMode, type LabTopology, labTopology } from './topology.ts';

/** An event in a working laboratory, and its permitted losses. */
export interface Scenario {
	readonly describe: string;
	/** Only if an API server has the resources. */
	readonly needsCluster?: boolean;
	/** The daemons enforce network policy, which needs nftables with the family inet. */
	readonly enforcesPolicy?: true;
	/** Only in this layout. */
	readonly mode?: LabMode;
	/** Additional resources if the laboratory runs in a separate kernel. */
	readonly memoryMiB?: number;
	/** `progress` takes lines for the user while long work goes on. */
	readonly run: (
		laboratory: Laboratory,
		signal: AbortSignal,
		progress: (text: string) => void,
	) => Promise<ScenarioResult>;
}

/**
 * Restarts the daemon of the first node, stopped by `signal`, while packets flow; then the state
 * must be as before.
 */
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
		const text =
			`the daemon of ${node.name} was ended by ${ending} and started again: ${counts.lost} of ` +
			`${counts.sent} packets lost${again ? '' : '; not every session and route came back'}`;
		return { name, ...counts, ok: counts.lost === 0 && again, text };
	};

/**
 * A full mesh becomes two reflectors with their clients and a mesh again, only by resources, in the
 * order of the documentation: first the new neighbours, then the removal of the old ones.
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
		if (!laboratory.converged(sight))
			problems.push(`not every session of the ${topology.mode} came up, or not every other one ended`);
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
	const text =
		`the mesh became two reflectors and a mesh again: ${counts.lost} of ${counts.sent} packets ` +
		`lost${problems.map((problem) => `; ${problem}`).join('')}`;
	return { name: 'mesh-to-reflector', ...counts, ok: counts.lost === 0 && problems.length === 0, text };
};

/**
 * Counts completed items, and reports each tenth of them: `pods attached: 30 of 100`. Exported for
 * its test.
 */
export function counted(what: string, total: number, progress: (text: string) => void): (more: number) => void {
	let done = 0;
	let reported = 0;
	return (more) => {
		done += more;
		const tenths = Math.floor((done * 10) / total);
		if (tenths === reported) return;
		reported = tenths;
		progress(`${what}: ${done} of ${total}`);
	};
}

const crowd = 100;
/** Concurrent pings: a `ping` that waits seconds for a processor counts its replies as lost. */
const pingsAtOnce = 10;

/**
 * A hundred pods are attached to the first node concurrently, and detached: each by a process of
 * `ptp` and one of our plugin. The node's pool does not have that many addresses, so another one is
 * applied first; the blocks that the node claims of it are announced, otherwise no packet from the
 * other nodes would arrive.
 */
const pods: Scenario['run'] = async (laboratory, signal, progress) => {
	const { cluster } = laboratory;
	const [node, ...others] = laboratory.topology.nodes;
	if (cluster === undefined || node === undefined) throw new RangeError('a laboratory without nodes or an API server');
	await cluster.apply([crowdFile(node)]);
	await laboratory.knowsPool(node, crowdPool, signal);
	const names = Array.from({ length: crowd }, (_, index) => `crowd-${index + 1}`);
	await laboratory.addNamespaces(names);
	const call = (verb: 'ADD' | 'DEL') => {
		const ended = counted(`pods ${verb === 'ADD' ? 'attached' : 'detached'}`, crowd, progress);
		return Promise.allSettled(
			names.map((pod) => cluster.plugin(verb, { node, socket: laboratory.socket(node), pod }).finally(() => ended(1))),
		);
	};
	const problems: string[] = [];
	const failed = (verb: string, results: readonly PromiseSettledResult<string>[]) => {
		const reasons = results.flatMap((result) => (result.status === 'rejected' ? [String(result.reason)] : []));
		if (reasons.length > 0) problems.push(`${reasons.length} ${verb} failed, the first with: ${reasons[0]}`);
	};

	const attached = await call('ADD');
	failed('ADD', attached);
	const given = attached.flatMap((result, index) =>
		result.status === 'fulfilled' ? [{ to: names[index] ?? '', address: result.value }] : [],
	);
	const owners = new Set([
		...given.map(({ address }) => address),
		...laboratory.topology.nodes.map(({ pod }) => pod.address),
	]);
	const twice = given.length + laboratory.topology.nodes.length - owners.size;
	if (twice > 0) problems.push(`${twice} addresses were given twice`);
	const addresses = given.map(({ address }) => address);
	const attachedAt = performance.now();
	if (!(await laboratory.reachable(node, addresses, signal))) problems.push('not every other node has the routes');
	const routesSeconds = (performance.now() - attachedAt) / 1000;
	const pings: PingRow[] = [];
	const pinged = counted('pods pinged', given.length, progress);
	for (let first = 0; first < given.length; first += pingsAtOnce) {
		pings.push(
			...(await laboratory.pingFrom(others, given.slice(first, first + pingsAtOnce), { count: 2, waitSeconds: 5 })),
		);
		pinged(Math.min(pingsAtOnce, given.length - first));
	}
	const counts = countPings(pings);
	const unreached = pings.flatMap(({ from, to, address, lost }) =>
		lost > 0 ? [`${lost} from ${from} to ${to} (${address})`] : [],
	);
	if (unreached.length > 0) problems.push(`pings were lost: ${unreached.join(', ')}`);

	failed('DEL', await call('DEL'));
	const left = await laboratory.stillUsed(node, addresses, signal);
	if (left.length > 0) problems.push(`addresses were left behind: ${left.join(', ')}`);
	const reached = `${counts.lost} of ${counts.sent} pings to them from the other nodes lost`;
	const text =
		`${given.length} of ${crowd} pods were attached to ${node.name} at once, the others' routes ` +
		`were there ${routesSeconds.toFixed(1)} s later, ${reached}, and ` +
		`detached${problems.map((problem) => `; ${problem}`).join('')}`;
	return { name: 'pods', ...counts, ok: counts.lost === 0 && counts.sent > 0 && problems.length === 0, text };
};

/** The values of `--scenario`. */
export const scenarios: Readonly<Record<string, Scenario>> = {
	'mesh-to-reflector': {
		describe: 'a full mesh becomes two route reflectors, and back, by resources alone; no packet may be lost',
		needsCluster: true,
		mode: 'mesh',
		run: meshToReflector,
	},
	pods: {
		describe:
			'a hundred pods are attached to one node at once by the CNI plugins, reached from the others, and detached',
		needsCluster: true,
		memoryMiB: 5120,
		run: pods,
	},
	crash: {
		describe: 'a daemon is killed with SIGKILL and started again; no packet may be lost',
		run: restart('SIGKILL', 'crash'),
	},
	'crash-loop': {
		describe: 'a daemon is killed with SIGKILL five times in a row; no packet may be lost',
		run: crashLoop,
	},
	'restart-all': {
		describe:
			'the daemons of all nodes leave by SIGUSR2 at once and are started, twice within ten ' +
			'seconds; no packet may be lost',
		run: restartAll('SIGUSR2', 'restart-all'),
	},
	'crash-all': {
		describe:
			'the daemons of all nodes are killed with SIGKILL at once and started, twice within ten ' +
			'seconds; no packet may be lost',
		run: restartAll('SIGKILL', 'crash-all'),
	},
	'pool-mode': {
		describe: 'the pools change from IPIP to VXLAN, to no tunnel and back, by resources alone; no packet may be lost',
		needsCluster: true,
		run: poolMode,
	},
	address: {
		describe: 'the address of a node changes, the new one before the old one goes; no packet may be lost',
		needsCluster: true,
		mode: 'mesh',
		run: addressChange,
	},
	mtu: {
		describe:
			'a switch drops packets of full size without an answer; the daemons must name the node and the size that passes',
		needsCluster: true,
		run: blackHole,
	},
	policy: {
		describe:
			'a policy lets one of two clients in while its daemon is killed and started again, and then ' +
			'the other; no allowed packet may be lost, no denied one pass, and an established connection ' +
			'must be cut',
		needsCluster: true,
		enforcesPolicy: true,
		mode: 'mesh',
		run: policyChange,
	},
	link: {
		describe: 'the cable of a node is cut for three seconds; all must come back, and no packet be lost after that',
		run: linkOutage,
	},
	router: {
		describe:
			'the router between the subnets is away for three seconds; all must come back, and no packet be lost after that',
		run: routerReboot,
	},
	restart: {
		describe: 'a daemon leaves by SIGUSR2, as at systemctl restart, and is started again; no packet may be lost',
		run: restart('SIGUSR2', 'restart'),
	},
};
