/** A real Kubernetes cluster with bgpmesh as its network: `npm run e2e`. */
import { existsSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findBinary, kubernetesVersion, missingForCluster } from './binaries.ts';
import { runChaos } from './chaos.ts';
import { runChart } from './chart.ts';
import { RealCluster } from './cluster.ts';
import { runCyclonus } from './cyclonus.ts';
import type { CyclonusFigures } from './cyclonus-log.ts';
import { withDataplane } from './dataplane.ts';
import { type E2eOptions, parseCommand } from './options.ts';
import { runRollout } from './rollout.ts';
import { runSmoke } from './smoke.ts';
import { runSpecs, type SpecResults, wholeChoice } from './specs.ts';
import { clusterTopology } from './topology.ts';

const repository = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
const started = performance.now();
const seconds = () => Math.round((performance.now() - started) / 1000);
const print = (text: string) => process.stderr.write(`${text}\n`);
const progress = (text: string) => print(`${String(seconds()).padStart(5)} s  ${text}`);

/** No specs of Kubernetes. */
const runsChecks = ({ smoke, chaos, chart, rollout, cyclonus }: E2eOptions): boolean =>
	smoke || chaos || chart || rollout || cyclonus;

/** The reason why no cluster can be started here; `undefined` if one can. */
function obstacle(options: E2eOptions): string | undefined {
	if (process.getuid?.() !== 0) return 'a cluster needs root: it makes namespaces and control groups';
	const { packages, built } = missingForCluster(!runsChecks(options));
	if (packages.length > 0) return `Debian packages are missing: apt-get install ${[...new Set(packages)].join(' ')}`;
	if (options.chart && findBinary('helm') === undefined) return 'helm is missing: npm run setup:helm';
	if (options.cyclonus && findBinary('cyclonus') === undefined) return 'cyclonus is missing: npm run setup:cyclonus';
	if (built.length > 0) return `${built.join(', ')} are missing: npm run setup:kube -- --e2e`;
	return undefined;
}

function renderResults({ passed, failed, skipped, failures, skips, cyclonus }: SpecResults): string {
	const row = (mark: string, { name, reason }: { readonly name: string; readonly reason: string }) =>
		`  ${mark}  ${name}${reason === '' ? '' : `\n           ${reason.slice(0, 200)}`}`;
	return [
		...failures.map((failure) => row('failed ', failure)),
		...skips.map((skip) => row('skipped', skip)),
		...(cyclonus === undefined ? [] : [renderFigures(cyclonus)]),
		`Kubernetes ${kubernetesVersion}: ${passed} passed, ${failed} failed, ${skipped} skipped`,
	].join('\n');
}

function renderFigures({ planned, cases, steps, retried, cells }: CyclonusFigures): string {
	const probes = Object.entries(cells).map(
		([protocol, { right, wrong }]) => `${protocol}: ${right} right, ${wrong} wrong`,
	);
	return `cyclonus: ${cases} of ${planned} cases, ${steps} steps, ${retried} of them retried; ${probes.join('; ')}`;
}

const lookAround = (cluster: RealCluster) => `
The cluster stays up until Ctrl-C. From another terminal:

  kubectl:       ${[...cluster.withinRouter, 'kubectl'].join(' ')} --kubeconfig=${cluster.controlPlane.kubeconfig} get pods -A -o wide
  a node:        ${cluster.workers[0]?.within.join(' ')} ip route
  its daemon:    ${cluster.workers[0]?.within.join(' ')} node ${join(repository, 'bin/bgpmesh.js')} status
  logs:          ${dirname(cluster.processes.logFile('bird'))}
`;

async function main(options: E2eOptions): Promise<number> {
	const why = obstacle(options);
	if (why !== undefined) {
		print(why);
		return 1;
	}
	const ending = new AbortController();
	for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
		process.on(signal, () => {
			if (!ending.signal.aborted) print('removing everything');
			ending.abort();
		});
	const folder = await mkdtemp(join(tmpdir(), 'bgpmesh-e2e-'));
	const topology = clusterTopology(runsChecks(options) && !options.chart ? 2 : 3);
	const { overlay, proxy, dataplane } = options;
	const { signal } = ending;
	const install = options.chart ? 'helm' : 'manifests';
	const cluster = new RealCluster({
		topology,
		folder,
		repository,
		overlay,
		proxy,
		dataplane,
		install,
		signal,
		progress,
	});
	const runChosen = (): Promise<SpecResults> => {
		const run = { signal, progress };
		if (options.smoke) return runSmoke(cluster, topology, progress);
		if (options.chaos) return runChaos(cluster, run);
		if (options.rollout) return runRollout(cluster, progress);
		if (options.chart) return runChart(cluster, topology, run);
		if (options.cyclonus) return withDataplane(cluster, () => runCyclonus(cluster, options, run));
		const { focus = wholeChoice.focus, skip = wholeChoice.skip } = options;
		const specs = { choice: { focus, skip }, processes: options.processes, ...run };
		return withDataplane(cluster, () => runSpecs(cluster, folder, specs));
	};
	try {
		await cluster.start();
		progress('the cluster is up');
		const results = await runChosen();
		const pods = (await cluster.controlPlane.kubectl(['get', 'pods', '-A', '-o', 'name'])).trim().split('\n').length;
		const { passed, failed, skipped, failures, cyclonus } = results;
		if (options.json) {
			const specs = { passed, failed, skipped };
			const answer = { nodes: topology.nodes.length, pods, specs, failures, cyclonus, seconds: seconds() };
			process.stdout.write(`${JSON.stringify(answer)}\n`);
		} else process.stdout.write(`${renderResults(results)}\n`);
		if (failed > 0) await cluster.diagnose();
		if (options.keep && !ending.signal.aborted) {
			print(lookAround(cluster));
			await new Promise((stop) => ending.signal.addEventListener('abort', stop));
		}
		return failed === 0 && passed > 0 ? 0 : 1;
	} catch (error) {
		if (!ending.signal.aborted) {
			print(error instanceof Error ? error.message : String(error));
			await cluster.diagnose();
			if (options.keep) {
				print(lookAround(cluster));
				await new Promise((stop) => ending.signal.addEventListener('abort', stop));
			}
		}
		return 1;
	} finally {
		progress('removing the cluster');
		await cluster.stop();
		const logs = join(folder, 'logs');
		if (options.logs !== undefined && existsSync(logs)) await cp(logs, options.logs, { recursive: true });
		await rm(folder, { recursive: true, force: true });
	}
}

const command = parseCommand(process.argv.slice(2));
if (command.type === 'help') process.stdout.write(`${command.text}\n`);
else if (command.type === 'wrong') {
	print(command.text);
	process.exitCode = 2;
} else process.exitCode = await main(command.options);
