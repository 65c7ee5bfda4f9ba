import test from 'ava';
import { ControlClient } from '../../src/control/index.ts';
import { arrayAt, type JsonObject, textAt } from '../../src/json/index.ts';
import { calicoKinds, coreKinds } from '../../src/kubernetes/index.ts';
import { KubeNode } from '../support/kube-node.ts';

const kinds = calicoKinds('crd.projectcalico.org/v1');

/** Own service routes with their communities. */
const ours = async (daemon: ControlClient) =>
	(await daemon.ask('routes', { prefix: '198.51.100.0/24', covered: true })).routes.map(
		({ prefix, communities, localPref }) =>
			[prefix, ...communities, ...(localPref === undefined ? [] : [localPref])].join(' '),
	);

const slice = (conditions: JsonObject): JsonObject => ({
	apiVersion: 'discovery.k8s.io/v1',
	kind: 'EndpointSlice',
	metadata: { name: 'web-1', namespace: 'default', labels: { 'kubernetes.io/service-name': 'web' } },
	addressType: 'IPv4',
	endpoints: [{ addresses: ['10.42.0.5'], nodeName: 'node-a', conditions }],
	ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
});

test.serial(
	'a service address is announced with its local endpoint, drained while that terminates, and withdrawn after',
	async (t) => {
		const node = new KubeNode('node-a');
		await node.start(t, {
			address: '127.0.0.1/8',
			bgp: '{ asNumber: 64512, routerId: 127.0.0.1, listen: { address: 127.0.0.1, port: 21790 } }',
			rest: 'fib: { enabled: false }',
		});
		const { client, daemon } = node;
		await client.create(
			coreKinds.services,
			{
				apiVersion: 'v1',
				kind: 'Service',
				metadata: { name: 'web', namespace: 'default' },
				spec: {
					type: 'LoadBalancer',
					externalTrafficPolicy: 'Local',
					selector: { app: 'web' },
					ports: [{ name: 'http', port: 80, protocol: 'TCP', nodePort: 30080 }],
				},
			},
			'default',
		);
		await client.patch(
			coreKinds.services,
			'web',
			{ status: { loadBalancer: { ingress: [{ ip: '198.51.100.7' }] } } },
			'application/merge-patch+json',
			{ namespace: 'default', subresource: 'status' },
		);
		const made = await client.create(coreKinds.endpointSlices, slice({ ready: true }), 'default');
		await node.apply(kinds.bgpConfigurations, 'BGPConfiguration', 'default', {
			nodeToNodeMeshEnabled: false,
			asNumber: 64512,
			serviceLoadBalancerIPs: [{ cidr: '198.51.100.0/24' }],
		});
		await daemon.until('the address is announced', ours, (routes) => routes.length === 2);
		const [view] = (await new ControlClient(daemon.socket).ask('services', { name: '198.51.100.7' })).services;
		t.is(view?.name, 'web');
		t.deepEqual(
			view?.announcements.map(({ prefix, state }) => [prefix, state]),
			[['198.51.100.7/32', 'ready']],
		);
		t.is(view?.ports[0]?.endpoints[0]?.use, 'used');

		const draining = await client.replace(coreKinds.endpointSlices, {
			...made,
			...slice({ ready: false, serving: true, terminating: true }),
			metadata: made['metadata'],
		});
		const drained = await daemon.until('it drains', ours, (routes) =>
			routes.some((route) => route.includes('65535:0')),
		);
		t.deepEqual(drained, ['198.51.100.0/24', '198.51.100.7/32 65535:0 0']);

		await client.replace(coreKinds.endpointSlices, { ...draining, endpoints: [] });
		await daemon.until('it is withdrawn', ours, (routes) => routes.length === 1);

		// The label withdraws the range, too; this node could still serve it, so it is drained
		// first.
		await client.patch(
			coreKinds.nodes,
			'node-a',
			{ metadata: { labels: { 'node.kubernetes.io/exclude-from-external-load-balancers': 'true' } } },
			'application/merge-patch+json',
		);
		await daemon.until('the range drains', ours, (routes) => routes.join() === '198.51.100.0/24 65535:0 0');
	},
);

test.serial(
	'a Service of type LoadBalancer gets addresses of a pool for load balancers, keeps them, and releases them when it is deleted',
	async (t) => {
		const node = new KubeNode('node-a');
		await node.start(t, {
			address: '127.0.0.1/8',
			bgp: '{ asNumber: 64512, routerId: 127.0.0.1, listen: { address: 127.0.0.1, port: 21791 } }',
			rest: 'fib: { enabled: false }',
		});
		const { client, daemon } = node;
		const make = (name: string, annotations: JsonObject = {}) =>
			client.create(
				coreKinds.services,
				{
					apiVersion: 'v1',
					kind: 'Service',
					metadata: { name, namespace: 'default', annotations },
					spec: { type: 'LoadBalancer', selector: { app: name }, ports: [{ name: 'http', port: 80, protocol: 'TCP' }] },
				},
				'default',
			);
		const addressesOf = async (name: string) =>
			arrayAt(await client.get(coreKinds.services, name, 'default'), 'status', 'loadBalancer', 'ingress').map((entry) =>
				textAt(entry, 'ip'),
			);
		const inBlocks = async () =>
			(await client.list(kinds.blocks)).items.flatMap((block) => [
				textAt(block, 'spec', 'affinity'),
				...arrayAt(block, 'spec', 'attributes').map((attribute) => textAt(attribute, 'secondary', 'service')),
			]);

		await make('web');
		await node.apply(kinds.pools, 'IPPool', 'balanced', {
			cidr: '198.51.100.0/26',
			blockSize: 29,
			allowedUses: ['LoadBalancer'],
			nodeSelector: 'all()',
			ipipMode: 'Never',
			vxlanMode: 'Never',
		});
		await daemon.until(
			'web has an address',
			() => addressesOf('web'),
			(found) => found.length === 1,
		);
		const [first] = await addressesOf('web');
		t.regex(first ?? '', /^198\.51\.100\.\d+$/);
		t.deepEqual(await inBlocks(), ['virtual:load-balancer', 'web']);

		const [other] = ['198.51.100.40', '198.51.100.41'].filter((address) => address !== first);
		await make('certain', { 'projectcalico.org/loadBalancerIPs': JSON.stringify([other]) });
		await daemon.until(
			'certain has its address',
			() => addressesOf('certain'),
			(found) => found.length === 1,
		);
		t.deepEqual(await addressesOf('certain'), [other]);
		t.deepEqual(await addressesOf('web'), [first]);

		await client.remove(coreKinds.services, 'web', { namespace: 'default' });
		await daemon.until('the address of web is free', inBlocks, (found) => !found.includes('web'));
		t.true((await inBlocks()).includes('certain'));

		await client.patch(coreKinds.services, 'certain', { spec: { type: 'ClusterIP' } }, 'application/merge-patch+json', {
			namespace: 'default',
		});
		await daemon.until(
			'a Service of another type gives its address back',
			inBlocks,
			(found) => !found.includes('certain'),
		);
	},
);
