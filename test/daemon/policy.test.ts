import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { ControlClient } from '../../src/control/index.ts';
import type { JsonObject } from '../../src/json/index.ts';
import { coreKinds, type ResourceKind } from '../../src/kubernetes/index.ts';
import { KubeNode } from '../support/kube-node.ts';

const policies: ResourceKind = {
	kind: 'NetworkPolicy',
	apiVersion: 'networking.k8s.io/v1',
	plural: 'networkpolicies',
	namespaced: true,
};

const pod = (name: string, labels: JsonObject): JsonObject => ({
	apiVersion: 'v1',
	kind: 'Pod',
	metadata: { name, namespace: 'default', labels },
	spec: { nodeName: 'node-a', containers: [{ name: 'c', image: 'x' }] },
});
const policy: JsonObject = {
	apiVersion: 'networking.k8s.io/v1',
	kind: 'NetworkPolicy',
	metadata: { name: 'db', namespace: 'default' },
	spec: {
		podSelector: { matchLabels: { app: 'db' } },
		ingress: [{ from: [{ podSelector: { matchLabels: { app: 'web' } } }], ports: [{ port: 5432 }] }],
	},
};
/** Not from the cluster: it fails closed, and its tier does not exist. */
const ofFile = `apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: { name: of-file }
spec:
  tier: absent
  selector: app == 'nothing'
  ingress: [{ action: Allow, protocol: TCP, http: { methods: [GET] } }]
`;

test.serial('policies of the cluster and of files are computed, traced and shown, without enforcement', async (t) => {
	const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-policy-'));
	writeFileSync(join(folder, 'policy.yaml'), ofFile);
	const node = new KubeNode('node-a');
	await node.start(t, {
		address: '127.0.0.1/8',
		bgp: '{ asNumber: 64512, routerId: 127.0.0.1, listen: { address: 127.0.0.1, port: 21795 } }',
		rest: `fib: { enabled: false }\nnetworkPolicy: { resourceFiles: [${folder}] }`,
	});
	const { client, daemon } = node;
	const made = await client.create(coreKinds.pods, pod('db', { app: 'db' }), 'default');
	await client.create(coreKinds.pods, pod('web', { app: 'web' }), 'default');
	await client.create(policies, policy, 'default');

	const policiesOf = async (control: ControlClient) =>
		(await control.ask('policyEndpoints', { name: 'default/db' })).endpoints.flatMap(({ stacks }) =>
			stacks.flatMap(({ direction, tiers }) =>
				tiers.flatMap((tier) => tier.policies.map((one) => `${direction} ${tier.tier} ${one.policy}`)),
			),
		);
	const expected = ['ingress default NetworkPolicy default/db'];
	await daemon.until('the policy selects the pod', policiesOf, (found) => found.join() === expected.join());

	const control = new ControlClient(daemon.socket);
	const overview = await control.ask('policy', {});
	t.is(overview.mode, 'off');
	t.true(overview.inSync);
	t.deepEqual(
		overview.policies.map((one) => `${one.tier} ${one.policy} ${one.localEndpoints}`),
		['default NetworkPolicy default/db 1', 'absent GlobalNetworkPolicy of-file 0'],
	);
	t.deepEqual(
		overview.problems.map(({ subject, type, field }) => `${type} ${subject} ${field}`),
		['fails-closed GlobalNetworkPolicy of-file spec.ingress[0].http'],
	);
	const { problems } = await control.ask('status', {});
	t.true(problems.some((problem) => JSON.stringify(problem).includes('tier absent does not exist')));

	// Pods without addresses cannot be traced; a source that need not exist and the addresses of
	// others can.
	await client.replace(coreKinds.pods, { ...made, status: { phase: 'Running', podIP: '10.42.0.5' } }, 'status');
	const trace = async (from: string) =>
		(await control.ask('policyTrace', { from, to: '10.42.0.5', port: 5432 })).allowed;
	await daemon.until(
		'the address is known',
		() => trace('default{app=web}').catch(() => false),
		(allowed) => allowed,
	);
	t.false(await trace('default{app=other}'));
	t.false(await trace('203.0.113.9'));

	const plan = await control.ask('policyPlan', {
		resources: JSON.stringify({ ...policy, metadata: { name: 'db', namespace: 'default' }, spec: { podSelector: {} } }),
	});
	t.deepEqual(plan.problems, []);

	await client.remove(policies, 'db', { namespace: 'default' });
	await daemon.until('the policy is gone', policiesOf, (found) => found.length === 0);
	// A pod that has ended has no policy and is in no set, although its object still exists.
	const { metadata } = (await client.get(coreKinds.pods, 'db', 'default')) ?? {};
	await client.replace(
		coreKinds.pods,
		{ ...made, ...(metadata === undefined ? {} : { metadata }), status: { phase: 'Succeeded', podIP: '10.42.0.5' } },
		'status',
	);
	await daemon.until(
		'the pod has no policy',
		async (one) => (await one.ask('policyEndpoints', {})).endpoints.map(({ name }) => name),
		(names) => names.join() === 'default/web',
	);
});
