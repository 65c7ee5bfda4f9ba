import test from 'ava';
import { ControlClient } from '../../src/control/index.ts';
import type { JsonObject } from '../../src/json/index.ts';
import { calicoKinds, coreKinds } from '../../src/kubernetes/index.ts';
import { RunningDaemon } from '../support/daemon.ts';
import { KubeNode } from '../support/kube-node.ts';
import { addInterface, enterNewNamespace, ip, noNamespaces } from '../support/namespace.ts';

const kernelTest = noNamespaces === undefined ? test.serial : test.serial.skip;
const note = noNamespaces === undefined ? '' : ` (skipped: ${noNamespaces})`;

const lines = (text: string) =>
	text
		.split('\n')
		.map((line) => line.trim().replaceAll(/\s+/g, ' '))
		.filter((line) => line !== '')
		.sort();
const routes = (family = '') => lines(ip(`${family} route show proto 80`.trim()));
const kernelRoutes = (daemon: ControlClient) => daemon.ask('fib', {});

const calicoNode: JsonObject = {
	apiVersion: 'v1',
	kind: 'Pod',
	metadata: { name: 'calico-node-x', namespace: 'kube-system', labels: { 'k8s-app': 'calico-node' } },
	spec: { nodeName: 'node-a', containers: [{ name: 'calico-node', image: 'calico/node' }] },
};

/** As Felix writes them: route protocol 80 as ours, IPv4 without a metric, gateways `onlink`. */
const ofFelix = [
	'route add 192.168.8.0/26 via 10.0.1.8 dev up0 proto 80 onlink',
	'route add blackhole 192.168.9.0/26 proto 80',
];

kernelTest(
	`routes of Felix stop the writing, are not removed, and the remedy that status names ends it${note}`,
	async (t) => {
		enterNewNamespace();
		addInterface('up0', ['10.0.1.1/24']);
		for (const words of ofFelix) ip(words);
		const node = new RunningDaemon();
		node.configure(
			'asNumber: 64512\nrouterId: 10.0.0.1\nlisten: { address: 127.0.0.2, port: 1790 }\noriginate: [ 192.168.1.0/26 ]\ninSyncTimeoutSeconds: 1',
			'pools: [ { cidr: 192.168.0.0/16, ipipMode: Never } ]',
		);
		await node.start(t);
		const { refusal } = await node.until('the refusal is seen', kernelRoutes, (view) => view.refusal !== undefined);
		t.regex(
			refusal?.reason ?? '',
			/^Felix programs routes of the pools on this node: 192\.168\.8\.0\/26 via 10\.0\.1\.8/,
		);
		await node.until('complete', kernelRoutes, ({ waitingFor }) => waitingFor.length === 0);
		t.deepEqual(routes(), ['192.168.8.0/26 via 10.0.1.8 dev up0 onlink', 'blackhole 192.168.9.0/26']);
		const [, remedy = ''] = /ip (route flush proto 80 metric 0)/.exec(refusal?.hint ?? '') ?? [];
		ip(remedy);
		await node.until(
			'it goes on',
			async () => routes(),
			(found) => found.length > 0,
		);
		t.deepEqual(routes(), ['blackhole 192.168.1.0/26 metric 1024']);
		t.is((await node.cli('fib', '--diff')).code, 0);
		// Outside of the pools Felix may have routes: ours come and go beside them.
		ip('route add 10.99.0.0/26 via 10.0.1.8 dev up0 proto 80 onlink');
		ip('route del blackhole 192.168.1.0/26 proto 80 metric 1024');
		await node.until(
			'our route is back',
			async () => routes(),
			(found) => found.some((line) => line.includes('metric 1024')),
		);
		t.deepEqual(routes(), ['10.99.0.0/26 via 10.0.1.8 dev up0 onlink', 'blackhole 192.168.1.0/26 metric 1024']);
	},
);

kernelTest(
	`routes that are left to a Felix that does not write them are a problem, until a resource gives its version${note}`,
	async (t) => {
		enterNewNamespace();
		addInterface('up0', ['10.0.1.2/24']);
		const node = new KubeNode('node-a');
		const peer = (name: string, own: string, far: string) =>
			`peers: [ { name: ${name}, address: ${far}, localAddress: ${own}, port: 1790, asNumber: 64512, connectRetrySeconds: 1 } ]`;
		await node.start(t, {
			address: '10.0.1.2/24',
			bgp: `{ asNumber: 64512, listen: { address: 127.0.0.2, port: 1790 }, ${peer('b', '127.0.0.2', '127.0.0.3')}, inSyncTimeoutSeconds: 1 }`,
			rest: 'fib: { enabled: true }',
			pods: [calicoNode],
		});
		const kinds = calicoKinds('crd.projectcalico.org/v1');
		const annotations = { 'projectcalico.org/IPv4Address': '10.0.1.3/24' };
		await node.client.create(coreKinds.nodes, { metadata: { name: 'node-b', annotations } });
		await node.apply(kinds.pools, 'IPPool', 'pods', { cidr: '192.168.0.0/16', ipipMode: 'CrossSubnet' });
		const other = new RunningDaemon();
		other.configure(
			`asNumber: 64512\nrouterId: 10.0.1.3\nlisten: { address: 127.0.0.3, port: 1790 }\n${peer('a', '127.0.0.3', '127.0.0.2')}\n` +
				'originate: [ { prefix: 192.168.2.0/26, nextHop: 10.0.1.3 } ]',
		);
		await other.start(t);
		const left = async () => {
			const { problems } = await new ControlClient(node.daemon.socket).ask('status', {});
			return problems.filter(({ id }) => id === 'left-without-route');
		};
		const [problem] = await node.daemon.until('the problem is seen', left, (found) => found.length > 0);
		t.is(problem?.subject, '192.168.0.0/16');
		t.regex(problem?.reason ?? '', /no route to 192\.168\.2\.0\/26 of 10\.0\.1\.3; .*names no calicoVersion/);
		t.deepEqual(lines(ip('route show 192.168.2.0/26')), []);

		// As Felix of Calico 3.33 writes it.
		ip('route add 192.168.2.0/26 via 10.0.1.3 dev up0 proto 80 onlink');
		await node.daemon.until('it is solved', left, (found) => found.length === 0);
		ip('route del 192.168.2.0/26 proto 80');
		await node.apply(kinds.clusterInformations, 'ClusterInformation', 'default', { calicoVersion: 'v3.28.0' });
		await node.daemon.until(
			'this node writes the route',
			async () => lines(ip('route show 192.168.2.0/26')),
			(found) => found.length > 0,
		);
		t.deepEqual(await left(), []);
	},
);

kernelTest(
	`in a cluster routes of Felix stay while it runs on the node, and are swept when it is gone${note}`,
	async (t) => {
		enterNewNamespace();
		addInterface('up0', ['10.0.1.2/24', 'fd00:1::2/64']);
		for (const words of [...ofFelix, '-6 route add fd98::/122 via fd00:1::8 dev up0 proto 80 onlink']) ip(words);
		const both = [
			'192.168.8.0/26 via 10.0.1.8 dev up0 onlink',
			'blackhole 192.168.9.0/26',
			'fd98::/122 via fd00:1::8 dev up0 metric 1024 onlink pref medium',
		];
		const node = new KubeNode('node-a');
		await node.start(t, {
			address: '10.0.1.2/24',
			bgp: '{ asNumber: 64512, listen: { address: 10.0.1.2, port: 179 }, originate: [ 192.168.1.0/26 ], inSyncTimeoutSeconds: 1 }',
			rest: 'fib: { enabled: true }',
			pods: [calicoNode],
		});
		await node.apply(calicoKinds('crd.projectcalico.org/v1').bgpConfigurations, 'BGPConfiguration', 'default', {
			nodeToNodeMeshEnabled: true,
		});
		await node.daemon.until('in sync', kernelRoutes, ({ inSync }) => inSync);
		t.deepEqual([...routes(), ...routes('-6')], both);
		const beside = () => lines(ip('route show proto 81'));
		t.deepEqual(beside(), ['blackhole 192.168.1.0/26 metric 1024'], 'Felix would remove a route with its own number');
		const pod = (await node.client.get(coreKinds.pods, 'calico-node-x', 'kube-system')) ?? {};
		await node.client.replace(coreKinds.pods, { ...pod, status: { phase: 'Succeeded' } }, 'status');
		await node.daemon.until(
			'they are swept, and ours have the usual number',
			async () => [...routes(), ...routes('-6')],
			(found) => found.length === 1 && found[0] === 'blackhole 192.168.1.0/26 metric 1024',
		);
		t.deepEqual(beside(), []);
	},
);
