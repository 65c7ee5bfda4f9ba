import test from 'ava';
import { leftEbpf, restarted, wrongDataplane } from '../../../lab/kubernetes/dataplane.ts';
import type { EbpfView } from '../../../src/control/index.ts';

const frontends = (used: number) => ({ name: 'svc_frontends', type: 'hash', used, most: 100 });
const view: EbpfView = {
	dataplane: 'ebpf',
	attachment: 'tcx',
	pinDirectory: '/sys/fs/bpf/bgpmesh',
	outside: { interfaces: ['eth0'] },
	pods: [{ pod: 'x/a', interface: 'cali1', instructions: { ingress: 9, egress: 9 } }],
	hosts: [],
	maps: [frontends(3)],
	counters: [],
};
const ebpf = { dataplane: 'ebpf', proxy: 'bgpmesh' } as const;

test('programs for every pod, and for services at sockets and from outside', (t) => {
	t.deepEqual(wrongDataplane(view, ebpf, ['x/a']), []);
	const { outside: _, ...withoutServices } = { ...view, maps: [] };
	t.deepEqual(wrongDataplane(withoutServices, { ...ebpf, proxy: 'kube-proxy' }, ['x/a']), []);
});

const { outside: _, ...insideOnly } = view;
const { attachment: __, ...detached } = view;
for (const { title, wrong, message } of [
	{
		title: 'nftables in its place',
		wrong: { ...view, dataplane: 'nftables', problem: 'no bpf(2)' } as const,
		message: 'packets of pods are judged by nftables; no bpf(2)',
	},
	{ title: 'a problem', wrong: { ...view, problem: 'full' }, message: 'full' },
	{ title: 'no attachment', wrong: detached, message: 'no program is attached' },
	{ title: 'a pod without programs', wrong: { ...view, pods: [] }, message: 'no programs at the interface of x/a' },
	{
		title: 'no service at sockets',
		wrong: { ...view, maps: [frontends(0)] },
		message: 'no program at a socket has a service',
	},
	{ title: 'nothing from outside', wrong: insideOnly, message: 'no program translates services from outside' },
	{
		title: 'services left to nftables',
		wrong: { ...view, outside: { interfaces: ['eth0'], leftFor: 'host-a' } },
		message: 'nftables translates services from outside for host-a',
	},
])
	test(`what is not by programs is named: ${title}`, (t) => {
		t.deepEqual(wrongDataplane(wrong, ebpf, ['x/a']), [message]);
	});

test('with nftables nothing else may judge', (t) => {
	const rules = { dataplane: 'nftables', proxy: 'bgpmesh' } as const;
	t.deepEqual(wrongDataplane({ ...detached, dataplane: 'nftables' }, rules, ['x/a']), []);
	t.deepEqual(wrongDataplane(view, rules, ['x/a']), ['packets of pods are judged by ebpf; ']);
});

test('a daemon that left eBPF for a moment is found in its log', (t) => {
	const lines = [
		'[pod/bgpmesh-1] {"level":"info","message":"eBPF programs enforce network policy","pods":2}',
		'[pod/bgpmesh-1] {"level":"error","message":"eBPF programs do not fit, nftables enforces","reason":"too many"}',
		'[pod/bgpmesh-2] {"level":"warn","message":"services from outside stay with nftables"}',
	];
	t.deepEqual(leftEbpf(lines.join('\n')), lines.slice(1));
});

test('a daemon that restarted is named', (t) => {
	const pod = (name: string, ...counts: readonly number[]) => ({
		metadata: { name },
		status: { containerStatuses: counts.map((restartCount) => ({ restartCount })) },
	});
	const items = [pod('bgpmesh-a', 0), pod('bgpmesh-b', 0, 1), { metadata: { name: 'bgpmesh-c' }, status: {} }];
	t.deepEqual(restarted(JSON.stringify({ items })), ['bgpmesh-b restarted']);
});
