/**
 * Policy from resources to the kernel: the initial state, one label, one policy, one member of a
 * large set.
 */
import type { JsonObject } from '../../src/json/index.ts';
import { check, libc, loadRuleset } from '../../src/linux/index.ts';
import { NftablesPolicy } from '../../src/nftables/index.ts';
import { defaultNodeSettings, PolicyCalculator, PolicyFeed } from '../../src/policy/index.ts';
import { type Distribution, repeated, residentMib, round, timed } from './measures.ts';

export interface PolicyBenchOptions {
	/** Pods of this node. */
	readonly pods: number;
	readonly policies: number;
	readonly changes: number;
}

export interface PolicyBenchResult extends PolicyBenchOptions {
	/** Resources to representation. */
	readonly computeMs: number;
	/** Representation to kernel, with an empty kernel and with a complete one. */
	readonly startMs: number;
	readonly restartMs: number;
	readonly labelChange: Distribution;
	readonly policyChange: Distribution;
	/** A pod of another node joins a set that has as many members as there are pods. */
	readonly memberChange: Distribution;
	readonly residentMib: number;
}

const namespaces = 100;

function pod(index: number, node: string, labels: Readonly<Record<string, string>>): JsonObject {
	return {
		apiVersion: 'v1',
		kind: 'Pod',
		metadata: { namespace: `ns${index % namespaces}`, name: `pod${index}`, labels: { ...labels } },
		spec: { nodeName: node, serviceAccountName: 'default', containers: [] },
		status: { phase: 'Running', podIP: `10.${100 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}` },
	};
}

/**
 * Selects the pods of one application in a namespace; clients are the pods of another application,
 * in every namespace.
 */
function policy(index: number, policies: number, port: number): JsonObject {
	return {
		apiVersion: 'networking.k8s.io/v1',
		kind: 'NetworkPolicy',
		metadata: { namespace: `ns${index % namespaces}`, name: `policy${index}` },
		spec: {
			podSelector: { matchLabels: { app: `app${index}` } },
			policyTypes: ['Ingress'],
			ingress: [
				{
					from: [
						{ namespaceSelector: {}, podSelector: { matchLabels: { app: `app${(index + 1) % policies}` } } },
						{ namespaceSelector: {}, podSelector: { matchLabels: { everywhere: 'yes' } } },
						{ ipBlock: { cidr: '198.51.100.0/24' } },
					],
					ports: [
						{ protocol: 'TCP', port },
						{ protocol: 'TCP', port: 443 },
					],
				},
			],
		},
	};
}

/** Runs in its own network namespace, which this process enters. */
export async function benchPolicy(options: PolicyBenchOptions): Promise<PolicyBenchResult> {
	const { pods, policies, changes } = options;
	check('unshare', libc().unshare(0x40000000));
	const calculator = new PolicyCalculator({ node: 'here', settings: defaultNodeSettings });
	const feed = new PolicyFeed(calculator);
	const labelsOf = (index: number, app = index % policies) => ({ app: `app${app}`, everywhere: 'yes' });
	const computeMs = await timed(async () => {
		for (let index = 0; index < namespaces; index++)
			feed.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: `ns${index}`, labels: {} } });
		for (let index = 0; index < pods; index++) feed.put(pod(index, 'here', labelsOf(index)));
		for (let index = 0; index < policies; index++) feed.put(policy(index, policies, 80));
		calculator.takeChange();
	});
	const kernel = new NftablesPolicy({}, { load: loadRuleset });
	const startMs = await timed(() => kernel.sync(calculator.state));
	const next = new NftablesPolicy({}, { load: loadRuleset });
	const restartMs = await timed(() => next.sync(calculator.state));
	next.close();
	const program = async () => {
		const change = calculator.takeChange();
		if (change === undefined) throw new Error('nothing changed');
		await kernel.apply(change, calculator.state);
	};
	const labelChange = await repeated(changes, (index) => {
		// The application of another namespace's policy: neither the old nor the new one selects it
		// in a second place.
		feed.put(pod(index, 'here', labelsOf(index, (index + namespaces) % policies)));
		return program();
	});
	const policyChange = await repeated(changes, (index) => {
		// Of an application whose pods kept their labels.
		feed.put(policy((index + 2 * namespaces) % policies, policies, 8080));
		return program();
	});
	const memberChange = await repeated(changes, (index) => {
		feed.put(pod(pods + index, 'there', { everywhere: 'yes' }));
		return program();
	});
	kernel.close();
	return {
		pods,
		policies,
		changes,
		computeMs: round(computeMs),
		startMs: round(startMs),
		restartMs: round(restartMs),
		labelChange,
		policyChange,
		memberChange,
		residentMib: residentMib(),
	};
}
