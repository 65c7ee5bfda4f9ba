import type { JsonObject } from '../../src/json/index.ts';
import {
	defaultNodeSettings,
	type NodePolicy,
	type NodePolicyChange,
	type NodeSettings,
	type Place,
	PolicyCalculator,
	PolicyFeed,
} from '../../src/policy/index.ts';
import type { CaseCluster, CasePod, CaseStep } from './cases.ts';

/**
 * The location of an endpoint in a case: the place, its address and, for pods, the node's side of
 * it.
 */
export interface Party {
	readonly name: string;
	readonly place: Place;
	readonly address: string;
}

/** The policy of one node in a step, and its difference from the previous step. */
export interface NodeStep {
	readonly policy: NodePolicy;
	/** `undefined`: no change. */
	readonly change: NodePolicyChange | undefined;
}

/** A step in the form of a backend. */
export interface PreparedStep {
	readonly cluster: CaseCluster;
	readonly parties: ReadonlyMap<string, Party>;
	readonly nodes: ReadonlyMap<string, NodeStep>;
}

/**
 * The cluster of a case, one calculator for each node, step by step: the calculators get a step as
 * the difference from the previous one, as from informers.
 */
export class CaseRun {
	readonly #nodes = new Map<string, { calculator: PolicyCalculator; feed: PolicyFeed }>();
	readonly #objects = new Map<string, { object: JsonObject; text: string }>();

	prepare(step: CaseStep): PreparedStep {
		const { cluster } = step;
		const settings = settingsOf(cluster);
		const parties = partiesOf(cluster);
		const wanted = new Map([...clusterObjects(cluster), ...step.resources].map((object) => [identity(object), object]));
		for (const name of nodeNames(cluster)) this.#node(name, settings);
		for (const [id, { object }] of this.#objects) {
			if (wanted.has(id)) continue;
			this.#objects.delete(id);
			for (const { feed } of this.#nodes.values()) feed.remove(object);
		}
		for (const [id, object] of wanted) {
			const text = JSON.stringify(object);
			if (this.#objects.get(id)?.text === text) continue;
			this.#objects.set(id, { object, text });
			for (const { feed } of this.#nodes.values()) feed.put(object);
		}
		const nodes = new Map<string, NodeStep>();
		for (const [name, { calculator }] of this.#nodes) {
			calculator.setSettings(settings);
			const change = calculator.takeChange();
			nodes.set(name, { policy: calculator.state, change });
		}
		return { cluster, parties, nodes };
	}

	#node(name: string, settings: NodeSettings): void {
		if (this.#nodes.has(name)) return;
		const calculator = new PolicyCalculator({ node: name, settings });
		const feed = new PolicyFeed(calculator);
		for (const { object } of this.#objects.values()) feed.put(object);
		this.#nodes.set(name, { calculator, feed });
	}
}

/** Node names of a cluster, including those that only its pods reference. */
export const nodeNames = ({ nodes = [], pods }: CaseCluster): readonly string[] => [
	...new Set([...nodes.map(({ name }) => name), ...pods.map(({ node }) => node)]),
];

function settingsOf({ felix }: CaseCluster): NodeSettings {
	const action = felix?.defaultEndpointToHostAction?.toLowerCase();
	if (action === undefined) return defaultNodeSettings;
	if (action !== 'drop' && action !== 'accept' && action !== 'return')
		throw new Error(`defaultEndpointToHostAction ${action} is unknown`);
	return { ...defaultNodeSettings, endpointToHostAction: action };
}

function partiesOf({ pods, nodes = [], externals = [] }: CaseCluster): ReadonlyMap<string, Party> {
	const pod = (one: CasePod): Party => {
		const name = `${one.namespace}/${one.name}`;
		const place: Place =
			one.hostNetwork === true ? { type: 'node', node: one.node } : { type: 'pod', key: name, node: one.node };
		return { name, place, address: one.ip };
	};
	return new Map(
		[
			...pods.map(pod),
			...nodes.map(({ name, ip }): Party => ({ name, place: { type: 'node', node: name }, address: ip })),
			...externals.map(({ name, ip }): Party => ({ name, place: { type: 'outside' }, address: ip })),
		].map((party) => [party.name, party]),
	);
}

/** The cluster as objects of an API server. */
function clusterObjects({ namespaces, serviceAccounts = [], pods, nodes = [] }: CaseCluster): JsonObject[] {
	return [
		...Object.entries(namespaces).map(
			([name, labels]): JsonObject => ({
				apiVersion: 'v1',
				kind: 'Namespace',
				metadata: { name, labels },
			}),
		),
		...serviceAccounts.map(
			({ namespace, name, labels }): JsonObject => ({
				apiVersion: 'v1',
				kind: 'ServiceAccount',
				metadata: { namespace, name, labels: labels ?? {} },
			}),
		),
		...nodes.map(
			({ name, ip }): JsonObject => ({
				apiVersion: 'v1',
				kind: 'Node',
				metadata: { name },
				status: { addresses: [{ type: 'InternalIP', address: ip }] },
			}),
		),
		...pods.map(
			(pod): JsonObject => ({
				apiVersion: 'v1',
				kind: 'Pod',
				metadata: { namespace: pod.namespace, name: pod.name, labels: pod.labels ?? {} },
				spec: {
					nodeName: pod.node,
					serviceAccountName: pod.serviceAccount ?? 'default',
					hostNetwork: pod.hostNetwork === true,
					containers: [
						{
							ports: (pod.ports ?? []).map(({ name, port, protocol }) => ({ name, containerPort: port, protocol })),
						},
					],
				},
				status: { phase: 'Running', podIP: pod.ip },
			}),
		),
	];
}

const identity = (object: JsonObject): string => {
	const metadata = object['metadata'] as { namespace?: string; name: string };
	return (
		`${String(object['apiVersion']).split('/')[0]} ${String(object['kind'])} ` +
		`${metadata.namespace ?? ''}/${metadata.name}`
	);
};
