import test from 'ava';
import { prefixKey } from '../../src/core/index.ts';
import { connectionsOf, resolveSettings, type ServiceConnections, ServicesState } from '../../src/services/index.ts';

const settings = resolveSettings(
	{ podRanges: undefined, serviceRanges: [prefixKey('10.96.0.0/12')], masqueradeAll: false, nodePortAddresses: 'all' },
	['10.0.0.1'],
);

const state = new ServicesState({ node: { name: 'node-a', primary: { ipv4: '10.0.0.1' } }, settings });
state.setService({
	metadata: { name: 'web', namespace: 'default' },
	spec: {
		type: 'LoadBalancer',
		clusterIP: '10.96.0.10',
		ports: [{ name: 'http', port: 80, protocol: 'TCP', nodePort: 30080 }],
	},
	status: { loadBalancer: { ingress: [{ ip: '198.51.100.7' }] } },
});
state.setSlice({
	metadata: { name: 'web-1', namespace: 'default', labels: { 'kubernetes.io/service-name': 'web' } },
	addressType: 'IPv4',
	endpoints: [{ addresses: ['10.42.0.5'], conditions: {} }],
	ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
});
state.settle();

const to = (
	destination: string,
	destinationPort: number,
	more: Partial<ServiceConnections> = {},
): ServiceConnections => ({
	protocol: 'tcp',
	destination,
	destinationPort,
	backend: '10.42.0.5',
	backendPort: 8080,
	count: 1,
	...more,
});

test('connections to all addresses of a Service and to its node port are those of its port', (t) => {
	const found = connectionsOf(state.model, [
		to('10.96.0.10', 80, { count: 3 }),
		to('198.51.100.7', 80),
		to('10.0.0.1', 30080),
		to('10.96.0.10', 80, { backend: '10.42.0.9' }),
	]);
	t.deepEqual(
		[...found].map(([port, backends]) => [port, [...backends]]),
		[
			[
				'default/web:80/tcp@ipv4',
				[
					['10.42.0.5 8080', 5],
					['10.42.0.9 8080', 1],
				],
			],
		],
	);
});

test('connections of other translations are left out', (t) => {
	const others = [
		to('10.0.0.1', 8080),
		to('10.96.0.10', 81),
		to('10.96.0.10', 80, { protocol: 'udp' }),
		to('192.0.2.1', 80),
	];
	t.is(connectionsOf(state.model, others).size, 0);
});
