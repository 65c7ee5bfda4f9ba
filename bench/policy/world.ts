import type { JsonObject } from '../../src/json/index.ts';

/** The size of a generated cluster. */
export interface WorldSize {
	readonly pods: number;
	readonly nodes: number;
	readonly namespaces: number;
	readonly policies: number;
}

/** Labels of a pod name one of this many applications in its namespace. */
const applications = 10;

export const nodeName = (index: number): string => `node-${index}`;

/**
 * The node that a pod is on: independent of its namespace and application, so that policies of all
 * namespaces select pods of each node.
 */
export const nodeOfPod = (index: number, { nodes, namespaces }: WorldSize): number =>
	(index + Math.floor(index / namespaces) + Math.floor(index / (namespaces * applications))) % nodes;

/** A pod as an API server sends it, without unused members. Every fifth is of a StatefulSet. */
export function podObject(index: number, size: WorldSize, app?: string): JsonObject {
	const { namespaces } = size;
	const name = `pod-${index}`;
	const application = app ?? `app-${Math.floor(index / namespaces) % applications}`;
	return {
		metadata: {
			name,
			namespace: `ns-${index % namespaces}`,
			uid: `${index.toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`,
			resourceVersion: String(1_000_000 + index),
			labels: {
				app: application,
				tier: index % 3 === 0 ? 'front' : 'back',
				'pod-template-hash': `${(Math.floor(index / namespaces) % applications) * 7919}`,
				...(index % 5 === 0 ? { 'statefulset.kubernetes.io/pod-name': name } : {}),
			},
		},
		spec: {
			nodeName: nodeName(nodeOfPod(index, size)),
			serviceAccountName: 'default',
			containers: [{ ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }] }],
		},
		status: { phase: 'Running', podIP: address(index), podIPs: [{ ip: address(index) }] },
	};
}

const address = (index: number): string => `10.${64 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;

/**
 * A policy in one namespace: one application is reachable from another, and from all pods of a
 * third namespace.
 */
export function policyObject(index: number, { namespaces }: WorldSize, port = 8080): JsonObject {
	const namespace = index % namespaces;
	return {
		apiVersion: 'networking.k8s.io/v1',
		kind: 'NetworkPolicy',
		metadata: { name: `policy-${index}`, namespace: `ns-${namespace}` },
		spec: {
			podSelector: { matchLabels: { app: `app-${Math.floor(index / namespaces) % applications}` } },
			policyTypes: ['Ingress', 'Egress'],
			ingress: [
				{
					from: [
						{ podSelector: { matchLabels: { app: `app-${(index + 1) % applications}` } } },
						{
							namespaceSelector: { matchLabels: { team: `team-${index % 10}` } },
							podSelector: { matchLabels: { tier: 'front' } },
						},
					],
					ports: [{ port }, { port: 'http' }],
				},
			],
			egress: [{ to: [{ podSelector: {} }] }, { to: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.128.0.0/9'] } }] }],
		},
	};
}

/** Indices of the policies that select a pod of the first node: an agent writes no others. */
export function localPolicies(size: WorldSize): readonly number[] {
	const { pods, policies, namespaces } = size;
	const application = (index: number) => `${index % namespaces} ${Math.floor(index / namespaces) % applications}`;
	const local = new Set<string>();
	for (let index = 0; index < pods; index++) if (nodeOfPod(index, size) === 0) local.add(application(index));
	return Array.from({ length: policies }, (_, index) => index).filter((index) => local.has(application(index)));
}

/** All objects except pods. */
export function* otherObjects(size: WorldSize): Iterable<JsonObject> {
	for (let index = 0; index < size.namespaces; index++)
		yield {
			apiVersion: 'v1',
			kind: 'Namespace',
			metadata: {
				name: `ns-${index}`,
				labels: { team: `team-${index % 10}`, 'kubernetes.io/metadata.name': `ns-${index}` },
			},
		};
	for (let index = 0; index < size.nodes; index++)
		yield {
			apiVersion: 'v1',
			kind: 'Node',
			metadata: { name: nodeName(index) },
			status: { addresses: [{ type: 'InternalIP', address: `172.16.${index >> 8}.${index & 255}` }] },
		};
	for (let index = 0; index < size.policies; index++) yield policyObject(index, size);
}
