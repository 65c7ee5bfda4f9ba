/**
 * The laboratory: `npm run lab`. Selects the kernel, shows the events, and leaves nothing behind.
 */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { referencePlugins } from './cluster.ts';
import { drainMain, isDrain } from './drain/main.ts';
import { defaultKernel, labKernels } from './kernels.ts';
import { parseCommand, type RunOptions } from './options.ts';
import { execInLab, labFolderPrefix, writeKeptLab } from './places.ts';
import { colours, noColours, renderReport } from './render.ts';
import type { LabEvent } from './report.ts';
import { runHere } from './run-here.ts';
import { runLabInGuest } from './run-in-guest.ts';
import { scenarios } from './scenarios.ts';
import { labTopology } from './topology.ts';
import { findCommand, hasIpip } from './uml/index.ts';

const bin = resolve(dirname(fileURLToPath(import.meta.url)), '../../bin');
const daemonEntry = join(bin, 'bgpmeshd.js');
const cliEntry = join(bin, 'bgpmesh.js');
const pluginEntry = join(bin, 'bgpmesh-ipam.js');
const started = performance.now();

const say = (text: string) => process.stderr.write(`${text}\n`);
const paletteFor = (stream: NodeJS.WriteStream) => (stream.isTTY && !process.env['NO_COLOR'] ? colours : noColours);

function show(event: LabEvent, { mode, json }: RunOptions): void {
	const { quiet, bad } = paletteFor(process.stderr);
	const clock = quiet(`${((performance.now() - started) / 1000).toFixed(1).padStart(6)} s `);
	if (event.type === 'progress') say(`${clock} ${event.text}`);
	if (event.type === 'failed') say(`${clock} ${bad('failed:')} ${event.message}`);
	if (event.type === 'report' && json) process.stdout.write(`${JSON.stringify(event.report)}\n`);
	if (event.type === 'report' && !json)
		process.stdout.write(`\n${renderReport(event.report, labTopology(mode), paletteFor(process.stdout))}`);
	if (event.type === 'kept') say(lookAround);
}

const lookAround = `
The laboratory stays up until Ctrl-C. From another terminal, in this folder:

  npm run lab -- exec node-a ip route                  the kernel's routes of a node (node-a to node-d)
  npm run lab -- exec node-a bgpmesh peers             the daemon's sessions
  npm run lab -- exec node-a bgpmesh routes            its routes, and: bgpmesh explain 192.168.3.0/26
  npm run lab -- exec pod-a ping -c 3 192.168.3.10     from pod to pod (pod-a to pod-d: 192.168.1.10 to 192.168.4.10)
  npm run lab -- exec router ip route                  the router, which has no route to pods
  npm run lab -- exec tor birdc show protocols         the top-of-rack router
`;

async function runLab(options: RunOptions): Promise<number> {
	if (process.getuid?.() !== 0) {
		say('the laboratory needs root: it makes network namespaces');
		return 1;
	}
	const needed = { ip: 'iproute2', ping: 'iputils-ping', sysctl: 'procps', bird: 'bird2' };
	const missing = Object.entries(needed).flatMap(([command, name]) =>
		findCommand(command) === undefined ? [name] : [],
	);
	if (!options.static && !existsSync(join(referencePlugins, 'ptp'))) missing.push('containernetworking-plugins');
	const kernel =
		labKernels[options.kernel ?? defaultKernel(options.scenarios.some((name) => scenarios[name]?.enforcesPolicy))];
	if (kernel === undefined) throw new RangeError(`kernel ${options.kernel}`);
	const { guest, report, hasNftables: guard, poolMode = 'ipip', convergeSeconds } = kernel;
	if (missing.length > 0) {
		say(`the laboratory needs Debian packages that are missing: ${[...new Set(missing)].join(' ')}`);
		return 1;
	}
	const obstacle =
		guest === undefined ? (poolMode !== 'ipip' || hasIpip() ? undefined : 'this kernel has no ipip') : guest.missing();
	if (obstacle !== undefined) {
		say(`the laboratory cannot run in ${guest?.name ?? 'this kernel'}: ${obstacle}`);
		return 1;
	}
	const ending = new AbortController();
	for (const [signal, code] of Object.entries({ SIGINT: 130, SIGTERM: 143, SIGHUP: 129 })) {
		process.on(signal, () => {
			if (!ending.signal.aborted) say('\nremoving everything');
			process.exitCode = code;
			ending.abort();
		});
	}
	const emit = (event: LabEvent) => show(event, options);
	const folder = await mkdtemp(join(tmpdir(), labFolderPrefix));
	const kept = { pid: process.pid, startedMs: Date.now() };
	if (options.logs !== undefined) await mkdir(options.logs, { recursive: true });
	say(
		`bgpmesh laboratory: ${options.mode === 'mesh' ? 'full mesh' : 'two route reflectors'}, in ` +
			`${guest?.name ?? 'network namespaces'}`,
	);
	try {
		if (guest !== undefined) {
			if (options.keep) writeKeptLab(folder, kept);
			const entries = { daemonEntry, cliEntry, pluginEntry };
			return await runLabInGuest({
				...options,
				guest,
				report,
				guard,
				poolMode,
				convergeSeconds,
				folder,
				...entries,
				signal: ending.signal,
				emit,
			});
		}
		const { ok } = await runHere({
			...options,
			kernel: report,
			daemon: [process.execPath, daemonEntry],
			cli: [process.execPath, cliEntry],
			plugin: [process.execPath, pluginEntry],
			guard,
			poolMode,
			convergeSeconds,
			signal: ending.signal,
			emit,
			onPlace: async (place) =>
				writeKeptLab(folder, { ...kept, place: { ...place, cli: [process.execPath, cliEntry] } }),
		});
		return ok ? 0 : 1;
	} catch (error) {
		if (!ending.signal.aborted) say(error instanceof Error ? error.message : String(error));
		return 1;
	} finally {
		await rm(folder, { recursive: true, force: true });
	}
}

const argv = process.argv.slice(2);
const command = parseCommand(argv);
if (isDrain(argv)) process.exit(await drainMain(argv));
else if (command.type === 'help') process.stdout.write(`${command.text}\n`);
else if (command.type === 'wrong') {
	say(command.text);
	process.exitCode = 2;
} else if (command.type === 'exec') process.exitCode = await execInLab(command.namespace, command.command);
else {
	if (!existsSync(daemonEntry)) throw new Error(`${daemonEntry} is not there`);
	const code = await runLab(command.options);
	// A signal that stopped this process has set the exit code.
	process.exitCode ??= code;
}
