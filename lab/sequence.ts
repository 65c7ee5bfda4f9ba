import { once } from 'node:events';
import { copyFile, mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Laboratory, type LaboratoryOptions, nodeRoutes, type Sight } from './laboratory.ts';
import { removeLeftovers } from './network.ts';
import { countPings } from './pings.ts';
import type { LabEvent, LabReport, ScenarioResult } from './report.ts';
import { scenarios } from './scenarios.ts';

/** One run from start to cleanup. */
export interface SequenceOptions extends LaboratoryOptions {
	readonly kernel: LabReport['kernel'];
	/** Bound of the time in which all sessions and routes must be there. */
	readonly convergeSeconds: number;
	readonly scenarios: readonly string[];
	/** Stay up after the report until `signal`. */
	readonly keep: boolean;
	/** The folder for copies of the logs. */
	readonly logs?: string;
	readonly signal: AbortSignal;
	readonly emit: (event: LabEvent) => void;
}

/**
 * Creates, observes, pings, reports; removes everything at its end, in any case. @throws
 * CommandError, AbortError
 */
export async function runSequence(options: SequenceOptions): Promise<LabReport> {
	const { emit, signal, topology } = options;
	const started = performance.now();
	const progress = (text: string) => emit({ type: 'progress', text });
	await removeLeftovers();
	const laboratory = await Laboratory.build(options);
	const lastResort = () => laboratory.removeNow();
	process.once('exit', lastResort);
	try {
		progress(
			`network: ${topology.nodes.length} nodes with a pod each, in ${topology.subnets.length} ` +
				'subnets behind a router without routes to pods',
		);
		const before = countPings(await laboratory.podPings(1, 1));
		progress(`pings between pods before a daemon runs: ${before.lost} of ${before.sent} lost, as it must be`);
		signal.throwIfAborted();

		if (laboratory.cluster !== undefined) {
			await laboratory.cluster.start(signal);
			progress(
				`started bgpmesh apiserver on the router; bgpmesh apply took ${topology.nodes.length} nodes, ` +
					'their pools and neighbours to it',
			);
		}
		const daemonsStarted = performance.now();
		await laboratory.startTor();
		for (const node of topology.nodes) await laboratory.startDaemon(node);
		progress(`started BIRD as top-of-rack router and ${topology.nodes.length} daemons`);
		if (laboratory.cluster !== undefined) {
			await laboratory.attachPods(200, signal);
			progress("the CNI plugins ptp and bgpmesh-ipam attached each pod, with an address from its node's daemon");
		}
		const converged = laboratory.converged(await converge(laboratory, options.convergeSeconds, signal, progress));
		const convergedSeconds = seconds(daemonsStarted);
		progress(
			converged
				? `all sessions and routes are there, ${convergedSeconds} s after the daemons were started`
				: 'not everything came up; pinging all the same',
		);

		const pairs = await laboratory.podPings(3, 2);
		const servicePairs = await laboratory.servicePings(3, 2);
		const pings = countPings(pairs);
		const service = countPings(servicePairs);
		progress(
			`pings between pods: ${pings.lost} of ${pings.sent} lost; to the service behind the ` +
				`top-of-rack router: ${service.lost} of ${service.sent}`,
		);

		// Counters advance after the first complete observation: the report has the last one.
		const sight = await laboratory.look();
		const results: ScenarioResult[] = [];
		for (const name of converged ? options.scenarios : []) {
			progress(`scenario ${name}: ${scenarios[name]?.describe}`);
			const result = await scenarios[name]?.run(laboratory, signal, progress);
			if (result !== undefined) results.push(result);
		}
		const routes = Object.values(sight.routes).flatMap(nodeRoutes);
		const established = sight.sessions.filter(({ state }) => state === 'established').length;
		const problems = findProblems(laboratory, sight, { before, pings, service }, results);
		const report: LabReport = {
			ok: problems.length === 0,
			mode: topology.mode,
			resources: laboratory.cluster === undefined ? 'static' : 'apiserver',
			kernel: options.kernel,
			peers: { configured: laboratory.sessionsConfigured, established, sessions: sight.sessions },
			routes: {
				direct: routes.filter(({ type }) => type === 'direct').length,
				tunnelled: routes.filter(({ type }) => type === 'tunnelled').length,
				nodes: sight.routes,
			},
			pings: { ...pings, pairs },
			service: { ...service, pairs: servicePairs },
			before,
			...(converged ? { convergedSeconds } : {}),
			scenarios: results,
			seconds: seconds(started),
			problems,
		};
		emit({ type: 'report', report });
		if (options.keep) {
			emit({ type: 'kept' });
			if (!signal.aborted) await once(signal, 'abort');
		}
		return report;
	} finally {
		if (options.logs !== undefined) await copyLogs(laboratory, options.logs);
		await laboratory.remove();
		process.off('exit', lastResort);
	}
}

const seconds = (since: number): number => Math.round((performance.now() - since) / 100) / 10;

/** Waits for all sessions and routes, and reports changes. */
function converge(
	laboratory: Laboratory,
	mostSeconds: number,
	signal: AbortSignal,
	progress: (text: string) => void,
): Promise<Sight> {
	const { nodes } = laboratory.topology;
	const routesWanted = nodes.length * (nodes.length - 1);
	let told = '';
	const watched = (sight: Sight): boolean => {
		const established = sight.sessions.filter(({ state }) => state === 'established').length;
		const routes = Object.values(sight.routes).flatMap(nodeRoutes).length;
		const text =
			`sessions established: ${established} of ${laboratory.sessionsConfigured}; routes to other ` +
			`nodes' pods: ${routes} of ${routesWanted}`;
		if (text !== told) progress(text);
		told = text;
		return laboratory.converged(sight);
	};
	return laboratory.lookUntil(watched, mostSeconds, signal);
}

type Counts = Pick<LabReport, 'before'> & Record<'pings' | 'service', { readonly sent: number; readonly lost: number }>;

function findProblems(
	laboratory: Laboratory,
	sight: Sight,
	{ before, pings, service }: Counts,
	results: readonly ScenarioResult[],
): string[] {
	const down = sight.sessions.filter(({ state }) => state !== 'established');
	const fallen = laboratory.fallen();
	const unheard = laboratory.topology.nodes.filter(
		({ name }) => !sight.sessions.some(({ node }) => node === name) && !fallen.some((process) => process.name === name),
	);
	return [
		...fallen.map(({ name, lastLines }) => `${name} ended by itself; its last words:\n${lastLines}`),
		...unheard.map(
			({ name }) => `the daemon of ${name} does not answer; its last words:\n${laboratory.lastWords(name)}`,
		),
		...down.map(({ node, peer, state }) => `the session of ${node} with ${peer} is ${state}`),
		...(laboratory.converged(sight) || down.length > 0 || unheard.length > 0
			? []
			: ['not every route is in every kernel']),
		...(before.lost < before.sent
			? ['pods reached each other before a daemon ran: the laboratory proves nothing']
			: []),
		...(pings.lost > 0 ? [`${pings.lost} of ${pings.sent} pings between pods were lost`] : []),
		...(service.lost > 0 ? [`${service.lost} of ${service.sent} pings to the service were lost`] : []),
		...results.filter(({ ok }) => !ok).map(({ name, text }) => `scenario ${name}: ${text}`),
	];
}

async function copyLogs(laboratory: Laboratory, folder: string): Promise<void> {
	await mkdir(folder, { recursive: true });
	for (const name of ['tor', 'apiserver', ...laboratory.topology.nodes.map((node) => node.name)]) {
		const file = laboratory.logFile(name);
		// A process that was never started has no log.
		await copyFile(file, join(folder, basename(file))).catch(() => {});
	}
}
