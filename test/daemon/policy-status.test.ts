import test from 'ava';
import type { ControlClient } from '../../src/control/index.ts';
import { textAt } from '../../src/json/index.ts';
import { coreKinds, type ResourceKind } from '../../src/kubernetes/index.ts';
import { noNamespaces } from '../support/namespace.ts';
import { networkPolicies, networkPolicy, PolicyNode } from '../support/policy-node.ts';

if (noNamespaces !== undefined) console.warn(`SKIPPED: status of policies at all nodes: ${noNamespaces}`);
const namespaceTest = noNamespaces === undefined ? test.serial : test.skip;

const statuses: ResourceKind = {
	kind: 'NodePolicyStatus',
	apiVersion: 'bgpmesh.internal/v1alpha1',
	plural: 'nodepolicystatuses',
	namespaced: false,
};
const events: ResourceKind = { kind: 'Event', apiVersion: 'v1', plural: 'events', namespaced: true };
const globalPolicies: ResourceKind = {
	kind: 'GlobalNetworkPolicy',
	apiVersion: 'crd.projectcalico.org/v1',
	plural: 'globalnetworkpolicies',
	namespaced: false,
};

namespaceTest(
	'each generation of a policy is reported by every node, one that lags is named, and what is not enforced becomes an event',
	async (t) => {
		const { node } = await new PolicyNode('s').start(t, 21_781);
		const { client, daemon } = node;
		const policy = await client.create(networkPolicies, networkPolicy('web', { podSelector: {} }), 'default');
		const rolloutOf = async (control: ControlClient) =>
			(await control.ask('policy', {})).policies.find(({ policy: name }) => name === 'NetworkPolicy default/web')
				?.rollout;
		const alone = await daemon.until('this node enforces it', rolloutOf, (rollout) => rollout?.enforcedOn === 1);
		t.is(alone?.nodes, 1);
		t.truthy(alone?.since);

		// The object of this node, and one of another that has an older version.
		const written = await daemon.until(
			'the object of the node is written',
			() => client.get(statuses, 'node-a'),
			(found) => JSON.stringify(found?.['status'] ?? '').includes('default/web'),
		);
		t.is(textAt(written ?? {}, 'status', 'mode'), 'enforced');
		t.regex(JSON.stringify(written), /"ownerReferences":\[\{[^\]]*"kind":"Node"/, 'it goes with its Node');
		await client.create(coreKinds.nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-b' } });
		await daemon.until(
			'the other node is silent',
			(control) => control.ask('policy', {}),
			({ silentNodes }) => silentNodes?.join() === 'node-b',
		);
		t.is((await daemon.cli('policy', 'status', '--check')).code, 1, 'a node is silent');
		await client.create(statuses, {
			apiVersion: statuses.apiVersion,
			kind: statuses.kind,
			metadata: { name: 'node-b' },
			status: { mode: 'enforced', versions: { 'network-policies': '1' }, recent: [] },
		});
		const lagging = await daemon.until(
			'the other node lags',
			rolloutOf,
			(rollout) => rollout?.nodes === 2 && rollout.enforcedOn === 1,
		);
		t.deepEqual(lagging?.lagging, ['node-b']);
		const check = async () => (await daemon.cli('policy', 'status', '--check')).code;
		t.is(await check(), 1, 'a node lags');
		const { stdout } = await daemon.cli('policy', 'status');
		t.regex(stdout, /NetworkPolicy default\/web.* 1\/2 .*node-b/);
		const version = textAt(policy, 'metadata', 'resourceVersion') ?? '';
		await client.patch(
			statuses,
			'node-b',
			{ status: { versions: { 'network-policies': version } } },
			'application/merge-patch+json',
		);
		await daemon.until('both have it', rolloutOf, (rollout) => rollout?.enforcedOn === 2);
		t.is(await check(), 0);

		await client.create(globalPolicies, {
			apiVersion: globalPolicies.apiVersion,
			kind: globalPolicies.kind,
			metadata: { name: 'http' },
			spec: { selector: "app == 'x'", ingress: [{ action: 'Allow', protocol: 'TCP', http: { methods: ['GET'] } }] },
		});
		const [event] = await daemon.until(
			'the event of the policy is written',
			async () => (await client.list(events, { namespace: 'default' })).items,
			({ length }) => length > 0,
		);
		t.is(textAt(event ?? {}, 'reason'), 'PolicyFailsClosed');
		t.is(textAt(event ?? {}, 'involvedObject', 'name'), 'http');
		t.regex(textAt(event ?? {}, 'message') ?? '', /^spec\.ingress\[0\]\.http: /);
	},
);
