import test from 'ava';
import type { OpenedPolicy } from '../../src/daemon/policy/open.ts';
import { trace } from '../../src/daemon/policy/questions.ts';
import { defaultNodeSettings, PolicyCalculator, PolicyFeed } from '../../src/policy/index.ts';

const host = (name: string, interfaceName: string, address: string) => ({
	apiVersion: 'projectcalico.org/v3',
	kind: 'HostEndpoint',
	metadata: { name, labels: { host: name } },
	spec: { node: 'node-a', interfaceName, expectedIPs: [address] },
});
const closed = {
	apiVersion: 'projectcalico.org/v3',
	kind: 'GlobalNetworkPolicy',
	metadata: { name: 'storage' },
	spec: { selector: "host == 'storage'", types: ['Egress'], egress: [] },
};

const open = {
	...closed,
	metadata: { name: 'main' },
	spec: { selector: "host == 'main'", types: ['Egress'], egress: [{ action: 'Allow' }] },
};

function opened(...objects: readonly object[]): OpenedPolicy {
	const calculator = new PolicyCalculator({ node: 'node-a', settings: defaultNodeSettings });
	const feed = new PolicyFeed(calculator);
	const node = {
		...{ apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-a' } },
		status: { addresses: [{ type: 'InternalIP', address: '10.9.0.1' }] },
	};
	for (const object of [node, ...objects]) feed.put(object as Parameters<typeof feed.put>[0]);
	calculator.takeChange();
	return { side: { calculator, feed, plane: { isComplete: true, isEnforcing: true } } } as unknown as OpenedPolicy;
}

test('a trace over the interface of the default route names host endpoints at others, whose names choose them', (t) => {
	const room = opened(host('main', 'eth0', '10.9.0.1'), host('storage', 'eth1', '10.8.0.1'), closed, open);
	const ask = (from: string) => trace(room, { from, to: '10.8.0.9', port: 443 }, 'eth0');
	const plain = ask('node/node-a');
	t.is(plain.notes.length, 1);
	t.regex(plain.notes[0] ?? '', /eth0.*: storage$/);
	const chosen = ask('storage');
	t.deepEqual(chosen.notes, []);
	t.true(plain.steps.every(({ endpoint }) => endpoint === 'main'));
	t.true(chosen.steps.every(({ endpoint }) => endpoint === 'storage'));
	t.deepEqual([plain.allowed, chosen.allowed], [true, false]);
});

test('a trace has no such note with one host endpoint, one for all interfaces, or none', (t) => {
	for (const room of [opened(), opened(host('main', 'eth0', '10.9.0.1')), opened(host('all', '*', '10.9.0.1'))])
		t.deepEqual(trace(room, { from: 'node/node-a', to: '10.8.0.9' }, 'eth0').notes, []);
});
