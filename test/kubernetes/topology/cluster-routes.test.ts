import test from 'ava';
import { prefixKey } from '../../../src/core/index.ts';
import type { JsonObject } from '../../../src/json/index.ts';
import {
	type ClusterRoutesInput,
	clusterRoutes,
	felixPrograms,
	felixProgramsReason,
	isFelixProcess,
	isRunningFelix,
	type PoolRouting,
	toResource,
} from '../../../src/kubernetes/index.ts';

const pool = (cidr: string, ipipMode: PoolRouting['ipipMode'], more: Partial<PoolRouting> = {}): PoolRouting => ({
	cidr: prefixKey(cidr),
	ipipMode,
	vxlanMode: 'Never',
	natOutgoing: false,
	disabled: false,
	disableBgpExport: false,
	loadBalancerOnly: false,
	...more,
});
const ipip = pool('192.168.0.0/16', 'CrossSubnet');
const plain = pool('172.20.0.0/16', 'Never');

const rows: readonly {
	readonly title: string;
	readonly given: Partial<ClusterRoutesInput>;
	readonly left: readonly string[];
	readonly refuses?: RegExp;
}[] = [
	{ title: "Calico's defaults: Felix programs IPIP, this node the rest", given: {}, left: [ipip.cidr] },
	{
		title: 'no Felix on this node: this node programs all routes, under any resources',
		given: { felixRuns: false, felix: 'Enabled' },
		left: [],
	},
	{ title: 'Felix programs nothing', given: { felix: 'Disabled', bgp: 'Disabled' }, left: [] },
	{ title: 'Felix programs everything', given: { felix: 'Enabled', bgp: 'Disabled' }, left: [ipip.cidr, plain.cidr] },
	{
		title: 'both program IPIP',
		given: { bgp: 'Enabled' },
		left: [],
		refuses: /192\.168\.0\.0\/16\): FelixConfiguration has EnabledIPIPOnly, BGPConfiguration Enabled$/,
	},
	{
		title: 'both program unencapsulated routes',
		given: { felix: 'Enabled' },
		left: [ipip.cidr],
		refuses: /\(172\.20\.0\.0\/16\)/,
	},
	{ title: 'both program a kind without a pool', given: { bgp: 'Enabled', pools: [plain] }, left: [] },
	{
		title: 'both program a disabled pool',
		given: { bgp: 'Enabled', pools: [{ ...ipip, disabled: true }] },
		left: [],
	},
	{
		title: 'VXLAN is not configurable: it is always left to Felix',
		given: { felix: 'Enabled', bgp: 'Enabled', pools: [pool('10.9.0.0/16', 'Never', { vxlanMode: 'Always' })] },
		left: [],
	},
];
for (const { title, given, left, refuses } of rows) {
	test(`programmers of a cluster's routes: ${title}`, (t) => {
		const { leftToFelix, contradiction } = clusterRoutes({
			felixRuns: true,
			felix: 'EnabledIPIPOnly',
			bgp: 'EnabledNoEncapOnly',
			pools: [ipip, plain],
			...given,
		});
		t.deepEqual([...leftToFelix], left);
		if (refuses === undefined) t.is(contradiction, undefined);
		else t.regex(contradiction?.reason ?? 'no contradiction', refuses);
	});
}

const resource = (spec: JsonObject) => toResource({ metadata: { name: 'default' }, spec });
for (const [title, felix, cluster, programs] of [
	['the configured value', { programClusterRoutes: 'Disabled' }, { calicoVersion: 'v3.33.0' }, 'Disabled'],
	[
		'the configured value, with an old version',
		{ programClusterRoutes: 'Enabled' },
		{ calicoVersion: 'v3.30.2' },
		'Enabled',
	],
	['the default since v3.33', {}, { calicoVersion: 'v3.33.1' }, 'EnabledIPIPOnly'],
	['none before v3.33', {}, { calicoVersion: 'v3.32.0' }, 'Disabled'],
	['the default if no version is known', {}, {}, 'EnabledIPIPOnly'],
] as const) {
	test(`routes programmed by Felix: ${title}`, (t) => {
		t.is(felixPrograms(resource(felix), resource(cluster)), programs);
	});
}

for (const [felix, cluster, reason] of [
	[{ programClusterRoutes: 'Enabled' }, {}, 'programClusterRoutes of FelixConfiguration is Enabled'],
	[
		{},
		{ calicoVersion: 'v3.33.1' },
		'FelixConfiguration has no programClusterRoutes, and EnabledIPIPOnly is the default of Calico v3.33.1',
	],
	[
		{ programClusterRoutes: 'Nonsense' },
		{},
		'FelixConfiguration has no programClusterRoutes, and EnabledIPIPOnly is the default since Calico 3.33 ' +
			'(ClusterInformation names no calicoVersion)',
	],
] as const) {
	test(`the source of what Felix programs: ${reason}`, (t) => {
		t.is(felixProgramsReason(resource(felix), resource(cluster)), reason);
	});
}

for (const [title, labels, phase, runs] of [
	['the pod of calico-node', { 'k8s-app': 'calico-node' }, 'Running', true],
	['a starting pod', { 'k8s-app': 'calico-node' }, 'Pending', true],
	['a completed pod', { 'k8s-app': 'calico-node' }, 'Failed', false],
	['another pod', { 'k8s-app': 'kube-dns' }, 'Running', false],
] as const) {
	test(`Felix runs in: ${title}`, (t) => {
		t.is(
			isRunningFelix(toResource({ metadata: { name: 'x', namespace: 'kube-system', labels }, status: { phase } })),
			runs,
		);
	});
}

test('Felix as a service of the host is known by its process', (t) => {
	const found = [
		{ name: 'calico-felix', words: ['/usr/bin/calico-felix'] },
		{ name: 'calico-node', words: ['/usr/bin/calico-node', '-felix'] },
		{ name: 'calico-node', words: ['calico-node', '--felix'] },
	];
	const others = [
		{ name: 'calico-node', words: ['calico-node', '-confd'] },
		{ name: 'calico-node', words: ['calico-node', '-felix-live', '-bird-live'] },
		{ name: 'felix', words: ['felix', 'calico-felix'] },
	];
	t.deepEqual(found.filter(isFelixProcess), found);
	t.deepEqual(others.filter(isFelixProcess), []);
});
