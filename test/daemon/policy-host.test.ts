import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { ipBatch, removeNamespace } from '../../lab/frames/namespaces.ts';
import type { PolicyDropEvent } from '../../src/control/index.ts';
import { systemEnvironment } from '../../src/linux/index.ts';
import { RunningDaemon, run } from '../support/daemon.ts';
import { startEmptyKubeServer } from '../support/kube-server.ts';
import { enterNewNamespace, noNamespaces } from '../support/namespace.ts';

if (noNamespaces !== undefined) console.warn(`SKIPPED: protection of a host without a cluster: ${noNamespaces}`);
const namespaceTest = noNamespaces === undefined ? test.serial : test.skip;

const bgpmesh = resolve(fileURLToPath(import.meta.url), '../../../../bin/bgpmesh.js');
const host = '192.0.2.1';
/** The failsafe port is that of SSH. */
const [allowed, denied, failsafe] = [8080, 9090, 22];
const ports = [allowed, denied, failsafe];

const policyOf = (...open: readonly number[]) => `apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: { name: web }
spec:
  selector: role == 'web'
  types: [Ingress]
  ingress:
    - { action: Allow, protocol: TCP, destination: { ports: [${open.join(', ')}] } }
    - { action: Deny, protocol: TCP, destination: { ports: [${ports.filter((port) => !open.includes(port)).join(', ')}] } }
`;
const hostEndpoint = `---
apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: { name: test-eth0, labels: { role: web } }
spec: { node: test, interfaceName: eth0 }
`;

/**
 * A host and a client: this process enters a new namespace, which is the host and listens at all
 * three ports; the client is a namespace at the other end of `eth0`.
 */
async function openHost(t: ExecutionContext, id: string): Promise<{ readonly client: string }> {
	const client = `bmh${process.pid}${id}`;
	ipBatch([`netns add ${client}`]);
	t.teardown(() => removeNamespace(client));
	enterNewNamespace();
	ipBatch([
		`link add eth0 type veth peer name eth0 netns ${client}`,
		'link set eth0 up',
		`addr add ${host}/24 dev eth0`,
	]);
	ipBatch(['link set eth0 up', 'addr add 192.0.2.2/24 dev eth0'], client);
	for (const port of ports) {
		const server = createServer((socket) => socket.on('error', () => {}).end());
		t.teardown(() => server.close());
		await new Promise<void>((listening) => server.listen(port, host, listening));
	}
	return { client };
}

/** `bgpmesh policy drops --watch --json`, read line by line. */
class Drops {
	readonly events: PolicyDropEvent[] = [];
	#rest = '';

	constructor(t: ExecutionContext, daemon: RunningDaemon) {
		const words = [bgpmesh, 'policy', 'drops', '--watch', '--json', '--socket', daemon.socket];
		const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
		t.teardown(() => child.kill());
		child.stdout.setEncoding('utf8').on('data', (text: string) => {
			const lines = (this.#rest + text).split('\n');
			this.#rest = lines.pop() ?? '';
			for (const line of lines) this.events.push(JSON.parse(line) as PolicyDropEvent);
		});
	}
}

/** `true`: the connection stands, `false`: refused, `undefined`: no answer so far. */
function connect(client: string, port: number): { readonly child: ChildProcess; state: boolean | undefined } {
	const words = ['netns', 'exec', client, 'bash', '-c', `exec 3<>/dev/tcp/${host}/${port}`];
	const child = spawn('ip', words, { stdio: 'ignore', env: systemEnvironment() });
	const attempt = { child, state: undefined as boolean | undefined };
	child.once('exit', (code) => {
		attempt.state = code === 0;
	});
	return attempt;
}

/** Waits for one of the two proofs: a connection, or a dropped packet of this attempt. */
async function fate(client: string, drops: Drops, port: number): Promise<'open' | 'refused' | PolicyDropEvent> {
	const before = drops.events.length;
	const attempt = connect(client, port);
	try {
		for (let round = 0; round < 3000; round++) {
			const drop = drops.events.slice(before).find((event) => event.port === port);
			if (drop !== undefined) return drop;
			if (attempt.state !== undefined) return attempt.state ? 'open' : 'refused';
			await pause(20);
		}
		throw new Error(`port ${port} neither answered nor reported as dropped`);
	} finally {
		attempt.child.kill('SIGKILL');
	}
}

/** What is seen at each port: `open`, or the rule that dropped the packet. */
async function look(client: string, drops: Drops): Promise<string[]> {
	const seen: string[] = [];
	for (const port of ports) {
		const found = await fate(client, drops, port);
		seen.push(typeof found === 'string' ? found : `${found.to}: ${found.decidedBy}`);
	}
	return seen;
}

/** Repeats the look until the change has reached the kernel. */
async function lookUntil(client: string, drops: Drops, expected: readonly string[]): Promise<string[]> {
	let seen: string[] = [];
	for (let round = 0; round < 20 && seen.join() !== expected.join(); round++) seen = await look(client, drops);
	return seen;
}

const byRule = 'test-eth0: GlobalNetworkPolicy web ingress[1]';
const bgp = '{ asNumber: 64512, routerId: 192.0.2.1, listen: { address: 127.0.0.1, port: 21797 } }';

namespaceTest(
	'a host without a cluster is protected by files: a reload changes what is open, a file that cannot be read changes nothing',
	async (t) => {
		const { client } = await openHost(t, 'f');
		const daemon = new RunningDaemon();
		const file = join(daemon.folder, 'policy.yaml');
		writeFileSync(file, policyOf(allowed) + hostEndpoint);
		writeFileSync(
			daemon.configFile,
			`node: test\nbgp: ${bgp}\ncontrol: { socket: ${daemon.socket} }\nlog: { format: text }\n` +
				`fib: { enabled: false }\nnetworkPolicy: { enforce: true, resourceFiles: [${file}] }\n`,
		);
		await daemon.start(t);
		const drops = new Drops(t, daemon);
		t.deepEqual(await lookUntil(client, drops, ['open', byRule, 'open']), ['open', byRule, 'open']);

		writeFileSync(file, policyOf(denied) + hostEndpoint);
		const reloaded = await daemon.cli('reload');
		t.is(reloaded.code, 0, reloaded.stderr);
		t.deepEqual(await lookUntil(client, drops, [byRule, 'open', 'open']), [byRule, 'open', 'open']);

		for (const broken of ['kind: [', 'kind: GlobalNetworkPolicy']) {
			writeFileSync(file, broken);
			for (const words of [['reload', '--dry-run'], ['reload']]) {
				const refused = await daemon.cli(...words);
				t.is(refused.code, 1);
				t.true(refused.stderr.includes(file), refused.stderr);
			}
			t.deepEqual(await look(client, drops), [byRule, 'open', 'open']);
		}
		t.regex(daemon.log, /error configuration refused, the running one stays/);
		t.notRegex(daemon.log, /unexpected error/);
	},
);

namespaceTest('a host is protected by what `bgpmesh apply` writes to the embedded API server', async (t) => {
	const { client } = await openHost(t, 'a');
	const daemon = new RunningDaemon();
	const { kubeconfig } = await startEmptyKubeServer(t, daemon.folder);
	const file = join(daemon.folder, 'policy.yaml');
	const apply = async (text: string) => {
		writeFileSync(file, text);
		const applied = await run('bgpmesh.js', ['apply', '-f', file, '--kubeconfig', kubeconfig]);
		t.is(applied.code, 0, applied.stderr);
	};
	await apply(
		`apiVersion: v1\nkind: Node\nmetadata: { name: test, annotations: { projectcalico.org/IPv4Address: ${host}/24 } }\n---\n` +
			policyOf(allowed) +
			hostEndpoint,
	);
	writeFileSync(
		daemon.configFile,
		`node: test\nbgp: ${bgp}\ndatastore: { type: kubernetes, kubeconfig: ${kubeconfig} }\ncontrol: { socket: ${daemon.socket} }\n` +
			'log: { format: text }\nfib: { enabled: false }\nnetworkPolicy: { enforce: true }\n',
	);
	await daemon.start(t);
	const drops = new Drops(t, daemon);
	t.deepEqual(await lookUntil(client, drops, ['open', byRule, 'open']), ['open', byRule, 'open']);
	await apply(policyOf(denied));
	t.deepEqual(await lookUntil(client, drops, [byRule, 'open', 'open']), [byRule, 'open', 'open']);
});
