/** Services and EndpointSlices of the cases of `services-behaviour.jsonl`. */

import type { Cell } from '../../../lab/truth-table.ts';
import { arrayAt, at, isObject, type JsonObject, type JsonValue, objectAt, textAt } from '../../../src/json/index.ts';
import type { BehaviourCase } from './cases.ts';

/** The node of these cases. */
export const node = { name: 'test-node', primary: { ipv4: '192.168.0.2' } } as const;
/** The Service of these cases. */
export const service = 'ns1/svc1';

/** What a case gives to the API server. */
export interface BehaviourObjects {
	readonly service: JsonObject;
	readonly slices: readonly JsonObject[];
}

/** A cell of a case; both outcomes are compared as JSON. */
export const behaviourCell = (item: BehaviourCase, probe: string, expected: unknown, actual: unknown): Cell => ({
	id: item.id,
	step: 0,
	from: '',
	to: '',
	probe,
	expected: JSON.stringify(expected),
	actual: JSON.stringify(actual),
});

/** Conditions of an endpoint by the word that a case has for its state. */
export const conditions: Readonly<Record<string, JsonObject>> = {
	ready: { ready: true, serving: true, terminating: false },
	notready: { ready: false, serving: false, terminating: false },
	terminating: { ready: false, serving: true, terminating: true },
	'terminating-serving': { ready: false, serving: true, terminating: true },
	'terminating-not-serving': { ready: false, serving: false, terminating: true },
};

/** A slice of the Service `name` with IPv4 endpoints. */
export const sliceOf = (
	endpoints: readonly JsonValue[],
	ports: readonly JsonValue[],
	{ name = 'svc1', index = 1 }: { readonly name?: string; readonly index?: number } = {},
): JsonObject => ({
	metadata: { name: `${name}-${index}`, namespace: 'ns1', labels: { 'kubernetes.io/service-name': name } },
	addressType: 'IPv4',
	endpoints,
	ports,
});

/** The objects of a case of the kind `health`. */
export function healthObjects({ input }: BehaviourCase): BehaviourObjects {
	const listed = arrayAt(input, 'endpoints').filter(isObject);
	const portCount = Math.max(1, ...listed.map((endpoint) => Number(endpoint['ports'] ?? 1)));
	const ports = Array.from({ length: portCount }, (_, index) => ({
		name: `p${index}`,
		port: 80 + index,
		protocol: 'TCP',
	}));
	const endpoints = listed.map((endpoint, index) => ({
		addresses: [`10.0.1.${index + 1}`],
		nodeName: endpoint['local'] === true ? node.name : 'remote',
		conditions: conditions[textAt(endpoint, 'state') ?? 'ready'],
	}));
	return {
		service: {
			metadata: { name: 'svc1', namespace: 'ns1' },
			spec: {
				type: textAt(input, 'type'),
				clusterIP: '172.30.0.41',
				externalTrafficPolicy: textAt(input, 'externalTrafficPolicy'),
				healthCheckNodePort: at(input, 'healthCheckNodePort'),
				ports,
			},
		},
		slices: [sliceOf(endpoints, ports)],
	};
}

/** The objects of a case of the kind `conntrack`. */
export function conntrackObjects({ input }: BehaviourCase): BehaviourObjects {
	const given = objectAt(input, 'service');
	const { port, nodePort } = given;
	const protocol = textAt(given, 'protocol') ?? 'UDP';
	const externalIps = [textAt(given, 'externalIP'), ...arrayAt(given, 'externalIPs')].filter((ip) => ip !== undefined);
	const ingress = [textAt(given, 'loadBalancerIP'), ...arrayAt(given, 'loadBalancerIPs')].filter(
		(ip) => ip !== undefined,
	);
	return {
		service: {
			metadata: { name: 'svc1', namespace: 'ns1' },
			spec: {
				type: ingress.length > 0 ? 'LoadBalancer' : nodePort === undefined ? 'ClusterIP' : 'NodePort',
				clusterIP: given['clusterIP'],
				externalIPs: externalIps,
				ports: [{ name: 'p', port, protocol, nodePort }],
			},
			status: { loadBalancer: { ingress: ingress.map((ip) => ({ ip })) } },
		},
		slices: arrayAt(given, 'endpoints')
			.filter(isObject)
			.map((endpoint, index) =>
				sliceOf(
					[{ addresses: [endpoint['ip'] ?? ''], conditions: conditions[textAt(endpoint, 'state') ?? 'ready'] }],
					[{ name: 'p', port: endpoint['port'], protocol }],
					{ index },
				),
			),
	};
}
