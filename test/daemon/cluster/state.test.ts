import test from 'ava';
import { type ClusterInformers, readState } from '../../../src/daemon/cluster/state.ts';
import { Informer, type JsonObject, type Resource, resourceKey, toResource } from '../../../src/kubernetes/index.ts';

const named = (name: string, spec: JsonObject, metadata: JsonObject = {}) => toResource({ metadata: { name, ...metadata }, spec });
/** As far as the state is read from it. */
const copy = (...resources: Resource[]): Informer =>
	Object.defineProperty(Object.create(Informer.prototype), 'items', { value: new Map(resources.map((each) => [resourceKey(each), each])) }) as Informer;

const calicoNode = toResource({
	metadata: { name: 'calico-node-x', namespace: 'kube-system', labels: { 'k8s-app': 'calico-node' } },
	status: { phase: 'Running' },
});
const cluster = (more: Partial<ClusterInformers> = {}): ClusterInformers => ({
	nodes: copy(toResource({ metadata: { name: 'a', annotations: { 'projectcalico.org/IPv4Address': '10.0.1.2/24' } } })),
	pools: copy(named('pods', { cidr: '192.168.0.0/16', ipipMode: 'CrossSubnet' }), named('plain', { cidr: '172.20.0.0/16' })),
	claims: copy(),
	bgpConfigurations: copy(),
	bgpPeers: copy(),
	bgpFilters: copy(),
	pods: copy(),
	felixConfigurations: copy(),
	clusterInformations: copy(),
	...more,
});
const stateOf = (more: Partial<ClusterInformers>) => {
	const { pools, refusal } = readState('a', cluster(more), () => undefined);
	return { foreign: pools.filter(({ foreign }) => foreign !== undefined).map(({ cidr }) => cidr as string), refusal };
};

test('where no Felix runs every pool is ours', (t) => {
	t.deepEqual(stateOf({}), { foreign: [], refusal: undefined });
});

test("where Felix runs with Calico's defaults the pools with IPIP are left to it", (t) => {
	t.deepEqual(stateOf({ pods: copy(calicoNode) }), { foreign: ['192.168.0.0/16'], refusal: undefined });
});

test('where Felix of an older Calico runs every pool is ours', (t) => {
	t.deepEqual(stateOf({ pods: copy(calicoNode), clusterInformations: copy(named('default', { calicoVersion: 'v3.30.1' })) }), {
		foreign: [],
		refusal: undefined,
	});
});

test('where Felix runs and both are told to program a kind of route, ours are refused', (t) => {
	const { refusal } = stateOf({ pods: copy(calicoNode), bgpConfigurations: copy(named('default', { programClusterRoutes: 'Enabled' })) });
	t.is(refusal?.seen, 'resources');
	t.regex(refusal?.reason ?? '', /192\.168\.0\.0\/16/);
	const given = {
		felixConfigurations: copy(named('default', { programClusterRoutes: 'Disabled' })),
		bgpConfigurations: copy(named('default', { programClusterRoutes: 'Enabled' })),
	};
	t.deepEqual(stateOf({ pods: copy(calicoNode), ...given }), { foreign: [], refusal: undefined });
});

test('pods of this node that a BGPPeer selects are neighbours; the address that Felix would give them is told only where it does not run', (t) => {
	const pod = toResource({ metadata: { name: 'p', namespace: 'n', labels: { color: 'red' } }, status: { phase: 'Running', podIP: '10.65.0.2' } });
	const given = {
		bgpPeers: copy(named('red', { localWorkloadSelector: "color == 'red'", asNumber: 65401 })),
		bgpConfigurations: copy(named('default', { localWorkloadPeeringIPV4: '169.254.0.179' })),
	};
	const state = (...pods: Resource[]) => {
		const { topology, problems } = readState('a', cluster({ ...given, pods: copy(...pods) }), () => undefined);
		return [topology.peers.map(({ name }) => name), problems.length];
	};
	t.deepEqual(state(pod), [['Local_Workload_10_65_0_2'], 1]);
	t.deepEqual(state(pod, calicoNode), [['Local_Workload_10_65_0_2'], 0]);
	t.deepEqual(state(), [[], 0]);
});
