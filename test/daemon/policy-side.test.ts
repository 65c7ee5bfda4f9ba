import test from 'ava';
import { type Logger, systemClock } from '../../src/core/index.ts';
import { PolicySide } from '../../src/daemon/policy/side.ts';
import type { NodePolicy, PolicyKernel } from '../../src/policy/index.ts';

const quiet: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => quiet };

const pod = {
	apiVersion: 'v1',
	kind: 'Pod',
	metadata: { name: 'web-0', namespace: 'default', labels: { app: 'web' } },
	spec: { nodeName: 'node-a', containers: [] },
	status: { phase: 'Pending' },
};
const policy = {
	apiVersion: 'networking.k8s.io/v1',
	kind: 'NetworkPolicy',
	metadata: { name: 'among-web', namespace: 'default' },
	spec: {
		podSelector: { matchLabels: { app: 'web' } },
		ingress: [{ from: [{ podSelector: { matchLabels: { app: 'web' } } }] }],
	},
};
const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } };

/** A kernel that keeps the last write. */
function kernel() {
	const written: string[] = [];
	const keep = async (policy: NodePolicy) => {
		written.push([...policy.sets.values()].flatMap(({ members }) => [...members]).join(' '));
	};
	const fake: PolicyKernel = {
		name: 'fake',
		sync: async (whole) => {
			await keep(whole);
			return { added: 0, removed: 0 };
		},
		apply: (_, whole) => keep(whole),
	};
	return { written, fake };
}

for (const [title, first, comesLater] of [
	['the watch reported the pod before its address', [namespace, policy, pod], false],
	['the address arrived before the watch reported the pod', [namespace, policy], true],
] as const)
	test(`the sets have a new pod before its container starts: ${title}`, async (t) => {
		const { written, fake } = kernel();
		const side = new PolicySide({
			...{ node: 'node-a', cluster: undefined, kernel: fake, hostInterfaces: new Map<string, string>() },
			...{ clock: systemClock, random: Math.random, log: quiet },
		});
		side.start(first);
		t.teardown(() => side.stop());
		const endpoint = { pod: { namespace: 'default', name: 'web-0' }, hostName: 'cali1', addresses: ['192.168.1.7'] };
		const secured = side.secured(endpoint);
		if (comesLater) side.setFiles([namespace, policy, pod]);
		await secured;
		t.regex(written.at(-1) ?? '', /192\.168\.1\.7\/32/);
	});
