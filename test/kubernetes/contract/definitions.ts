import type { TestFn } from 'ava';
import { prefixKey, systemClock } from '../../../src/core/index.ts';
import { affinityLabels, affinityName, assignOrdinal, blockName, newBlock, release } from '../../../src/ipam/index.ts';
import type { JsonObject } from '../../../src/json/index.ts';
import {
	type ApiClient,
	ApiError,
	type ApiLayout,
	calicoKinds,
	coreKinds,
	fromAffinity,
	fromBlock,
	fromHandle,
	type ResourceKind,
	toResource,
} from '../../../src/kubernetes/index.ts';
import { nodeStatus } from '../../../src/node/node-status.ts';
import { connect } from './cluster.ts';
import { nativeDefinitions } from './native-definitions.ts';
import type { ServerUnderTest } from './transcript.ts';

const layout = 'crd.projectcalico.org/v1';
const kinds = calicoKinds(layout);
const crdKind: ResourceKind = {
	kind: 'CustomResourceDefinition',
	apiVersion: 'apiextensions.k8s.io/v1',
	plural: 'customresourcedefinitions',
	namespaced: false,
};

type KindName = 'pools' | 'bgpPeers' | 'bgpFilters' | 'bgpConfigurations';
const rule = (more: JsonObject): JsonObject => ({ importV4: [{ action: 'Accept', ...more }] });
const deep = { cidr: '10.1.0.0/16', matchOperator: 'In' };

const accepted: readonly (readonly [KindName, JsonObject])[] = [
	['pools', { cidr: '10.0.0.0/16' }],
	['pools', { cidr: '10.0.0.0/16', blockSize: 0, ipipMode: 'CrossSubnet', natOutgoing: true }],
	['pools', { cidr: '10.0.0.0/26', ipipMode: 'Always', vxlanMode: 'Never' }],
	['pools', { cidr: 'fd00::/64', blockSize: 122, vxlanMode: 'Always' }],
	['pools', { cidr: '10.9.0.0/24', allowedUses: ['LoadBalancer'], nodeSelector: 'all()' }],
	['bgpPeers', { peerIP: '10.0.0.1:1179', asNumber: 64999, maxRestartTime: '1m30s' }],
	['bgpPeers', { peerIP: '[fd00::1]:179', asNumber: '1.10', ttlSecurity: 1, nodeSelector: "rack == 'a'" }],
	['bgpPeers', { nodeSelector: 'all()', peerSelector: 'has(rr)' }],
	['bgpPeers', { node: 'a', nodeSelector: '', peerIP: '10.0.0.1', asNumber: 4294967295 }],
	['bgpPeers', { localWorkloadSelector: 'all()', asNumber: 65001 }],
	[
		'bgpFilters',
		rule({ ...deep, prefixLength: { min: 16, max: 24 }, source: 'RemotePeers', communities: { values: ['1:2'] } }),
	],
	[
		'bgpFilters',
		{ exportV6: [{ action: 'Reject', cidr: 'fd00::/8', matchOperator: 'NotIn', prefixLength: { max: 128 } }] },
	],
	[
		'bgpFilters',
		rule({ operations: [{ prependASPath: { prefix: [65001, 65001] } }, { setPriority: { value: 512 } }] }),
	],
	['bgpConfigurations', { asNumber: 64512, listenPort: 1790, serviceClusterIPs: [{ cidr: '10.96.0.0/12' }] }],
	['bgpConfigurations', { nodeToNodeMeshEnabled: true, nodeMeshMaxRestartTime: '2m0s' }],
];

const refused: readonly (readonly [KindName, string, JsonObject])[] = [
	['pools', 'no prefix', { cidr: '10.0.0.0' }],
	['pools', 'IPv4 blocks beyond the range', { cidr: '10.0.0.0/16', blockSize: 19 }],
	['pools', 'IPv6 blocks beyond the range', { cidr: 'fd00::/64', blockSize: 115 }],
	['pools', 'IPv6 blocks of an IPv4 size', { cidr: 'fd00::/64', blockSize: 26 }],
	['pools', 'blocks larger than itself', { cidr: '10.0.0.0/28', blockSize: 26 }],
	['pools', 'default blocks larger than itself', { cidr: '10.0.0.0/28' }],
	['pools', 'two tunnels', { cidr: '10.0.0.0/16', ipipMode: 'Always', vxlanMode: 'CrossSubnet' }],
	['pools', 'IP-in-IP for IPv6', { cidr: 'fd00::/64', ipipMode: 'Always' }],
	['pools', 'a mode in lower case', { cidr: '10.0.0.0/16', ipipMode: 'crosssubnet' }],
	['pools', 'link-local addresses', { cidr: '169.254.10.0/24' }],
	['pools', 'IPv6 link-local addresses', { cidr: 'fe80::/64' }],
	['pools', 'class E', { cidr: '255.255.212.0/24' }],
	['pools', 'loopback', { cidr: '127.0.0.0/16' }],
	['pools', 'LoadBalancer beside another use', { cidr: '10.0.0.0/16', allowedUses: ['LoadBalancer', 'Workload'] }],
	['pools', 'LoadBalancer with a tunnel', { cidr: '10.0.0.0/16', allowedUses: ['LoadBalancer'], ipipMode: 'Always' }],
	['bgpPeers', 'node and nodeSelector', { node: 'a', nodeSelector: 'all()', peerIP: '10.0.0.1' }],
	['bgpPeers', 'peerIP and peerSelector', { peerIP: '10.0.0.1', peerSelector: 'all()' }],
	['bgpPeers', 'localWorkloadSelector and peerIP', { peerIP: '10.0.0.1', localWorkloadSelector: 'all()', asNumber: 1 }],
	['bgpPeers', 'localWorkloadSelector without asNumber', { localWorkloadSelector: 'all()' }],
	['bgpPeers', 'reachableBy without peerIP', { peerSelector: 'all()', reachableBy: '10.0.0.1' }],
	['bgpPeers', 'an AS number beyond 32 bits', { peerIP: '10.0.0.1', asNumber: 4294967296 }],
	['bgpPeers', 'a negative AS number', { peerIP: '10.0.0.1', asNumber: -1 }],
	['bgpPeers', 'an AS number of words', { peerIP: '10.0.0.1', asNumber: 'many' }],
	['bgpPeers', 'a duration of words', { peerIP: '10.0.0.1', maxRestartTime: 'long' }],
	['bgpPeers', 'TTL security beyond a byte', { peerIP: '10.0.0.1', ttlSecurity: 256 }],
	['bgpFilters', 'a prefix without an operator', rule({ cidr: '10.0.0.0/8' })],
	['bgpFilters', 'an operator without a prefix', rule({ matchOperator: 'In' })],
	['bgpFilters', 'lengths without a prefix', rule({ prefixLength: { min: 8 } })],
	['bgpFilters', 'lengths in the wrong order', rule({ ...deep, prefixLength: { min: 24, max: 16 } })],
	['bgpFilters', 'an IPv4 length of 33', rule({ ...deep, prefixLength: { max: 33 } })],
	['bgpFilters', 'an IPv6 prefix for IPv4', rule({ cidr: 'fd00::/8', matchOperator: 'In' })],
	['bgpFilters', 'an IPv4 prefix for IPv6', { exportV6: [{ action: 'Accept', ...deep }] }],
	['bgpFilters', 'two communities', rule({ communities: { values: ['1:2', '1:3'] } })],
	['bgpFilters', 'a community of words', rule({ communities: { values: ['no-export'] } })],
	[
		'bgpFilters',
		'two operations in one',
		rule({ operations: [{ setPriority: { value: 1 }, addCommunity: { value: '1:2' } }] }),
	],
	['bgpFilters', 'no operation in one', rule({ operations: [{}] })],
	['bgpFilters', 'no action', { importV4: [{ ...deep }] }],
	['bgpConfigurations', 'a service range that is none', { serviceClusterIPs: [{ cidr: '10.96.0.0' }] }],
	['bgpConfigurations', 'port 0', { listenPort: 0 }],
	['bgpConfigurations', 'an AS number beyond 32 bits', { asNumber: 4294967296 }],
	[
		'bgpConfigurations',
		'a mesh password without a mesh',
		{ nodeToNodeMeshEnabled: false, nodeMeshPassword: { secretKeyRef: { name: 'a', key: 'b' } } },
	],
	[
		'bgpConfigurations',
		'a mesh restart time without a mesh',
		{ nodeToNodeMeshEnabled: false, nodeMeshMaxRestartTime: '1m' },
	],
];

const changes: readonly (readonly [title: string, from: JsonObject, to: JsonObject, isTaken: boolean])[] = [
	['its cidr', { cidr: '10.0.0.0/16' }, { cidr: '10.1.0.0/16' }, false],
	['its blockSize', { cidr: '10.0.0.0/16', blockSize: 26 }, { cidr: '10.0.0.0/16', blockSize: 28 }, false],
	['its blockSize, away', { cidr: '10.0.0.0/16', blockSize: 28 }, { cidr: '10.0.0.0/16' }, false],
	['its blockSize from the default', { cidr: '10.0.0.0/16' }, { cidr: '10.0.0.0/16', blockSize: 28 }, false],
	['its blockSize to the default in words', { cidr: '10.0.0.0/16' }, { cidr: '10.0.0.0/16', blockSize: 26 }, true],
	['its mode', { cidr: '10.0.0.0/16' }, { cidr: '10.0.0.0/16', ipipMode: 'Always' }, true],
];

/** Our definitions carry Calico's rules, and our objects are valid under both layouts of Calico. */
export function testDefinitions(anyTest: TestFn, getServer: () => ServerUnderTest, folder: string): void {
	const test = anyTest.serial;
	let client: ApiClient | undefined;
	const api = async (): Promise<ApiClient> => {
		client ??= await connect(getServer(), folder);
		return client;
	};
	let count = 0;
	const object = (kind: ResourceKind, spec: JsonObject, name = `d-${count++}`): JsonObject => ({
		apiVersion: kind.apiVersion,
		kind: kind.kind,
		metadata: { name },
		spec,
	});
	const codeOf = (attempt: Promise<unknown>) =>
		attempt.then(
			() => 201,
			(error: unknown) => {
				if (error instanceof ApiError) return error.code;
				throw error;
			},
		);

	test('valid resources are accepted', async (t) => {
		for (const [kind, spec] of accepted)
			t.is(await codeOf((await api()).create(kinds[kind], object(kinds[kind], spec))), 201, JSON.stringify(spec));
	});

	for (const [kind, title, spec] of refused)
		test(`${kinds[kind].kind} with ${title} is refused`, async (t) => {
			t.is(await codeOf((await api()).create(kinds[kind], object(kinds[kind], spec))), 422);
		});

	for (const [title, from, to, isTaken] of changes)
		test(`of an IPPool ${title} ${isTaken ? 'can' : 'can not'} be changed`, async (t) => {
			const created = await (await api()).create(kinds.pools, object(kinds.pools, from));
			const changed = { ...created, spec: to };
			t.is(await codeOf((await api()).replace(kinds.pools, changed)), isTaken ? 201 : 422);
		});

	for (const native of [false, true])
		test(`every kind that we write is valid in the ${native ? 'native v3' : 'v1'} layout`, async (t) => {
			const server = await api();
			const written: ApiLayout = native ? 'projectcalico.org/v3' : layout;
			const ours = calicoKinds(written);
			if (native) {
				for (const definition of nativeDefinitions) await server.create(crdKind, definition);
				for (let attempt = 0; attempt < 100; attempt++) {
					if (
						(await codeOf(server.list(ours.nodeStatuses))) === 201 &&
						(await codeOf(server.list(ours.blocks))) === 201
					)
						break;
					await new Promise((resolve) => setTimeout(resolve, 100));
				}
			}
			const node = 'Node-1.example.com'.toLowerCase();
			const cidr = prefixKey(native ? '10.48.0.64/26' : '10.48.0.0/26');
			const create = (
				kind: ResourceKind,
				name: string,
				spec: JsonObject,
				labels: Readonly<Record<string, string>> = {},
			) =>
				server.create(kind, {
					apiVersion: kind.apiVersion,
					kind: kind.kind,
					metadata: { name, labels },
					spec,
				});
			const block = newBlock(cidr, node, '2026-12-01T00:00:00Z', 1_780_000_000_123_456_789n);
			const owner = { handleId: 'net.c1', attributes: { node, pod: 'p', namespace: 'n' } };
			const given = assignOrdinal(block, 3, owner);
			const states = [block, ...(given.type === 'assigned' ? [given.block] : [])];
			const cooled =
				given.type === 'assigned' ? release(given.block, [{ ordinal: 3 }], 30, '2026-12-01T00:00:00Z') : given;
			if (cooled.type === 'released') states.push(cooled.block);
			let stored = await create(ours.blocks, blockName(cidr), fromBlock(block));
			for (const state of [...states, { ...block, affinity: undefined, affinityClaimTime: undefined, deleted: true }])
				stored = await server.replace(ours.blocks, { ...stored, spec: fromBlock(state) });
			const claim = { node, type: 'host', cidr, deleted: false, other: {} } as const;
			let affinity = await create(
				ours.affinities,
				affinityName(node, cidr),
				fromAffinity({ ...claim, state: 'pending' }, written),
				affinityLabels(node, 'host', cidr),
			);
			for (const state of ['confirmed', 'pendingDeletion', ''] as const)
				affinity = await server.replace(ours.affinities, {
					...affinity,
					spec: fromAffinity({ ...claim, state }, written),
				});
			await create(
				ours.handles,
				'net.c1',
				fromHandle({ handleId: 'net.C1', blocks: { [cidr]: 1 }, deleted: false, other: {} }),
			);
			const request = await create(ours.nodeStatuses, 'n', {
				node,
				classes: ['Agent', 'BGP', 'Routes'],
				updatePeriodSeconds: 10,
			});
			const status = nodeStatus(
				['Agent', 'BGP', 'Routes'],
				{
					version: '1',
					routerId: '10.0.0.1',
					startedAt: new Date(systemClock.wallMs()),
					configuredAt: new Date(systemClock.wallMs()),
					peers: [],
					routes: () => [],
					kernelRoutes: () => [],
				},
				new Date(systemClock.wallMs()),
			);
			await server.replace(ours.nodeStatuses, { ...request, status }, 'status');
			const found = await server.get(ours.blocks, blockName(cidr));
			t.is(found && toResource(found).name, blockName(cidr));
			await server
				.create(
					coreKinds.leases,
					{
						apiVersion: 'coordination.k8s.io/v1',
						kind: 'Lease',
						metadata: { name: `l-${native}`, namespace: 'kube-system' },
						spec: { holderIdentity: node },
					},
					'kube-system',
				)
				.catch((error: unknown) => {
					// The namespace may not exist yet on a new server.
					if (!(error instanceof ApiError && error.code === 404)) throw error;
				});
		});
}
