import test, { type ExecutionContext } from 'ava';
import type { ControlClient } from '../../src/control/index.ts';
import type { JsonObject } from '../../src/json/index.ts';
import { calicoKinds, coreKinds } from '../../src/kubernetes/index.ts';
import { RunningDaemon } from '../support/daemon.ts';
import { KubeNode } from '../support/kube-node.ts';
import { addInterface, enterNewNamespace, enterRouting, ip, ipAt, noNamespaces } from '../support/namespace.ts';

const kernelTest = noNamespaces === undefined ? test.serial : test.serial.skip;
const note = noNamespaces === undefined ? '' : ` (skipped: ${noNamespaces})`;

/**
 * A pod with a BGP speaker whose peer address for the node is 169.254.0.179; the namespace has no
 * interface when it starts.
 */
async function startPod(t: ExecutionContext, address: string, prefix: string): Promise<RunningDaemon> {
	enterNewNamespace();
	ip(`addr add ${address}/32 dev lo`);
	const speaker = new RunningDaemon();
	speaker.configure(
		[
			'asNumber: 65401',
			`routerId: ${address}`,
			'ebgpRequiresPolicy: false',
			`listen: { address: ${address}, port: 179 }`,
			`peers: [ { name: node, address: 169.254.0.179, localAddress: ${address}, asNumber: 64512, multihopTtl: 255, connectRetrySeconds: 1 } ]`,
			`originate: [ ${prefix} ]`,
		].join('\n'),
	);
	return speaker.start(t);
}

/**
 * The veth of a pod as CNI plugin and Felix configure it: a host route to the pod on our side, the
 * peering address on it, and a default route in the pod.
 */
function plug({ pid }: RunningDaemon, name: string, address: string): void {
	ip(`link add ${name} type veth peer name ${name}p`);
	ip(`link set ${name}p netns ${pid}`);
	ip(`link set ${name} up`);
	ip(`addr add 169.254.0.179/32 dev ${name}`);
	ip(`route add ${address}/32 dev ${name} scope link`);
	ipAt(pid, `link set ${name}p up`);
	ipAt(pid, `route add 169.254.0.179 dev ${name}p src ${address}`);
}

const podOf = (name: string, color: string, podIP: string): JsonObject => ({
	apiVersion: 'v1',
	kind: 'Pod',
	metadata: { name, namespace: 'default', labels: { color } },
	spec: { nodeName: 'node-a', containers: [{ name: 'bird', image: 'bird' }] },
	status: { phase: 'Running', podIP, podIPs: [{ ip: podIP }] },
});

async function create(node: KubeNode, pod: JsonObject): Promise<void> {
	const { status, ...rest } = pod;
	const created = await node.client.create(coreKinds.pods, rest, 'default');
	await node.client.replace(coreKinds.pods, { ...created, ...(status === undefined ? {} : { status }) }, 'status');
}

const peers = async (daemon: ControlClient) => (await daemon.ask('peers', {})).peers;
const ours = () =>
	ip('route show proto 80')
		.split('\n')
		.map((line) => line.trim())
		.filter((line) => line !== '');

kernelTest(
	`a selected pod has a session while it exists, its routes lead through its own interface, and others are not changed${note}`,
	async (t) => {
		const [one, two] = [
			await startPod(t, '10.65.0.2', '10.123.0.0/26'),
			await startPod(t, '10.65.0.3', '10.123.1.0/26'),
		];
		enterRouting();
		addInterface('up0', ['10.0.1.2/24']);
		plug(one, 'cali1', '10.65.0.2');
		plug(two, 'cali2', '10.65.0.3');
		const node = new KubeNode('node-a');
		await node.start(t, {
			address: '10.0.1.2/24',
			bgp: '{ asNumber: 64512, listen: { address: 0.0.0.0, port: 179 } }',
			rest: 'fib: { enabled: true }',
		});
		await node.peer('children', { localWorkloadSelector: "color == 'red'", asNumber: 65401 });
		await create(node, podOf('other', 'blue', '10.65.0.9'));
		await create(node, podOf('red-1', 'red', '10.65.0.2'));
		const [first] = await node.daemon.until(
			'the first pod has a session',
			peers,
			([peer]) => peer?.state === 'established',
		);
		t.like(first, { name: 'Local_Workload_10_65_0_2', passive: true, localAddress: '169.254.0.179' });

		await create(node, podOf('red-2', 'red', '10.65.0.3'));
		const both = await node.daemon.until(
			'the second one has, too',
			peers,
			(answer) => answer.filter(({ state }) => state === 'established').length === 2,
		);
		t.is(both.find(({ name }) => name === 'Local_Workload_10_65_0_2')?.since, first?.since);
		await node.daemon.until(
			'what the pods announce is in the kernel',
			async () => ours(),
			(routes) => routes.length === 2,
		);
		t.deepEqual(ours().sort(), [
			'10.123.0.0/26 via 10.65.0.2 dev cali1 metric 1024',
			'10.123.1.0/26 via 10.65.0.3 dev cali2 metric 1024',
		]);

		// The kubelet reports this before a pod is removed.
		const gone = (await node.client.get(coreKinds.pods, 'red-1', 'default')) ?? {};
		await node.client.replace(coreKinds.pods, { ...gone, status: { phase: 'Succeeded' } }, 'status');
		const left = await node.daemon.until(
			'the session of the pod that went is gone',
			peers,
			(answer) => answer.length === 1,
		);
		t.is(left[0]?.since, both.find(({ name }) => name === 'Local_Workload_10_65_0_3')?.since);
		await node.daemon.until(
			'and so are its routes',
			async () => ours(),
			(routes) => routes.length === 1,
		);
		t.deepEqual(ours(), ['10.123.1.0/26 via 10.65.0.3 dev cali2 metric 1024']);

		// Without Felix 169.254.0.179 was not expected on the interfaces; with the setting its
		// absence is reported.
		await node.apply(calicoKinds('crd.projectcalico.org/v1').bgpConfigurations, 'BGPConfiguration', 'default', {
			nodeToNodeMeshEnabled: false,
			asNumber: 64512,
			localWorkloadPeeringIPV4: '169.254.0.179',
		});
		await node.daemon.until(
			'the problem names what puts the address there',
			async () => node.daemon.log,
			(log) => /localWorkloadPeeringIPV4 169\.254\.0\.179 is put on the interfaces of pods by Felix alone/.test(log),
		);
	},
);
