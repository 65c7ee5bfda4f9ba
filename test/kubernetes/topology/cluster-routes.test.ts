import test from 'ava';
import { prefixKey } from '../../../src/core/index.ts';
import {
	type ClusterRoutesInput,
	clusterRoutes,
	felixPrograms,
	isRunningFelix,
	type JsonObject,
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
	...more,
});
const ipip = pool('192.168.0.0/16', 'CrossSubnet');
const plain = pool('172.20.0.0/16', 'Never');

const rows: readonly { readonly title: string; readonly given: Partial<ClusterRoutesInput>; readonly left: readonly string[]; readonly refuses?: RegExp }[] = [
	{ title: "Calico's defaults: IPIP is Felix's, the rest ours", given: {}, left: [ipip.cidr] },
	{ title: 'no Felix on this node: all of it is ours, whatever the resources say', given: { felixRuns: false, felix: 'Enabled' }, left: [] },
	{ title: 'Felix programs nothing', given: { felix: 'Disabled', bgp: 'Disabled' }, left: [] },
	{ title: 'Felix programs everything', given: { felix: 'Enabled', bgp: 'Disabled' }, left: [ipip.cidr, plain.cidr] },
	{
		title: 'both program IPIP',
		given: { bgp: 'Enabled' },
		left: [],
		refuses: /192\.168\.0\.0\/16\): FelixConfiguration says EnabledIPIPOnly, BGPConfiguration Enabled$/,
	},
	{ title: 'both program what is not encapsulated', given: { felix: 'Enabled' }, left: [ipip.cidr], refuses: /\(172\.20\.0\.0\/16\)/ },
	{ title: 'both program a kind that no pool needs', given: { bgp: 'Enabled', pools: [plain] }, left: [] },
	{ title: 'both program a pool that is disabled', given: { bgp: 'Enabled', pools: [{ ...ipip, disabled: true }] }, left: [] },
	{
		title: 'VXLAN is not looked at: it is always left to Felix',
		given: { felix: 'Enabled', bgp: 'Enabled', pools: [pool('10.9.0.0/16', 'Never', { vxlanMode: 'Always' })] },
		left: [],
	},
];
for (const { title, given, left, refuses } of rows) {
	test(`who programs the routes of a cluster: ${title}`, (t) => {
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
	['what it says', { programClusterRoutes: 'Disabled' }, { calicoVersion: 'v3.33.0' }, 'Disabled'],
	['what it says, with an old version', { programClusterRoutes: 'Enabled' }, { calicoVersion: 'v3.30.2' }, 'Enabled'],
	['the default since v3.33', {}, { calicoVersion: 'v3.33.1' }, 'EnabledIPIPOnly'],
	['nothing before v3.33', {}, { calicoVersion: 'v3.32.0' }, 'Disabled'],
	['the default where no version is known', {}, {}, 'EnabledIPIPOnly'],
] as const) {
	test(`what Felix programs: ${title}`, (t) => {
		t.is(felixPrograms(resource(felix), resource(cluster)), programs);
	});
}

for (const [title, labels, phase, runs] of [
	['the pod of calico-node', { 'k8s-app': 'calico-node' }, 'Running', true],
	['one that is starting', { 'k8s-app': 'calico-node' }, 'Pending', true],
	['one that is over', { 'k8s-app': 'calico-node' }, 'Failed', false],
	['another pod', { 'k8s-app': 'kube-dns' }, 'Running', false],
] as const) {
	test(`Felix runs in: ${title}`, (t) => {
		t.is(isRunningFelix(toResource({ metadata: { name: 'x', namespace: 'kube-system', labels }, status: { phase } })), runs);
	});
}
