/** Random Services and EndpointSlices for one node, and packets to them. Pure. */
import type { JsonObject, JsonValue } from '../../../src/json/index.ts';
import type { PacketCase } from './cases.ts';

/** Numbers in [0, 1) from a seed (mulberry32). */
export function seededNumbers(seed: number): () => number {
	let state = seed >>> 0;
	return () => {
		state = (state + 0x6d2b79f5) >>> 0;
		let mixed = Math.imul(state ^ (state >>> 15), state | 1);
		mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
	};
}

/** Addresses and ranges of one family at the node of all cases. */
interface Plan {
	readonly family: 'IPv4' | 'IPv6';
	readonly podCidr: string;
	readonly serviceCidr: string;
	readonly nodeAddresses: readonly string[];
	readonly nodePort: string;
	readonly clusterIp: (index: number) => string;
	readonly external: (index: number) => string;
	readonly balancer: (index: number) => string;
	readonly endpoint: (isLocal: boolean, index: number) => string;
	readonly pod: string;
	readonly outside: readonly string[];
	readonly ranges: readonly string[];
}

const plans: readonly Plan[] = [
	{
		family: 'IPv4',
		podCidr: '10.0.0.0/8',
		serviceCidr: '172.30.0.0/16',
		nodeAddresses: ['192.168.0.2', '192.168.1.2'],
		nodePort: '192.168.0.2/32',
		clusterIp: (index) => `172.30.0.${40 + index}`,
		external: (index) => `198.51.100.${10 + index}`,
		balancer: (index) => `1.2.3.${4 + index}`,
		endpoint: (isLocal, index) => `10.180.${isLocal ? 0 : 1}.${1 + index}`,
		pod: '10.0.0.2',
		outside: ['203.0.113.2', '198.18.0.9'],
		ranges: ['203.0.113.0/25', '198.18.0.0/15', '10.0.0.0/16', '192.168.0.0/24', '2001:db8:9::/48'],
	},
	{
		family: 'IPv6',
		podCidr: 'fd00:10::/64',
		serviceCidr: 'fd00:10:96::/112',
		nodeAddresses: ['2001:db8::1', '2001:db8:1::2'],
		nodePort: '2001:db8::1/128',
		clusterIp: (index) => `fd00:10:96::${40 + index}`,
		external: (index) => `2001:db8:e::${10 + index}`,
		balancer: (index) => `2001:db8:f::${4 + index}`,
		endpoint: (isLocal, index) => `fd00:10::${isLocal ? 1 : 2}:${1 + index}`,
		pod: 'fd00:10::2',
		outside: ['2001:db8:9::2', '2001:db8:a::9'],
		ranges: ['2001:db8:9::/64', '2001:db8:a::/48', 'fd00:10::/64', '2001:db8::/64', '203.0.113.0/25'],
	},
];

/** The node of all random cases. */
export const randomNode = { name: 'test-node', labels: { 'topology.kubernetes.io/zone': 'za' } } as const;
/** What a proxy needs of all of them at its start, by family. */
export const randomRanges = plans.map(({ podCidr, nodePort, nodeAddresses: [address = ''] }) => ({
	podCidr,
	nodePort,
	address,
}));

export const randomServiceCidrs = plans.map(({ serviceCidr }) => serviceCidr);

const conditions: readonly JsonObject[] = [
	{},
	{ ready: true },
	{ ready: true, serving: true, terminating: false },
	{ ready: false },
	{ ready: false, serving: true },
	{ ready: false, serving: true, terminating: true },
	{ ready: false, serving: false, terminating: true },
];

/** One case; the same seed and index give the same case. */
export function randomCase(seed: number, index: number): PacketCase {
	const draw = seededNumbers(seed * 7919 + index);
	const below = (count: number): number => Math.floor(draw() * count);
	const chance = (share: number): boolean => draw() < share;
	const pick = <T>(list: readonly [T, ...T[]] | readonly T[]): T => {
		const found = list[below(list.length)];
		if (found === undefined) throw new RangeError('a draw from an empty list');
		return found;
	};
	const plan = pick(plans);
	const services: JsonObject[] = [];
	const endpointSlices: JsonObject[] = [];
	const targets: { to: string; protocol: 'TCP' | 'UDP' | 'SCTP'; port: number }[] = [];
	const sources = [plan.pod, plan.nodeAddresses[0] ?? '', ...plan.outside];
	for (let number = 0; number <= below(3); number++) {
		const type = pick(['ClusterIP', 'NodePort', 'LoadBalancer', 'LoadBalancer']);
		const isExternal = type !== 'ClusterIP';
		const ports = Array.from({ length: 1 + below(2) }, (_, at) => ({
			name: `p${at}`,
			port: 80 + at,
			protocol: pick(['TCP', 'TCP', 'UDP', 'SCTP'] as const),
			...(isExternal ? { nodePort: 30_001 + number * 10 + at } : {}),
		}));
		const clusterIp = plan.clusterIp(number);
		const externalIps = chance(0.3) ? [plan.external(number)] : [];
		const balancer = type === 'LoadBalancer' ? [plan.balancer(number)] : [];
		const ranges = type === 'LoadBalancer' && chance(0.4) ? [pick(plan.ranges), pick(plan.ranges)] : [];
		services.push({
			apiVersion: 'v1',
			kind: 'Service',
			metadata: {
				name: `svc${number}`,
				namespace: 'ns1',
				...(chance(0.05) ? { labels: { 'service.kubernetes.io/service-proxy-name': 'other' } } : {}),
			},
			spec: {
				type,
				clusterIP: clusterIp,
				clusterIPs: [clusterIp],
				ipFamilies: [plan.family],
				ipFamilyPolicy: 'SingleStack',
				ports,
				internalTrafficPolicy: pick(['Cluster', 'Cluster', 'Local']),
				...(isExternal || externalIps.length > 0 ? { externalTrafficPolicy: pick(['Cluster', 'Local']) } : {}),
				...(externalIps.length === 0 ? {} : { externalIPs: externalIps }),
				...(ranges.length === 0 ? {} : { loadBalancerSourceRanges: [...new Set(ranges)] }),
			},
			...(balancer.length === 0
				? {}
				: {
						status: {
							loadBalancer: {
								ingress: balancer.map((ip) => ({ ip, ipMode: pick(['VIP', 'VIP', 'VIP', 'Proxy']) })),
							},
						},
					}),
		});
		const hasHints = chance(0.3);
		// Of an address that a Service lists twice kube-proxy takes one by order, ours a ready one.
		let addresses = 0;
		const endpoint = (): JsonObject => {
			const isLocal = chance(0.5);
			const address = plan.endpoint(isLocal, addresses++);
			if (isLocal) sources.push(address);
			const zone = pick(['za', 'zb']);
			const hints: JsonValue = chance(0.7)
				? { forZones: [{ name: zone }] }
				: { forNodes: [{ name: pick(['test-node', 'remote']) }], forZones: [{ name: zone }] };
			return {
				addresses: [address],
				...(chance(0.1) ? {} : { nodeName: isLocal ? 'test-node' : 'remote' }),
				conditions: pick(chance(0.5) ? conditions.slice(0, 3) : conditions),
				zone,
				...(hasHints && chance(0.9) ? { hints } : {}),
			};
		};
		for (let at = 0; at < below(3); at++)
			endpointSlices.push({
				apiVersion: 'discovery.k8s.io/v1',
				kind: 'EndpointSlice',
				metadata: {
					name: `svc${number}-${at}`,
					namespace: 'ns1',
					labels: { 'kubernetes.io/service-name': `svc${number}` },
				},
				addressType: plan.family,
				endpoints: Array.from({ length: below(4) }, endpoint),
				ports: ports
					.filter(() => chance(0.9))
					.map(({ name, protocol }, offset) => ({ name, protocol, port: pick([80, 8080]) + offset })),
			});
		for (const { port, protocol, nodePort } of ports) {
			for (const to of [clusterIp, ...externalIps, ...balancer]) targets.push({ to, protocol, port });
			if (nodePort !== undefined) for (const to of plan.nodeAddresses) targets.push({ to, protocol, port: nodePort });
			targets.push({ to: clusterIp, protocol, port: 7 });
		}
	}
	return {
		id: `random-${seed}-${index}`,
		title: `${services.length} Services, ${endpointSlices.length} EndpointSlices, ${plan.family}`,
		family: plan.family,
		node: { ...randomNode, addresses: plan.nodeAddresses },
		options: {
			podCIDR: plan.podCidr,
			serviceCIDR: plan.serviceCidr,
			nodePortAddresses: [plan.nodePort],
			masqueradeAll: false,
			localDetection: true,
		},
		services,
		endpointSlices,
		packets: Array.from({ length: 12 }, () => ({
			from: pick(sources),
			...pick(targets),
			expect: { verdict: 'untouched' as const },
		})),
	};
}
