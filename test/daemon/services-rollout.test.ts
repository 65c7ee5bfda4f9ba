import { execFileSync } from 'node:child_process';
import { connect, createServer, type Server } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import test from 'ava';
import { ControlClient } from '../../src/control/index.ts';
import type { JsonObject } from '../../src/json/index.ts';
import { coreKinds } from '../../src/kubernetes/index.ts';
import { systemEnvironment } from '../../src/linux/index.ts';
import { KubeNode } from '../support/kube-node.ts';
import { addInterface, enterRouting, ip, noNamespaces } from '../support/namespace.ts';

const kernelTest = noNamespaces === undefined ? test.serial : test.serial.skip;
const note = noNamespaces === undefined ? '' : ` (skipped: ${noNamespaces})`;

/** A pod of the Deployment: responds with its address. */
function startPod(address: string): Promise<Server> {
	const server = createServer((socket) => {
		socket.on('error', () => undefined);
		socket.end(address);
	});
	return new Promise((resolve) => server.listen({ port: 8080, host: address, backlog: 1024 }, () => resolve(server)));
}

/** The pod that served a new connection to the Service, or why none did. */
const ask = (): Promise<{ pod?: string; reason?: string }> =>
	new Promise((resolve) => {
		let text = '';
		const from = performance.now();
		const socket = connect({ host: '10.96.0.10', port: 80 });
		const fail = (what: string) =>
			resolve({ reason: `${what} after ${Math.round(performance.now() - from)} ms, port ${socket.localPort}` });
		socket.setTimeout(3000, () => fail(socket.connecting ? 'no connection' : 'no response'));
		socket.on('data', (data) => {
			text += data.toString();
		});
		socket.once('error', (error) => fail(error.message));
		socket.once('close', () => (text === '' ? fail('closed without a response') : resolve({ pod: text })));
	});

const listTable = (): string =>
	execFileSync('nft', ['list', 'table', 'inet', 'bgpmesh_services'], { encoding: 'utf8', env: systemEnvironment() });

const ready = { ready: true, serving: true, terminating: false };
const terminating = { ready: false, serving: true, terminating: true };

kernelTest(`no request fails while every pod of a Deployment is replaced${note}`, async (t) => {
	enterRouting();
	addInterface('up0', ['10.0.1.2/24']);
	ip('route add local 10.128.0.0/9 dev lo');
	ip('route add default dev up0');
	const node = new KubeNode('node-a');
	await node.start(t, {
		address: '10.0.1.2/24',
		bgp: '{ asNumber: 64512, listen: { address: 10.0.1.2, port: 179 } }',
		rest: 'services: { proxy: true, podRanges: [ 10.42.0.0/16 ], healthPort: 0 }',
	});
	const { client } = node;
	const meta = { namespace: 'default' };
	const spec = { clusterIP: '10.96.0.10', ports: [{ name: 'p', port: 80, protocol: 'TCP' }] };
	await client.create(
		coreKinds.services,
		{ apiVersion: 'v1', kind: 'Service', metadata: { name: 'web', ...meta }, spec },
		'default',
	);
	const endpoints = new Map<string, JsonObject>();
	const slice = (): JsonObject => ({
		apiVersion: 'discovery.k8s.io/v1',
		kind: 'EndpointSlice',
		metadata: { name: 'web-1', ...meta, labels: { 'kubernetes.io/service-name': 'web' } },
		addressType: 'IPv4',
		endpoints: [...endpoints].map(([address, conditions]) => ({
			addresses: [address],
			nodeName: 'node-a',
			conditions,
		})),
		ports: [{ name: 'p', port: 8080, protocol: 'TCP' }],
	});
	const pods = new Map<string, Server>();
	const addressOf = (number: number): string => `10.128.0.${number}`;
	for (const number of [1, 2, 3]) {
		pods.set(addressOf(number), await startPod(addressOf(number)));
		endpoints.set(addressOf(number), ready);
	}
	let written = await client.create(coreKinds.endpointSlices, slice(), 'default');
	const write = async () => {
		written = await client.replace(coreKinds.endpointSlices, { ...slice(), metadata: written['metadata'] });
	};
	t.teardown(() => {
		for (const server of pods.values()) server.close();
	});
	await node.daemon.until('the Service is programmed', ask, ({ pod }) => pod !== undefined);
	// The first response may arrive before the last endpoint exists.
	const seen = new Set<string>();
	let made = 0;
	const failures: string[] = [];
	const begin = performance.now();
	let running = true;
	const load = Array.from({ length: 4 }, async () => {
		while (running) {
			made++;
			const { pod, reason } = await ask();
			if (pod !== undefined) seen.add(pod);
			else failures.push(`${reason}, at ${Math.round(performance.now() - begin)} ms`);
			// Slow enough that no source port comes back: the kernel's entry of its last connection may
			// still name a pod that has ended.
			await pause(2);
		}
	});
	for (const number of [1, 2, 3]) {
		// As in a Deployment: the new pod is ready before the old one terminates, and that one
		// still serves for a while.
		const [fresh, old] = [addressOf(number + 10), addressOf(number)];
		pods.set(fresh, await startPod(fresh));
		endpoints.set(fresh, ready);
		await write();
		await pause(100);
		endpoints.set(old, terminating);
		await write();
		await node.daemon.until(
			`no new connection goes to ${old}`,
			async () => listTable(),
			(table) => !table.includes(`: ${old} .`),
		);
		// What was accepted before is served to its end.
		await pause(300);
		endpoints.delete(old);
		await write();
		pods.get(old)?.close();
		pods.delete(old);
	}
	await pause(300);
	running = false;
	await Promise.all(load);
	t.log(`${made} connections, ${failures.length} failed`);
	t.deepEqual(failures, []);
	for (const number of [11, 12, 13]) t.true(seen.has(addressOf(number)), `${addressOf(number)} took connections`);
	const after = new Set<string | undefined>();
	for (let turn = 0; turn < 60; turn++) after.add((await ask()).pod);
	t.deepEqual([...after].sort(), [11, 12, 13].map(addressOf));
	const { services } = await new ControlClient(node.daemon.socket).ask('services', { name: 'web' });
	t.true((services[0]?.frontends[0]?.newConnections ?? 0) >= made, 'new connections of the Service are counted');
	t.deepEqual(
		services[0]?.ports[0]?.endpoints.map(({ connections }) => connections !== undefined),
		[true, true, true],
	);
	t.false(listTable().includes('10.128.0.2 '), 'nothing of an old pod is left');
});
