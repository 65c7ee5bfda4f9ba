import test from 'ava';
import { daemonConfig, torConfig } from '../../lab/daemon-config.ts';
import { plumbing } from '../../lab/plumbing.ts';
import { labTopology, sessionsOf } from '../../lab/topology.ts';
import { parseConfig } from '../../src/config/index.ts';

const mesh = labTopology('mesh');
const reflector = labTopology('reflector');

test('two nodes in each of two subnets, every one with a block and a pod in it', (t) => {
	t.deepEqual(
		mesh.nodes.map(({ name, address, block, pod }) => `${name} ${address} ${block} ${pod.name} ${pod.address}`),
		[
			'node-a 10.0.1.2 192.168.1.0/26 pod-a 192.168.1.10',
			'node-b 10.0.1.3 192.168.2.0/26 pod-b 192.168.2.10',
			'node-c 10.0.2.2 192.168.3.0/26 pod-c 192.168.3.10',
			'node-d 10.0.2.3 192.168.4.0/26 pod-d 192.168.4.10',
		],
	);
});

test('in a mesh every node has a session with every other one', (t) => {
	t.deepEqual(
		mesh.nodes.map((node) => sessionsOf(node, mesh).map(({ name }) => name)),
		[
			['node-b', 'node-c', 'node-d'],
			['node-a', 'node-c', 'node-d'],
			['node-a', 'node-b', 'node-d'],
			['node-a', 'node-b', 'node-c'],
		],
	);
});

test('with reflectors, those have a session with all and the others only with the reflectors', (t) => {
	t.deepEqual(
		reflector.nodes.map((node) => sessionsOf(node, reflector).map(({ name }) => name)),
		[
			['node-b', 'node-c', 'node-d'],
			['node-a', 'node-c'],
			['node-a', 'node-b', 'node-d'],
			['node-a', 'node-c'],
		],
	);
});

test('the router gets addresses and no route to a pod', (t) => {
	const router = plumbing(mesh, 'x-').steps.find(({ namespace }) => namespace === 'router');
	t.deepEqual(router?.ip, [
		'link set lo up',
		'addr add 10.0.1.1/24 dev rack-1',
		'link set rack-1 up',
		'addr add 10.0.2.1/24 dev rack-2',
		'link set rack-2 up',
	]);
});

test('every namespace of a cable is created, and no device name is longer than the kernel accepts', (t) => {
	const { namespaces, cables } = plumbing(mesh, 'x-');
	for (const cable of cables) {
		const [, device = '', left, peerDevice = '', right] =
			/^link add (\S+) netns x-(\S+) type veth peer name (\S+) netns x-(\S+)$/.exec(cable) ?? [];
		t.true(namespaces.includes(left ?? '') && namespaces.includes(right ?? ''), cable);
		t.true(device.length <= 15 && peerDevice.length <= 15, cable);
	}
});

for (const topology of [mesh, reflector]) {
	for (const node of topology.nodes) {
		test(`the daemon accepts the configuration of ${node.name} in the ${topology.mode} laboratory`, (t) => {
			const config = parseConfig(daemonConfig(node, topology, { socket: '/run/x.sock', guard: false }), 'lab.yaml');
			t.is(config.bgp?.peers.length, sessionsOf(node, topology).length + 1);
			t.is(config.bgp?.clusterId, node.reflector ? topology.clusterId : undefined);
		});
	}
}

test('only nodes that are no reflectors are clients, and only of reflectors', (t) => {
	const clients = reflector.nodes.map((node) => {
		const config = parseConfig(daemonConfig(node, reflector, { socket: '/run/x.sock', guard: false }), 'lab.yaml');
		return config.bgp?.peers.filter(({ reflectorClient }) => reflectorClient).map(({ name }) => name);
	});
	t.deepEqual(clients, [['node-b', 'node-d'], [], ['node-b', 'node-d'], []]);
});

test('the top-of-rack router has a session with every node and exports only the service', (t) => {
	const config = torConfig(mesh);
	t.is(config.match(/protocol bgp /g)?.length, 4);
	t.is(config.match(/export where source = RTS_STATIC;/g)?.length, 4);
});

test('with CNI plugins a pod starts with only loopback, and no cable leads to it', (t) => {
	const { steps, cables } = plumbing(mesh, 'x-', true);
	for (const { pod, name } of mesh.nodes) {
		t.deepEqual(steps.find(({ namespace }) => namespace === pod.name)?.ip, ['link set lo up']);
		t.false(cables.some((line) => line.includes(`x-${pod.name}`)));
		t.false(
			steps
				.find(({ namespace }) => namespace === name)
				?.ip.some((line) => line.includes(pod.device) || line.includes(pod.address)),
		);
	}
});
