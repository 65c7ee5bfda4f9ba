import type { ServicesView, ServiceView } from '../../src/control/index.ts';

const none = { pod: 'reject', node: 'reject', outside: 'reject' } as const;

/** A load balancer service with policy Local. */
export const web: ServiceView = {
	namespace: 'default',
	name: 'web',
	type: 'LoadBalancer',
	internalTrafficPolicy: 'Cluster',
	externalTrafficPolicy: 'Local',
	affinitySeconds: 10_800,
	programmed: true,
	frontends: [
		{
			type: 'cluster-ip',
			address: '10.96.0.10',
			protocol: 'tcp',
			port: 80,
			actions: { pod: 'to 2 endpoints', node: 'to 2 endpoints, masqueraded', outside: 'to 2 endpoints, masqueraded' },
			newConnections: 1204,
		},
		{
			type: 'load-balancer-ip',
			address: '198.51.100.7',
			protocol: 'tcp',
			port: 80,
			actions: { pod: 'to 2 endpoints', node: 'to 2 endpoints, masqueraded', outside: 'to 1 local endpoint' },
			sourceRanges: ['203.0.113.0/24'],
			newConnections: 17,
		},
		{
			type: 'node-port',
			protocol: 'tcp',
			port: 30080,
			actions: { pod: 'to 2 endpoints', node: 'to 2 endpoints, masqueraded', outside: 'to 1 local endpoint' },
			takenBy: 'default/old',
		},
	],
	ports: [
		{
			name: 'http',
			port: 80,
			protocol: 'tcp',
			family: 'ipv4',
			topology: 'none',
			endpoints: [
				{ address: '10.42.1.5', port: 8080, node: 'node-a', local: true, zone: 'za', use: 'used', connections: 12 },
				{
					address: '10.42.2.6',
					port: 8080,
					node: 'node-b',
					local: false,
					zone: 'zb',
					use: 'used, but not where policy Local holds: it is on another node',
					connections: 9,
				},
				{
					address: '10.42.2.7',
					port: 8080,
					node: 'node-b',
					local: false,
					zone: 'zb',
					use: 'not ready',
					connections: 0,
				},
				{ address: '10.42.2.4', port: 8080, local: false, use: 'in no EndpointSlice any more', connections: 2 },
			],
		},
	],
	announcements: [
		{ prefix: '198.51.100.7/32', kind: 'load-balancer-ip', state: 'draining', services: ['default/web'] },
	],
	healthCheck: { port: 32000, localEndpoints: 1 },
	handover: [{ address: '198.51.100.7', port: 80, peers: ['10.0.0.2', '10.0.0.3'], secondsLeft: 42 }],
	problems: ['loadBalancerSourceRanges has no ipv6 range: every ipv6 source may connect, as with kube-proxy'],
};

/** A service without a usable endpoint. */
export const dns: ServiceView = {
	namespace: 'kube-system',
	name: 'dns',
	type: 'ClusterIP',
	internalTrafficPolicy: 'Cluster',
	externalTrafficPolicy: 'Cluster',
	programmed: false,
	frontends: [
		{ type: 'cluster-ip', address: '10.96.0.53', protocol: 'udp', port: 53, actions: none },
		{ type: 'cluster-ip', address: 'fd00:96::53', protocol: 'udp', port: 53, actions: none },
	],
	ports: [
		{ name: 'dns', port: 53, protocol: 'udp', family: 'ipv4', topology: 'none', endpoints: [] },
		{ name: 'dns', port: 53, protocol: 'udp', family: 'ipv6', topology: 'none', endpoints: [] },
	],
	announcements: [],
	problems: [],
};

export const servicesRest: Omit<ServicesView, 'services'> = {
	mode: 'proxy',
	inSync: true,
	ranges: [{ prefix: '10.96.0.0/12', kind: 'range', state: 'ready', services: [] }],
};
