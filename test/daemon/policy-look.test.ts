import { setTimeout as pause } from 'node:timers/promises';
import test from 'ava';
import { ControlClient, type PolicyDropEvent } from '../../src/control/index.ts';
import type { ResourceKind } from '../../src/kubernetes/index.ts';
import { noNamespaces } from '../support/namespace.ts';
import { networkPolicies, networkPolicy, PolicyNode, type TestPod } from '../support/policy-node.ts';

if (noNamespaces !== undefined) console.warn(`SKIPPED: looking at policy with real packets: ${noNamespaces}`);
const namespaceTest = noNamespaces === undefined ? test.serial : test.skip;

const globalPolicies: ResourceKind = {
	kind: 'GlobalNetworkPolicy',
	apiVersion: 'crd.projectcalico.org/v1',
	plural: 'globalnetworkpolicies',
	namespaced: false,
};
const metricsPort = 21_789;

namespaceTest(
	'dropped packets are shown with pods and the deciding rule, a plan names open connections that would change, and packets are counted for each policy',
	async (t) => {
		const here = await new PolicyNode('l').start(
			t,
			21_784,
			`metrics: { listen: { address: 127.0.0.1, port: ${metricsPort} } }`,
		);
		const { client, daemon } = here.node;
		await client.create(
			networkPolicies,
			networkPolicy('server', {
				podSelector: { matchLabels: { app: 'server' } },
				ingress: [
					{ from: [{ podSelector: { matchLabels: { app: 'client' } } }], ports: [{ protocol: 'UDP', port: 80 }] },
				],
			}),
			'default',
		);
		await client.create(globalPolicies, {
			apiVersion: globalPolicies.apiVersion,
			kind: globalPolicies.kind,
			metadata: { name: 'no-dns' },
			spec: {
				selector: "app == 'client'",
				order: 10,
				types: ['Egress'],
				egress: [
					{ action: 'Allow', protocol: 'UDP', destination: { ports: [80] } },
					{ action: 'Deny', protocol: 'UDP', destination: { ports: [53] } },
					{ action: 'Allow' },
				],
			},
		});
		const pods = here.makePods(['server', 'client', 'stranger']);
		for (const pod of pods) await here.attach(pod, { app: pod.name });
		const [server, sender, stranger] = pods as [TestPod, TestPod, TestPod];
		const control = new ControlClient(daemon.socket);

		const events: PolicyDropEvent[] = [];
		const ending = new AbortController();
		t.teardown(() => ending.abort());
		void (async () => {
			try {
				for await (const event of control.listen('policyDrops', {}, ending.signal)) events.push(event);
			} catch {
				// Aborted at the end of the test.
			}
		})();
		const drops = async (send: () => void, port: number): Promise<PolicyDropEvent> => {
			for (let round = 0; round < 500; round++) {
				send();
				await pause(20);
				const found = events.find((event) => event.port === port);
				if (found !== undefined) return found;
			}
			throw new Error(`no drop to port ${port}: ${JSON.stringify(events)}`);
		};
		const byTier = await drops(() => stranger.send(server.address, 8080, 4000), 8080);
		const { at, ...rest } = byTier;
		t.false(Number.isNaN(Date.parse(at)));
		t.deepEqual(rest, {
			action: 'deny',
			direction: 'ingress',
			stage: 'filter',
			from: 'default/stranger',
			to: 'default/server',
			protocol: 'UDP',
			sourcePort: 4000,
			port: 8080,
			decidedBy: 'end of tier default',
		});
		const byRule = await drops(() => sender.send(server.address, 53, 4001), 53);
		t.is(byRule.decidedBy, 'GlobalNetworkPolicy no-dns egress[1]');
		t.is(byRule.direction, 'egress');

		// A connection that stands, and policies that deny it.
		let arrived = 0;
		for (let round = 0; round < 500 && arrived === 0; round++) {
			sender.send(server.address, 80, 4002);
			await pause(20);
			arrived += [...server.received()].length;
		}
		t.true(arrived > 0);
		const plan = await control.ask('policyPlan', {
			resources: JSON.stringify(networkPolicy('server', { podSelector: { matchLabels: { app: 'server' } } })),
		});
		t.deepEqual(plan.notes, []);
		t.deepEqual(plan.connections?.changes, [
			{
				from: 'default/client',
				to: 'default/server',
				protocol: 'UDP',
				sourcePort: 4002,
				port: 80,
				before: 'allowed',
				after: 'denied',
			},
		]);
		t.is(plan.connections?.changed, 1);

		const metrics = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
		t.regex(metrics, /bgpmesh_policy_packets_total\{policy="NetworkPolicy default\/server",action="allow"\} 1\n/);
		t.regex(metrics, /bgpmesh_policy_packets_total\{policy="GlobalNetworkPolicy no-dns",action="deny"\} [1-9]/);
		t.regex(metrics, /bgpmesh_policy_packets_total\{policy="end of tier default",action="deny"\} [1-9]/);
		t.regex(metrics, /bgpmesh_policy_objects\{kind="pods"\} 3\n/);
	},
);
