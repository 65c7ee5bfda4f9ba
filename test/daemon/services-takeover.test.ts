import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { findBinary } from '../../lab/kubernetes/binaries.ts';
import { startKubeProxy } from '../../lab/kubernetes/kube-proxy.ts';
import { ControlClient } from '../../src/control/index.ts';
import { type ApiClient, coreKinds } from '../../src/kubernetes/index.ts';
import { systemEnvironment } from '../../src/linux/index.ts';
import { RunningDaemon } from '../support/daemon.ts';
import { eventually } from '../support/eventually.ts';
import { KubeNode } from '../support/kube-node.ts';
import { startKubeServer } from '../support/kube-server.ts';
import { noNamespaces } from '../support/namespace.ts';
import { enterServiceNode } from '../support/service-node.ts';

const kernelTest = noNamespaces === undefined ? test.serial : test.serial.skip;
const note = noNamespaces === undefined ? '' : ` (skipped: ${noNamespaces})`;

/** The rules that kube-proxy in nftables mode leaves, reduced to one Service. */
const left = `
table ip kube-proxy {
	chain nat-prerouting { type nat hook prerouting priority -100; policy accept; jump services; }
	chain nat-output { type nat hook output priority -100; policy accept; jump services; }
	chain services { ip daddr 10.96.0.10 tcp dport 80 dnat to 10.128.0.1:8080; }
}
`;

/** One connection to the Service that sends hello and reads the response; `false`: it failed. */
const hello = (): Promise<boolean> =>
	new Promise((resolve) => {
		const socket = connect({ host: '10.96.0.10', port: 80 }, () => socket.end('hello'));
		socket.setTimeout(3000, () => socket.destroy(new Error('time-out')));
		socket.once('data', () => resolve(true));
		socket.once('error', () => resolve(false));
		socket.once('close', () => resolve(false));
	});

/** Writes a line on an existing connection, and waits for its echo. */
const echoed = (socket: Socket, text: string): Promise<boolean> =>
	new Promise((resolve) => {
		socket.once('data', (answer) => resolve(answer.toString() === text));
		socket.once('error', () => resolve(false));
		socket.once('close', () => resolve(false));
		socket.write(text);
	});

const tables = (): string => execFileSync('nft', ['list', 'tables'], { encoding: 'utf8', env: systemEnvironment() });

kernelTest(
	`services takeover replaces the rules of a stopped kube-proxy without a lost connection${note}`,
	async (t) => {
		await enterServiceNode(t);
		execFileSync('nft', ['-f', '-'], { input: left, env: systemEnvironment() });
		const node = new KubeNode('node-a');
		await node.start(t, {
			address: '10.0.1.2/24',
			bgp: '{ asNumber: 64512, listen: { address: 10.0.1.2, port: 179 } }',
			rest: 'services: { proxy: true, podRanges: [ 10.42.0.0/16 ], healthPort: 0 }',
		});
		const control = new ControlClient(node.daemon.socket);
		const ports = [{ name: 'p', port: 80, protocol: 'TCP' }];
		const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'web', namespace: 'default' } };
		await node.client.create(coreKinds.services, { ...service, spec: { clusterIP: '10.96.0.10', ports } }, 'default');
		await node.client.create(
			coreKinds.endpointSlices,
			{
				apiVersion: 'discovery.k8s.io/v1',
				kind: 'EndpointSlice',
				metadata: { name: 'web-1', namespace: 'default', labels: { 'kubernetes.io/service-name': 'web' } },
				addressType: 'IPv4',
				endpoints: [{ addresses: ['10.128.0.2'], nodeName: 'node-a', conditions: { ready: true } }],
				ports: [{ name: 'p', port: 8080, protocol: 'TCP' }],
			},
			'default',
		);
		const view = await node.daemon.until(
			'the Service is known',
			(daemon) => daemon.ask('services', {}),
			({ services }) => services.some(({ name, ports: [port] }) => name === 'web' && port?.endpoints.length === 1),
		);
		t.deepEqual([view.mode, view.refusal?.seen], ['follow', ['nftables table ip kube-proxy']]);
		t.false(tables().includes('bgpmesh_services'), 'nothing is programmed beside it');

		await underLoad(t, async () => {
			t.deepEqual((await control.ask('servicesTakeover', { dryRun: true })).removed, ['nftables table ip kube-proxy']);
			t.true(tables().includes('kube-proxy'), 'a dry run removes nothing');
			const answer = await control.ask('servicesTakeover', {});
			t.deepEqual(answer, { dryRun: false, programmed: true, removed: ['nftables table ip kube-proxy'] });
		});
		t.false(tables().includes('kube-proxy'));
		t.true(tables().includes('bgpmesh_services'));
		t.is((await control.ask('services', {})).mode, 'proxy');
		// No rules are left to take over.
		t.deepEqual((await control.ask('servicesTakeover', {})).removed, []);
	},
);

/**
 * A connection that exists before, and others made all the time, while `act` runs: none fails, and the
 * first one goes on.
 */
async function underLoad(t: ExecutionContext, act: () => Promise<void>): Promise<void> {
	const kept = connect({ host: '10.96.0.10', port: 80 });
	await new Promise((resolve, reject) => kept.once('connect', resolve).once('error', reject));
	t.true(await echoed(kept, 'before'));
	let [made, failed] = [0, 0];
	let running = true;
	const load = Array.from({ length: 4 }, async () => {
		while (running) {
			made++;
			if (!(await hello())) failed++;
		}
	});
	await pause(200);
	await act();
	await pause(500);
	running = false;
	await Promise.all(load);
	t.log(`${made} connections, ${failed} failed`);
	t.is(failed, 0, `${failed} of ${made} connections failed`);
	t.true(made > 20, `${made} connections`);
	t.true(await echoed(kept, 'after'), 'a connection from before goes on');
	kept.destroy();
}

const rest = [
	'bgp: { asNumber: 64512, listen: { address: 10.0.1.2, port: 179 } }',
	'services: { proxy: true, podRanges: [ 10.42.0.0/16 ], healthPort: 0 }',
	'log: { format: text }',
];

/** A Service `web` with one endpoint. */
async function createWeb(client: ApiClient): Promise<void> {
	const meta = { name: 'web', namespace: 'default' };
	const ports = [{ name: 'p', port: 80, protocol: 'TCP' }];
	const service = { apiVersion: 'v1', kind: 'Service', metadata: meta, spec: { clusterIP: '10.96.0.10', ports } };
	await client.create(coreKinds.services, service, 'default');
	await client.create(
		coreKinds.endpointSlices,
		{
			apiVersion: 'discovery.k8s.io/v1',
			kind: 'EndpointSlice',
			metadata: { ...meta, labels: { 'kubernetes.io/service-name': 'web' } },
			addressType: 'IPv4',
			endpoints: [{ addresses: ['10.128.0.1'], nodeName: 'node-a', conditions: { ready: true } }],
			ports: [{ name: 'p', port: 8080, protocol: 'TCP' }],
		},
		'default',
	);
}

/** Everything that kube-proxy has made, in nftables and through iptables. */
const proxyRules = (): number =>
	execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8', env: systemEnvironment() })
		.split('\n')
		.filter((line) => /table ip6? kube-proxy|KUBE-(SVC|SEP|SERVICES)/.test(line)).length;

const withoutProxy =
	noNamespaces ??
	(findBinary('kube-proxy') === undefined ? 'kube-proxy is missing: npm run setup:kube -- --cluster' : undefined);
if (withoutProxy !== undefined) console.warn(`SKIPPED: takeover of a real kube-proxy: ${withoutProxy}`);

for (const mode of ['nftables', 'iptables'] as const)
	(withoutProxy === undefined ? test.serial : test.serial.skip)(
		`services takeover replaces a real kube-proxy in mode ${mode} without a lost connection`,
		async (t) => {
			t.timeout(300_000);
			await enterServiceNode(t);
			const daemon = new RunningDaemon();
			const { folder, socket, configFile } = daemon;
			const { client, kubeconfig } = await startKubeServer(t, folder, { name: 'node-a', address: '10.0.1.2/24' });
			const known = await client.get(coreKinds.nodes, 'node-a');
			const status = { addresses: [{ type: 'InternalIP', address: '10.0.1.2' }] };
			await client.replace(coreKinds.nodes, { ...known, status }, 'status');
			await createWeb(client);
			const proxy = startKubeProxy({ mode, kubeconfig, node: 'node-a', podCidrs: ['10.42.0.0/16'], folder });
			proxy.stderr?.resume();
			t.teardown(() => proxy.kill('SIGKILL'));
			let isServed = false;
			const waiting = (async () => {
				while (!isServed) isServed = await hello();
			})();
			await eventually('kube-proxy serves the Service', () => isServed, 60);
			await waiting;
			writeFileSync(
				configFile,
				[
					'node: node-a',
					`datastore: { type: kubernetes, kubeconfig: ${kubeconfig} }`,
					`control: { socket: ${socket} }`,
					...rest,
					'',
				].join('\n'),
			);
			await daemon.start(t);
			const control = new ControlClient(socket);
			const view = await daemon.until(
				'the Service is known',
				(client) => client.ask('services', {}),
				({ services }) => services.some(({ name, ports: [port] }) => name === 'web' && port?.endpoints.length === 1),
			);
			t.is(view.mode, 'follow');
			t.true(view.refusal?.seen.some((sign) => sign.includes('listener at port 10256')));
			await t.throwsAsync(control.ask('servicesTakeover', {}), undefined, 'kube-proxy still runs');

			await underLoad(t, async () => {
				const ended = new Promise((resolve) => proxy.once('exit', resolve));
				proxy.kill('SIGTERM');
				await ended;
				t.true(proxyRules() > 0, 'kube-proxy leaves its rules');
				const { programmed, removed } = await control.ask('servicesTakeover', {});
				t.true(programmed);
				t.true(removed.length > 0);
				t.log(`removed: ${removed.join('; ')}`);
			});
			t.is(proxyRules(), 0);
			t.true(tables().includes('bgpmesh_services'));
			t.is((await control.ask('services', {})).mode, 'proxy');
		},
	);
