import test from 'ava';
import { type Clock, silentLogger, systemClock } from '../../src/core/index.ts';
import {
	defaultNodeSettings,
	type NodePolicy,
	type NodePolicyChange,
	PolicyCalculator,
	PolicyFeed,
	type PolicyKernel,
	PolicyPlane,
} from '../../src/policy/index.ts';
import { Replica } from './replica.ts';

/** Timers that keep the test alive. */
const clock: Clock = {
	...systemClock,
	after(delayMs, callback) {
		const handle = setTimeout(callback, delayMs);
		return { cancel: () => clearTimeout(handle) };
	},
};

/**
 * Stores its input; refuses a change without a sync after a failure, as a kernel whose state is
 * unknown.
 */
class FakeKernel implements PolicyKernel {
	readonly name = 'fake';
	replica = new Replica();
	readonly calls: string[] = [];
	failures = 0;
	#known = false;

	async sync(policy: NodePolicy) {
		this.calls.push('sync');
		this.#fail();
		this.replica = new Replica();
		this.replica.apply({
			newSets: [...policy.sets.values()],
			changedSets: [],
			removedSets: [],
			policies: [...policy.policies.values()],
			removedPolicies: [],
			workloads: [...policy.workloads.values()],
			removedWorkloads: [],
			hosts: [...policy.hosts.values()],
			removedHosts: [],
			settings: policy.settings,
		});
		this.#known = true;
		return { added: 1, removed: 0 };
	}

	async apply(change: NodePolicyChange) {
		this.calls.push('apply');
		if (!this.#known) throw new Error('the state of the kernel is not known');
		this.#fail();
		this.replica.apply(change);
	}

	#fail(): void {
		if (this.failures === 0) return;
		this.failures--;
		this.#known = false;
		throw new Error('netlink: Device or resource busy');
	}
}

const pod = (name: string, labels: Record<string, string>, address: string) => ({
	apiVersion: 'v1',
	kind: 'Pod',
	metadata: { namespace: 'prod', name, labels },
	spec: { nodeName: 'node-a' },
	status: { phase: 'Running', podIP: address },
});

const policy = {
	apiVersion: 'networking.k8s.io/v1',
	kind: 'NetworkPolicy',
	metadata: { namespace: 'prod', name: 'db' },
	spec: {
		podSelector: { matchLabels: { app: 'db' } },
		ingress: [{ from: [{ podSelector: { matchLabels: { app: 'web' } } }] }],
	},
};

function setUp(sources: readonly string[]) {
	const kernel = new FakeKernel();
	const calculator = new PolicyCalculator({ node: 'node-a', settings: defaultNodeSettings });
	const feed = new PolicyFeed(calculator);
	const plane = new PolicyPlane({
		calculator,
		kernel,
		sources,
		clock,
		random: () => 0,
		log: silentLogger,
	});
	return { kernel, feed, plane, calculator };
}

test('no rule is written before every source is complete', async (t) => {
	const { kernel, feed, plane } = setUp(['pods', 'policies']);
	feed.put(pod('db', { app: 'db' }, '10.0.0.1'));
	plane.touch();
	plane.inSync('pods');
	await plane.whenIdle();
	t.deepEqual(kernel.calls, []);
	t.deepEqual(plane.view().waitingFor, ['policies']);
	feed.put(policy);
	plane.inSync('policies');
	await plane.programmed();
	t.deepEqual(kernel.calls, ['sync']);
	t.true(kernel.replica.workloads.has('prod/db'));
});

test('a pod is programmed when the call that waits for it resolves', async (t) => {
	const { kernel, feed, plane } = setUp(['pods']);
	feed.put(policy);
	plane.inSync('pods');
	await plane.programmed();
	feed.put(pod('db', { app: 'db' }, '10.0.0.1'));
	await plane.programmed();
	t.is(kernel.replica.workloads.get('prod/db')?.ingress.tiers.length, 1);
	t.deepEqual(kernel.calls, ['sync', 'apply']);
});

test('after a failed write the state is read back, and waiting calls continue to wait', async (t) => {
	const { kernel, feed, plane, calculator } = setUp(['pods']);
	feed.put(policy);
	plane.inSync('pods');
	await plane.programmed();
	kernel.failures = 2;
	feed.put(pod('db', { app: 'db' }, '10.0.0.1'));
	feed.put(pod('web', { app: 'web' }, '10.0.0.2'));
	const waiting = plane.programmed();
	await plane.whenIdle();
	t.is(plane.view().failures.length, 1);
	t.is(plane.view().installed, 0);
	await waiting;
	t.deepEqual(kernel.calls, ['sync', 'apply', 'sync', 'sync']);
	t.deepEqual([...kernel.replica.workloads.keys()].sort(), ['prod/db', 'prod/web']);
	t.deepEqual(kernel.replica.sets.size, calculator.state.sets.size);
	t.deepEqual(plane.view().failures, []);
});

test('a stop ends the waiting calls and leaves the kernel unchanged', async (t) => {
	const { kernel, plane } = setUp(['pods']);
	const waiting = plane.programmed();
	await plane.stop();
	await t.throwsAsync(waiting, { message: /daemon stops/ });
	t.deepEqual(kernel.calls, []);
});
