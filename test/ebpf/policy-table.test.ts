import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { type CaseCluster, readTable } from '../../lab/policy-table/cases.ts';
import { openEbpf } from '../../lab/policy-table/ebpf-enforcer.ts';
import { FramesBackend } from '../../lab/policy-table/frames-backend.ts';
import { runTable } from '../../lab/policy-table/run.ts';
import type { NodePolicy } from '../../src/policy/index.ts';
import { noNamespaces } from '../support/namespace.ts';
import { noBpf } from './support.ts';

const missing = noBpf ?? noNamespaces;
if (missing !== undefined) console.warn(`SKIPPED: eBPF by real frames: ${missing}`);
const namespaceTest = missing === undefined ? test.serial : test.skip;

const folder = join(resolve(dirname(fileURLToPath(import.meta.url)), '../../..'), 'test/policy/testdata');

for (const [name, attachment, redirect] of [
	['policy-k8s.jsonl', 'best', false],
	['policy-cnp.jsonl', 'best', false],
	['policy-calico.jsonl', 'best', false],
	['policy-k8s.jsonl', 'clsact', false],
	['policy-k8s.jsonl', 'best', true],
] as const)
	namespaceTest(`real frames: ${name}, attachment ${attachment}${redirect ? ', past the kernel' : ''}`, async (t) => {
		t.timeout(300_000);
		const backend = new FramesBackend(`bme${process.pid}`, (namespace) =>
			openEbpf(namespace, attachment, { redirect }),
		);
		t.teardown(() => backend.close());
		const { cases, cells, wrong } = await runTable(readTable(join(folder, name)), backend);
		t.log(`${cases} cases, ${cells} cells`);
		t.true(cells > 500);
		t.deepEqual(wrong.slice(0, 10), []);
	});

for (const attachment of ['best', 'clsact'] as const)
	namespaceTest(
		`host endpoints by programs, without a rule of nftables for them, attachment ${attachment}`,
		async (t) => {
			t.timeout(180_000);
			const backend = new FramesBackend(`bme${process.pid}`, (namespace) =>
				openEbpf(namespace, attachment, { rulesOfHosts: false }),
			);
			t.teardown(() => backend.close());
			const { cells, wrong } = await runTable(readTable(join(folder, 'policy-hosts.jsonl')), backend);
			t.true(cells > 3000, String(cells));
			t.deepEqual(wrong.slice(0, 10), []);
		},
	);

for (const [action, row] of [
	['Drop', '.x.'],
	['Accept', '...'],
] as const)
	namespaceTest(
		`pods reach each other, their node and others with defaultEndpointToHostAction ${action}: ${row}`,
		async (t) => {
			t.timeout(300_000);
			const backend = new FramesBackend(`bme${process.pid}h`, (namespace) => openEbpf(namespace));
			t.teardown(() => backend.close());
			const cluster: CaseCluster = {
				namespaces: { x: {} },
				pods: [
					{ namespace: 'x', name: 'a', ip: '10.65.0.1', node: 'n1' },
					{ namespace: 'x', name: 'b', ip: '10.65.0.2', node: 'n1' },
				],
				nodes: [
					{ name: 'n1', ip: '10.0.0.1' },
					{ name: 'n2', ip: '10.0.0.2' },
				],
				felix: { defaultEndpointToHostAction: action },
			};
			const probes = [
				{ protocol: 'TCP', port: 80 },
				{ protocol: 'UDP', port: 53 },
				{ protocol: 'ICMP', type: 8, code: 0 },
			];
			const step = {
				cluster,
				resources: [],
				from: ['x/a'],
				to: ['x/b', 'n1', 'n2'],
				expect: [{ probes, rows: [row] }],
			};
			const { cells, wrong } = await runTable(
				{ type: 'policy', cases: [{ id: action, title: action, steps: [step] }] },
				backend,
			);
			t.is(cells, 9);
			t.deepEqual(wrong, []);
		},
	);

namespaceTest('the frames notice host endpoints that nothing judges', async (t) => {
	t.timeout(180_000);
	const backend = new FramesBackend(`bme${process.pid}`, (namespace) => {
		const enforcer = openEbpf(namespace, 'best', { rulesOfHosts: false });
		const { kernel } = enforcer;
		const withoutHosts = (policy: NodePolicy) => ({ ...policy, hosts: new Map() });
		return {
			...enforcer,
			kernel: {
				name: kernel.name,
				sync: (policy) => kernel.sync(withoutHosts(policy)),
				apply: (change, policy) => kernel.apply({ ...change, hosts: [] }, withoutHosts(policy)),
			},
		};
	});
	t.teardown(() => backend.close());
	const { wrong } = await runTable(readTable(join(folder, 'policy-hosts.jsonl')), backend);
	t.true(wrong.length > 100, String(wrong.length));
});

namespaceTest('the frames notice programs that are not attached', async (t) => {
	t.timeout(300_000);
	const backend = new FramesBackend(`bme${process.pid}`, (namespace) => {
		const enforcer = openEbpf(namespace);
		const nothing = { name: 'none', sync: async () => ({ added: 0, removed: 0 }), apply: async () => undefined };
		return { ...enforcer, kernel: nothing };
	});
	t.teardown(() => backend.close());
	const { wrong } = await runTable(readTable(join(folder, 'policy-k8s.jsonl')), backend);
	t.true(wrong.length > 0);
});
