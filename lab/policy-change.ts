import { setTimeout as pause } from 'node:timers/promises';
import { stringify } from 'yaml';
import { type AddressGrantsView, ControlClient } from '../src/control/index.ts';
import { must, run } from './commands.ts';
import type { Laboratory } from './laboratory.ts';
import { countPings, pingAll } from './pings.ts';
import type { PingCounts, ScenarioResult } from './report.ts';
import type { ResourceFile } from './resources.ts';
import type { LabNode } from './topology.ts';

const mostSeconds = 60;
const intervalSeconds = 0.05;
const server = 'policy-server';
/** The policy allows the first one. */
const clients = ['policy-client', 'policy-stranger'] as const;

interface Pod {
	readonly name: string;
	readonly node: LabNode;
	readonly address?: string;
}

const file = (name: string, resources: readonly object[]): ResourceFile => ({
	name,
	text: resources.map((resource) => `---\n${stringify(resource)}`).join(''),
});

const podFile = (pods: readonly Pod[]): ResourceFile =>
	file(
		'policy-pods.yaml',
		pods.map(({ name, node, address }) => ({
			apiVersion: 'v1',
			kind: 'Pod',
			metadata: {
				name,
				namespace: 'default',
				labels: { app: name },
				// What Calico's plugin writes before the kubelet writes the status.
				...(address === undefined ? {} : { annotations: { 'cni.projectcalico.org/podIP': `${address}/32` } }),
			},
			spec: { nodeName: node.name, containers: [{ name: 'pause', image: 'pause' }] },
		})),
	);

const policyFile = (allowed: string): ResourceFile =>
	file('policy.yaml', [
		{
			apiVersion: 'networking.k8s.io/v1',
			kind: 'NetworkPolicy',
			metadata: { name: server, namespace: 'default' },
			spec: {
				podSelector: { matchLabels: { app: server } },
				policyTypes: ['Ingress'],
				ingress: [{ from: [{ podSelector: { matchLabels: { app: allowed } } }] }],
			},
		},
	]);

/**
 * Pods on three nodes, and a policy that lets one of two clients in. The daemon of the server's
 * node is killed and started again while both send; then the policy changes, and the client's
 * established connection must end.
 */
export async function policyChange(laboratory: Laboratory, signal: AbortSignal): Promise<ScenarioResult> {
	const { cluster, topology } = laboratory;
	const [first, second, third] = topology.nodes;
	if (cluster === undefined || first === undefined || second === undefined || third === undefined)
		throw new RangeError('a laboratory without three nodes or an API server');
	const problems: string[] = [];
	const pods: readonly Pod[] = [
		{ name: server, node: first },
		{ name: clients[0], node: second },
		{ name: clients[1], node: third },
	];
	await laboratory.addNamespaces(pods.map(({ name }) => name));
	await cluster.apply([podFile(pods), policyFile(clients[0])]);
	const attached = await Promise.all(pods.map(async (pod) => ({ ...pod, address: await attach(laboratory, pod) })));
	await cluster.apply([podFile(attached)]);
	const address = attached.find(({ name }) => name === server)?.address ?? '';

	/**
	 * Every node reports the present generation of the policy, and the server's pings are answered.
	 */
	const enforced = async (client: string): Promise<void> => {
		const control = new ControlClient(laboratory.socket(first));
		for (const deadline = performance.now() + mostSeconds * 1000; performance.now() < deadline; ) {
			const { policies } = await control.ask('policy', {}).catch(() => ({ policies: [] }));
			const rollout = policies.find(({ policy }) => policy === `NetworkPolicy default/${server}`)?.rollout;
			const everywhere = rollout?.enforcedOn === topology.nodes.length;
			if (everywhere && (await ping([client], 1)).lost === 0) return;
			await pause(300, undefined, { signal });
		}
		problems.push(`the policy is not enforced on every node for ${client} after ${mostSeconds} s`);
	};
	const ping = async (from: readonly string[], count: number): Promise<PingCounts> =>
		countPings(
			await pingAll(
				from.map((name) => ({ from: name, namespace: laboratory.namespace(name), to: server, address })),
				{ count, waitSeconds: 1, intervalSeconds },
			),
		);

	await enforced(clients[0]);
	let happened = false;
	const stream = async (client: string): Promise<PingCounts> => {
		const rows: PingCounts[] = [];
		do rows.push(await ping([client], 40));
		while (!happened && !signal.aborted);
		return rows.reduce((sum, row) => ({ sent: sum.sent + row.sent, lost: sum.lost + row.lost }));
	};
	const restart = async () => {
		await laboratory.kill(first.name, 'SIGKILL');
		await pause(1500, undefined, { signal });
		await laboratory.startDaemon(first);
		await enforced(clients[0]);
		happened = true;
	};
	const [allowed, denied] = await Promise.all([stream(clients[0]), stream(clients[1]), restart()]);
	const passed = denied.sent - denied.lost;

	const established = establishedPing(laboratory.namespace(clients[0]), address);
	await pause(1000, undefined, { signal });
	await cluster.apply([policyFile(clients[1])]);
	await enforced(clients[1]);
	const { sent, last } = await established;
	const cut = last < sent - 20;
	if (last === 0) problems.push('the connection that should be cut was never established');
	const afterwards = await ping([clients[0]], 20);
	const text =
		`${allowed.lost} of ${allowed.sent} allowed packets lost and ${passed} of ${denied.sent} ` +
		`denied ones passed while the daemon of ${first.name} was killed and started again; after a ` +
		'change of the policy the established connection ' +
		`${cut ? `was cut behind packet ${last} of ${sent}` : 'was not cut'}, and ` +
		`${afterwards.sent - afterwards.lost} of ${afterwards.sent} packets ` +
		`passed${problems.map((problem) => `; ${problem}`).join('')}`;
	const sound = allowed.lost === 0 && passed === 0 && cut && afterwards.lost === afterwards.sent;
	return {
		name: 'policy',
		...allowed,
		denied: { sent: denied.sent, passed },
		ok: sound && problems.length === 0,
		text,
	};
}

/** As a runtime does with our main plugin, without a process for each call. */
async function attach(laboratory: Laboratory, { name, node }: Pod): Promise<string> {
	const namespace = laboratory.namespace(name);
	await must('ip', ['-n', namespace, 'link', 'set', 'lo', 'up']);
	const request = {
		network: 'pods',
		containerId: namespace,
		ifname: 'eth0',
		pod: { namespace: 'default', name },
		families: ['ipv4'],
		ipv4Pools: [],
		ipv6Pools: [],
		interface: { namespace: `/run/netns/${namespace}` },
	};
	const { addresses }: AddressGrantsView = await new ControlClient(laboratory.socket(node)).ask('cniAdd', { request });
	return addresses[0]?.address ?? '';
}

/**
 * Echo requests of one process are one connection; how many were sent, and the number of the last
 * one that was answered.
 */
async function establishedPing(namespace: string, address: string): Promise<{ sent: number; last: number }> {
	const sent = 300;
	const { stdout } = await run('ip', [
		...['netns', 'exec', namespace, 'ping', '-n'],
		...['-c', `${sent}`, '-i', `${intervalSeconds}`, '-W', '1', address],
	]);
	const answered = [...stdout.matchAll(/icmp_seq=(\d+) ttl/g)].map(([, number]) => Number(number));
	return { sent, last: Math.max(0, ...answered) };
}
