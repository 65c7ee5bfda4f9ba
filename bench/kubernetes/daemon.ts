import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { kubeconfigOf } from '../../src/apiserver/index.ts';
import { stringifyJson } from '../../src/json/index.ts';
import type { Client, Target } from './client.ts';
import { processorMilliseconds } from './targets.ts';

const daemon = join(resolve(fileURLToPath(import.meta.url), '../../../..'), 'bin/bgpmeshd.js');
const layout = 'crd.projectcalico.org/v1';
const own = 'bench-daemon';
const updates = 500;

/**
 * A daemon with a server that already has the cluster: the time from the start of its process until
 * it is ready with two reflectors as neighbours, its memory, and the processor time for the change
 * of one Node. All its addresses are on loopback.
 */
export async function daemonOn(
	target: Target,
	client: Client,
	nodes: number,
): Promise<Readonly<Record<string, number>>> {
	const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-bench-daemon-'));
	await prepare(client);
	writeFileSync(join(folder, 'kubeconfig'), kubeconfig(target), { mode: 0o600 });
	writeFileSync(
		join(folder, 'bgpmeshd.yaml'),
		`node: ${own}
datastore: { type: kubernetes, kubeconfig: ${folder}/kubeconfig }
bgp: { asNumber: 64512, listen: { address: 127.7.0.1, port: 11790 } }
fib: { enabled: false }
control: { socket: ${folder}/control.sock }
log: { format: text }
`,
	);
	const started = performance.now();
	const child = spawn(process.execPath, [daemon, '--config', join(folder, 'bgpmeshd.yaml')], {
		stdio: ['ignore', 'ignore', 'pipe'],
	});
	try {
		let log = '';
		const seconds = await new Promise<number>((ready, failed) => {
			child.stderr.setEncoding('utf8').on('data', (text: string) => {
				log += text;
				if (log.includes(' ready ')) ready((performance.now() - started) / 1000);
			});
			child.once('exit', () => failed(new Error(`the daemon ended:\n${log}`)));
		});
		const pid = child.pid ?? 0;
		const status = () => readFileSync(`/proc/${pid}/status`, 'utf8');
		// Work shortly after it is ready belongs to the start.
		await pause(3000);
		const before = processorMilliseconds([pid]);
		for (let index = 0; index < updates; index++)
			await client.ask('PATCH', `/api/v1/nodes/node-${index % nodes}`, label(index));
		await pause(1000);
		const after = processorMilliseconds([pid]);
		return {
			'ready after s': seconds,
			'peak MiB': Number(/VmHWM:\s+(\d+)/.exec(status())?.[1] ?? Number.NaN) / 1024,
			'processor ms a changed Node': (after - before) / updates,
		};
	} finally {
		child.kill('SIGKILL');
		rmSync(folder, { recursive: true, force: true });
	}
}

const label = (index: number): string => JSON.stringify({ metadata: { labels: { change: String(index) } } });

/** The daemon's own node, two reflectors, and the peerings: no full mesh. */
async function prepare(client: Client): Promise<void> {
	const address = (last: number) => ({ 'projectcalico.org/IPv4Address': `127.7.0.${last}/24` });
	const node = (name: string, labels: Record<string, string>, annotations: Record<string, string>) =>
		client.ask(
			'POST',
			'/api/v1/nodes',
			JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name, labels, annotations } }),
		);
	await node(own, { bench: 'client' }, address(1));
	for (const number of [2, 3])
		await node(
			`bench-reflector-${number}`,
			{ bench: 'reflector' },
			{ ...address(number), 'projectcalico.org/RouteReflectorClusterID': '127.7.0.2' },
		);
	const post = (plural: string, object: object) =>
		client.ask('POST', `/apis/${layout}/${plural}`, JSON.stringify({ apiVersion: layout, ...object }));
	await post('bgpconfigurations', {
		kind: 'BGPConfiguration',
		metadata: { name: 'default' },
		spec: { nodeToNodeMeshEnabled: false, listenPort: 11790 },
	});
	const spec = { nodeSelector: "bench == 'client'", peerSelector: "bench == 'reflector'" };
	await post('bgppeers', { kind: 'BGPPeer', metadata: { name: 'bench' }, spec });
}

const kubeconfig = ({ url, certificateAuthority, token }: Target): string =>
	stringifyJson(kubeconfigOf({ server: url, certificate: certificateAuthority, token }));
