import test from 'ava';
import { prefixKey } from '../../src/core/index.ts';
import type { JsonObject } from '../../src/json/index.ts';
import { Informer, type Resource, resourceKey, toResource } from '../../src/kubernetes/index.ts';
import { type ClusterInformers, readState, type StateMemory } from '../../src/node/state.ts';

const named = (name: string, spec: JsonObject, metadata: JsonObject = {}) =>
	toResource({ metadata: { name, ...metadata }, spec });
/** The fields that the state is read from. */
const copy = (...resources: Resource[]): Informer =>
	Object.defineProperty(Object.create(Informer.prototype), 'items', {
		value: new Map(resources.map((each) => [resourceKey(each), each])),
	}) as Informer;

const calicoNode = toResource({
	metadata: { name: 'calico-node-x', namespace: 'kube-system', labels: { 'k8s-app': 'calico-node' } },
	status: { phase: 'Running' },
});
const cluster = (more: Partial<ClusterInformers> = {}): ClusterInformers => ({
	nodes: copy(toResource({ metadata: { name: 'a', annotations: { 'projectcalico.org/IPv4Address': '10.0.1.2/24' } } })),
	pools: copy(
		named('pods', { cidr: '192.168.0.0/16', ipipMode: 'CrossSubnet' }),
		named('plain', { cidr: '172.20.0.0/16' }),
	),
	claims: copy(),
	bgpConfigurations: copy(),
	bgpPeers: copy(),
	bgpFilters: copy(),
	pods: copy(),
	felixConfigurations: copy(),
	blocks: copy(),
	clusterInformations: copy(),
	...more,
});
const stateOf = (more: Partial<ClusterInformers>) => {
	const { pools, refusal } = readState('a', cluster(more), () => undefined);
	return { foreign: pools.filter(({ foreign }) => foreign !== undefined).map(({ cidr }) => cidr as string), refusal };
};

test('without Felix this node serves every pool', (t) => {
	t.deepEqual(stateOf({}), { foreign: [], refusal: undefined });
});

test("with Felix at Calico's defaults the pools with IPIP are left to Felix", (t) => {
	t.deepEqual(stateOf({ pods: copy(calicoNode) }), { foreign: ['192.168.0.0/16'], refusal: undefined });
});

test('with Felix of an older Calico this node serves every pool', (t) => {
	t.deepEqual(
		stateOf({ pods: copy(calicoNode), clusterInformations: copy(named('default', { calicoVersion: 'v3.30.1' })) }),
		{
			foreign: [],
			refusal: undefined,
		},
	);
});

test('when both Felix and this node are configured to program a kind of route, the configuration of this node is refused', (t) => {
	const { refusal } = stateOf({
		pods: copy(calicoNode),
		bgpConfigurations: copy(named('default', { programClusterRoutes: 'Enabled' })),
	});
	t.is(refusal?.seen, 'resources');
	t.regex(refusal?.reason ?? '', /192\.168\.0\.0\/16/);
	const given = {
		felixConfigurations: copy(named('default', { programClusterRoutes: 'Disabled' })),
		bgpConfigurations: copy(named('default', { programClusterRoutes: 'Enabled' })),
	};
	t.deepEqual(stateOf({ pods: copy(calicoNode), ...given }), { foreign: [], refusal: undefined });
});

test('pods of this node that a BGPPeer selects are neighbours; the address that Felix would configure is logged only without Felix', (t) => {
	const pod = toResource({
		metadata: { name: 'p', namespace: 'n', labels: { color: 'red' } },
		status: { phase: 'Running', podIP: '10.65.0.2' },
	});
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

test('an unreadable BGPFilter rejects every route of its peer, and is reported', (t) => {
	const { topology, problems } = readState(
		'a',
		cluster({
			bgpPeers: copy(named('tor', { peerIP: '10.0.1.254', asNumber: 64999, filters: ['broken'] })),
			bgpFilters: copy(named('broken', { importV4: [{ action: 'Accept', source: 'Everyone' }] })),
		}),
		() => undefined,
	);
	const [session] = topology.peers;
	t.is(session?.importPolicies?.[0]?.terms[0]?.action, 'reject');
	t.is(session?.exportPolicies?.[0]?.terms[0]?.action, 'reject');
	t.deepEqual(problems, [
		'BGPFilter broken: broken.importV4[0].source is none of RemotePeers; no route passes in either direction at the peers that name it',
	]);
});

test('a BGPConfiguration that becomes unreadable keeps its last readable version in force', (t) => {
	const read = (spec: JsonObject, last?: ReturnType<typeof readState>) =>
		readState('a', cluster({ bgpConfigurations: copy(named('default', spec)) }), () => undefined, 'blocks', {
			lastConfiguration: last?.configuration,
		});
	const first = read({ asNumber: 65010, nodeToNodeMeshEnabled: false });
	const second = read({ asNumber: 65010, serviceClusterIPs: [{ cidr: 'x' }] }, first);
	t.deepEqual(second.configuration, first.configuration);
	t.is(second.problems.length, 1);
	t.is(read({ asNumber: 65011 }, second).configuration.asNumber, 65011);
});

test('one unusable object leaves all other objects in use', (t) => {
	const deep = `${'('.repeat(5000)}all()${')'.repeat(5000)}`;
	const { topology, pools, problems } = readState(
		'a',
		cluster({
			bgpPeers: copy(
				named('deep', { peerIP: '10.0.1.253', nodeSelector: deep }),
				named('pods', { localWorkloadSelector: deep }),
				named('tor', { peerIP: '10.0.1.254', asNumber: 64999 }),
			),
			pools: copy(
				named('nested', { cidr: '10.5.0.0/16', nodeSelector: deep }),
				named('none', {}),
				named('x', { cidr: '10.6.0.0/16' }),
			),
		}),
		() => undefined,
	);
	t.deepEqual(
		topology.peers.map(({ name }) => name),
		['Global_10_0_1_254'],
	);
	t.true(pools.some(({ cidr }) => cidr === prefixKey('10.6.0.0/16')));
	t.deepEqual(problems.map((problem) => problem.split(':')[0]).sort(), ['deep', 'none', 'pods']);
});

const blockClaim = (cidr: string, state = 'confirmed') =>
	named(`a-${cidr.replace(/[./:]/g, '-')}`, { cidr, node: 'a', type: 'host', state, deleted: 'false' });
const claimed = (claims: readonly string[], memory: StateMemory = {}, more: Partial<ClusterInformers> = {}) =>
	readState(
		'a',
		cluster({ claims: copy(...claims.map((cidr) => blockClaim(cidr))), ...more }),
		() => undefined,
		'blocks',
		memory,
	);

const unannounced: readonly [cidr: string, problem: RegExp][] = [
	['0.0.0.0/0', /it is the default route/],
	['::/0', /it is the default route/],
	['127.0.0.0/8', /not routed/],
	['224.0.0.0/4', /not routed/],
	['240.0.0.0/26', /not routed/],
	['169.254.10.0/26', /not routed/],
	['fe80::/122', /not routed/],
	['ff00::/8', /not routed/],
	['128.0.0.0/1', /not routed/],
	['10.0.1.0/26', /10\.0\.1\.2, an address of this node itself/],
	['10.99.0.0/26', /it lies in no pool/],
];
for (const [cidr, problem] of unannounced) {
	test(`a confirmed claim to ${cidr} is not announced, and is reported`, (t) => {
		const everything = copy(
			named('all', { cidr: '0.0.0.0/0' }),
			named('six', { cidr: '::/0' }),
			named('pods', { cidr: '192.168.0.0/16' }),
		);
		const pools = cidr.startsWith('10.99') ? copy(named('pods', { cidr: '192.168.0.0/16' })) : everything;
		const { blocks, problems } = claimed([cidr, '192.168.7.0/26'], {}, { pools });
		t.deepEqual<readonly string[], readonly string[]>(blocks, ['192.168.7.0/26']);
		t.is(problems.length, 1);
		t.regex(problems[0] ?? '', problem);
	});
}

test('a block whose pool is deleted at run time stays announced', (t) => {
	const before = claimed(['192.168.7.0/26']);
	const after = claimed(['192.168.7.0/26'], { knownPools: before.knownPools }, { pools: copy() });
	t.deepEqual(after.blocks, before.blocks);
	t.deepEqual<readonly string[], readonly string[]>(claimed(['192.168.7.0/26'], {}, { pools: copy() }).blocks, []);
});

test('an address in use on this node outside own blocks is announced separately, from any source', (t) => {
	const pod = toResource({
		metadata: { name: 'p', namespace: 'n' },
		status: { phase: 'Running', podIP: '192.168.9.5', podIPs: [{ ip: '192.168.9.5' }, { ip: 'fd00::5' }] },
	});
	const nodes = copy(
		toResource({
			metadata: {
				name: 'a',
				annotations: {
					'projectcalico.org/IPv4Address': '10.0.1.2/24',
					'projectcalico.org/IPv4IPIPTunnelAddr': '192.168.9.6',
				},
			},
		}),
	);
	const pools = copy(named('pods', { cidr: '192.168.0.0/16' }), named('six', { cidr: 'fd00::/64' }));
	const heldAddresses = new Set(['192.168.7.1', '192.168.8.2', '10.0.1.2', '8.8.8.8', 'fd00::7']);
	const { blocks, borrowed, problems } = claimed(
		['192.168.7.0/26'],
		{ heldAddresses },
		{ pods: copy(pod), nodes, pools },
	);
	t.deepEqual<readonly string[], readonly string[]>(borrowed, [
		'192.168.8.2/32',
		'fd00::7/128',
		'192.168.9.5/32',
		'fd00::5/128',
		'192.168.9.6/32',
	]);
	t.deepEqual<readonly string[], readonly string[]>(blocks, ['192.168.7.0/26', ...borrowed]);
	t.deepEqual(problems, []);
});
