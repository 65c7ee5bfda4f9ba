/**
 * Kubernetes objects with absurd values, for every reader of resources. A reader may refuse an
 * object with an error of its own, and may throw no other error. The readers of the whole state,
 * and `lint`, accept any set of objects.
 */
import type { JsonObject, JsonValue } from '../../src/json/index.ts';
import {
	felixPrograms,
	Informer,
	isRunningFelix,
	lint,
	type Resource,
	ResourceError,
	resourceKey,
	toAffinity,
	toBgpConfiguration,
	toBgpFilter,
	toBgpPeer,
	toBlock,
	toHandle,
	toIpamConfig,
	toNodeFacts,
	toPool,
	toPoolRouting,
	toReservation,
	toResource,
	toV1Layout,
	toWorkload,
} from '../../src/kubernetes/index.ts';
import { podFacts } from '../../src/node/pod-facts.ts';
import { pruneNode, prunePod, pruneStatusRequest } from '../../src/node/prune.ts';
import { readState } from '../../src/node/state.ts';
import { fromCalicoPolicy } from '../../src/policy/convert/calico-policy.ts';
import { policyResourceOf } from '../../src/policy/convert/index.ts';
import { parseEndpointSlice, pruneEndpointSlice } from '../../src/services/resources/endpoint-slice.ts';
import { parseService, pruneService } from '../../src/services/resources/service.ts';
import { type Budget, Dice, type FuzzReport, Meter } from './random.ts';

/** Valid objects, which are then modified. */
const templates: Readonly<Record<string, JsonObject>> = {
	Node: {
		metadata: {
			name: 'a',
			labels: { rack: '1' },
			annotations: {
				'projectcalico.org/IPv4Address': '10.0.1.2/24',
				'projectcalico.org/IPv6Address': 'fd00::2/64',
				'projectcalico.org/ASNumber': '64512',
				'projectcalico.org/RouteReflectorClusterID': '1.0.0.1',
				'projectcalico.org/IPv4IPIPTunnelAddr': '192.168.0.1',
				'projectcalico.org/labels': '{"a":"b"}',
			},
		},
		spec: { podCIDRs: ['10.244.0.0/24'] },
		status: { addresses: [{ type: 'InternalIP', address: '10.0.1.2' }] },
	},
	IPPool: {
		metadata: { name: 'pool' },
		spec: {
			cidr: '192.168.0.0/16',
			blockSize: 26,
			ipipMode: 'Always',
			vxlanMode: 'Never',
			natOutgoing: true,
			nodeSelector: "rack == '1'",
			allowedUses: ['Workload'],
		},
	},
	IPAMBlock: {
		metadata: { name: '192-168-0-0-30' },
		spec: {
			cidr: '192.168.0.0/30',
			affinity: 'host:a',
			allocations: [0, null, null, null],
			unallocated: [1, 2, 3],
			attributes: [{ handle_id: 'net.c', secondary: { node: 'a', pod: 'p', namespace: 'n' } }],
			sequenceNumber: 5,
			sequenceNumberForAllocation: { '0': 4 },
			strictAffinity: false,
			deleted: false,
		},
	},
	BlockAffinity: {
		metadata: { name: 'a-192-168-0-0-26' },
		spec: { cidr: '192.168.0.0/26', node: 'a', type: 'host', state: 'confirmed', deleted: 'false' },
	},
	IPAMHandle: {
		metadata: { name: 'net.c' },
		spec: { handleID: 'net.C', block: { '192.168.0.0/30': 1 }, deleted: false },
	},
	IPAMConfig: {
		metadata: { name: 'default' },
		spec: { strictAffinity: false, autoAllocateBlocks: true, maxBlocksPerHost: 20 },
	},
	IPReservation: { metadata: { name: 'r' }, spec: { reservedCIDRs: ['192.168.0.0/30', '192.168.0.9'] } },
	BGPConfiguration: {
		metadata: { name: 'default' },
		spec: {
			asNumber: 64512,
			listenPort: 179,
			nodeToNodeMeshEnabled: true,
			nodeMeshMaxRestartTime: '120s',
			nodeMeshPassword: { secretKeyRef: { name: 's', key: 'k' } },
			serviceClusterIPs: [{ cidr: '10.96.0.0/12' }],
			communities: [{ name: 'c', value: '1:2' }],
			prefixAdvertisements: [{ cidr: '192.168.0.0/16', communities: ['c'] }],
			localWorkloadPeeringIPV4: '169.254.1.1',
		},
	},
	BGPPeer: {
		metadata: { name: 'tor' },
		spec: {
			peerIP: '10.0.1.254:179',
			asNumber: 64999,
			nodeSelector: 'all()',
			filters: ['f'],
			password: { secretKeyRef: { name: 's', key: 'k' } },
			ttlSecurity: 1,
			keepaliveTime: '30s',
			maxRestartTime: '120s',
			numAllowedLocalASNumbers: 1,
			reachableBy: '10.0.1.1',
		},
	},
	BGPFilter: {
		metadata: { name: 'f' },
		spec: {
			importV4: [
				{
					action: 'Accept',
					cidr: '10.0.0.0/8',
					matchOperator: 'In',
					prefixLength: { min: 8, max: 24 },
					communities: { values: ['1:2'] },
					asPathPrefix: [65001],
					operations: [{ addCommunity: { value: '1:2' } }, { prependASPath: { prefix: [1] } }],
				},
			],
			exportV6: [{ action: 'Reject', source: 'RemotePeers', interface: 'eth*', peerType: 'eBGP', priority: 1 }],
		},
	},
	Pod: {
		metadata: {
			name: 'p',
			namespace: 'n',
			labels: { 'k8s-app': 'calico-node' },
			annotations: {
				'cni.projectcalico.org/podIPs': '192.168.0.1/32,fd00::1/128',
				'k8s.v1.cni.cncf.io/network-status': '[{"ips":["10.0.0.1"]}]',
			},
		},
		spec: { nodeName: 'a', hostNetwork: false },
		status: { phase: 'Running', podIP: '192.168.0.1', podIPs: [{ ip: '192.168.0.1' }] },
	},
	FelixConfiguration: { metadata: { name: 'default' }, spec: { programClusterRoutes: 'Enabled' } },
	ClusterInformation: { metadata: { name: 'default' }, spec: { calicoVersion: 'v3.33.0', datastoreReady: true } },
	Service: {
		apiVersion: 'v1',
		kind: 'Service',
		metadata: { name: 's', namespace: 'n' },
		spec: {
			type: 'LoadBalancer',
			clusterIP: '10.96.0.1',
			clusterIPs: ['10.96.0.1'],
			ports: [{ name: 'http', port: 80, targetPort: 8080, nodePort: 30000, protocol: 'TCP' }],
			externalIPs: ['203.0.113.1'],
			externalTrafficPolicy: 'Local',
			sessionAffinity: 'ClientIP',
		},
		status: { loadBalancer: { ingress: [{ ip: '203.0.113.2' }] } },
	},
	EndpointSlice: {
		apiVersion: 'discovery.k8s.io/v1',
		kind: 'EndpointSlice',
		metadata: { name: 's-1', namespace: 'n', labels: { 'kubernetes.io/service-name': 's' } },
		addressType: 'IPv4',
		endpoints: [{ addresses: ['192.168.0.1'], conditions: { ready: true }, nodeName: 'a' }],
		ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
	},
	GlobalNetworkPolicy: {
		apiVersion: 'crd.projectcalico.org/v1',
		kind: 'GlobalNetworkPolicy',
		metadata: { name: 'p' },
		spec: {
			selector: 'all()',
			order: 10,
			types: ['Ingress'],
			ingress: [
				{ action: 'Allow', protocol: 'TCP', source: { nets: ['10.0.0.0/8'] }, destination: { ports: [80, '90:100'] } },
			],
		},
	},
};

const nested = (depth: number, open: string, inside: string, close: string) =>
	`${open.repeat(depth)}${inside}${close.repeat(depth)}`;

/** Values that have caused faults before. */
const absurd: readonly ((dice: Dice) => JsonValue)[] = [
	() => null,
	() => true,
	() => false,
	() => '',
	() => [],
	() => ({}),
	() => -1,
	() => 0,
	() => 0.5,
	() => 1e308,
	() => 4_294_967_296,
	() => 2n ** 63n,
	() => 'x'.repeat(100_000),
	() => nested(5000, '(', 'all()', ')'),
	() => nested(2000, '!(', 'has(a)', ')'),
	() => 'has(',
	() => '0.0.0.0/0',
	() => '::/0',
	() => '255.255.255.255',
	() => '224.0.0.0/4',
	() => '127.0.0.1',
	() => 'fe80::1%eth0',
	() => '10.0.0.0/99',
	() => '10.0.0.300',
	() => '999999999999999999999',
	() => '\u0000\u001b[31m\n',
	() => '__proto__',
	() => 'constructor',
	() => 'toString',
	() => 'é\ud800',
	() => ({ __proto__: null, constructor: 'x', toString: 1 }),
	(dice) => Array.from({ length: dice.below(3000) }, (_, index) => index),
	(dice) => JSON.parse(nested(1 + dice.below(3000), '[', '1', ']')) as JsonValue,
	(dice) => JSON.parse(nested(1 + dice.below(1000), '{"a":', '1', '}')) as JsonValue,
	() => [null, {}, [], 'x', -1],
	() => ({ secretKeyRef: { name: '../../x', key: 'y' } }),
];

/** One value of an object becomes absurd, is removed, or gets a neighbour. */
export function spoil(dice: Dice, value: JsonValue): JsonValue {
	if (dice.chance(0.15) || typeof value !== 'object' || value === null) return dice.pick(absurd)(dice);
	if (Array.isArray(value)) {
		const items = [...(value as readonly JsonValue[])];
		if (items.length === 0 || dice.chance(0.2)) return [...items, dice.pick(absurd)(dice)];
		const at = dice.below(items.length);
		items[at] = spoil(dice, items[at] ?? null);
		return items;
	}
	const entries = Object.entries(value as JsonObject);
	if (entries.length === 0 || dice.chance(0.1))
		return Object.fromEntries([...entries, ['strange', dice.pick(absurd)(dice)]]);
	const at = dice.below(entries.length);
	if (dice.chance(0.1)) return Object.fromEntries(entries.filter((_, index) => index !== at));
	return Object.fromEntries(
		entries.map(([key, item], index) => [key, index === at ? spoil(dice, item ?? null) : (item ?? null)]),
	);
}

/** An object of a kind with one to four absurd values. */
export function absurdObject(dice: Dice, kind: string): JsonObject {
	let object: JsonValue = templates[kind] ?? {};
	for (let count = 1 + dice.below(4); count > 0; count--) object = spoil(dice, object);
	return typeof object === 'object' && object !== null && !Array.isArray(object)
		? (object as JsonObject)
		: { spec: object };
}

const readers: Readonly<Record<string, readonly ((raw: JsonObject) => unknown)[]>> = {
	Node: [(raw) => toNodeFacts(toResource(raw)), pruneNode],
	IPPool: [(raw) => toPool(toResource(raw)), (raw) => toPoolRouting(toResource(raw)), toV1Layout],
	IPAMBlock: [(raw) => toBlock(toResource(raw))],
	BlockAffinity: [(raw) => toAffinity(toResource(raw))],
	IPAMHandle: [(raw) => toHandle(toResource(raw))],
	IPAMConfig: [(raw) => toIpamConfig(toResource(raw))],
	IPReservation: [(raw) => toReservation(toResource(raw))],
	BGPConfiguration: [(raw) => toBgpConfiguration(toResource(raw), toResource(raw))],
	BGPPeer: [(raw) => toBgpPeer(toResource(raw))],
	BGPFilter: [(raw) => toBgpFilter(toResource(raw))],
	Pod: [
		(raw) => toWorkload(toResource(raw)),
		podFacts,
		prunePod,
		pruneStatusRequest,
		(raw) => isRunningFelix(toResource(raw)),
	],
	FelixConfiguration: [(raw) => felixPrograms(toResource(raw), toResource(raw))],
	ClusterInformation: [(raw) => felixPrograms(undefined, toResource(raw))],
	Service: [parseService, pruneService],
	EndpointSlice: [parseEndpointSlice, pruneEndpointSlice],
	GlobalNetworkPolicy: [(raw) => policyResourceOf(raw), (raw) => fromCalicoPolicy(raw, 'GlobalNetworkPolicy' as never)],
};

/** The members of a copy that the state is read from. */
const copy = (resources: readonly Resource[]): Informer =>
	Object.defineProperty(Object.create(Informer.prototype), 'items', {
		value: new Map(resources.map((each) => [resourceKey(each), each])),
	}) as Informer;

function resourcesOf(dice: Dice, kind: string): Resource[] {
	return Array.from({ length: dice.below(4) }, (_, index) => {
		const raw = absurdObject(dice, kind);
		try {
			return toResource(raw);
		} catch {
			return toResource({ ...raw, metadata: { name: `${kind.toLowerCase()}-${index}` } });
		}
	});
}

/** All objects of a cluster at once: the result must be a state and findings. */
function readCluster(dice: Dice): void {
	const of = (kind: string) => resourcesOf(dice, kind);
	const sound = toResource(templates['Node'] ?? {});
	const given = {
		nodes: [sound, ...of('Node')],
		pools: of('IPPool'),
		affinities: of('BlockAffinity'),
		bgpConfigurations: of('BGPConfiguration'),
		bgpPeers: of('BGPPeer'),
		bgpFilters: of('BGPFilter'),
		pods: of('Pod'),
		felixConfigurations: of('FelixConfiguration'),
		clusterInformations: of('ClusterInformation'),
		reservations: of('IPReservation'),
	};
	readState(
		'a',
		{
			nodes: copy(given.nodes),
			pools: copy(given.pools),
			claims: copy(given.affinities),
			blocks: copy(of('IPAMBlock')),
			bgpConfigurations: copy(given.bgpConfigurations),
			bgpPeers: copy(given.bgpPeers),
			bgpFilters: copy(given.bgpFilters),
			pods: copy(given.pods),
			felixConfigurations: copy(given.felixConfigurations),
			clusterInformations: copy(given.clusterInformations),
		},
		() => undefined,
	);
	lint({ ...given, blocks: [], password: () => undefined } as unknown as Parameters<typeof lint>[0]);
}

/** Runs every reader, and occasionally a whole cluster. */
export function fuzzObjects(seed: number, budget: Budget): FuzzReport {
	const dice = new Dice(seed);
	const meter = new Meter(budget);
	const counts: Record<string, number> = { read: 0, refused: 0, clusters: 0 };
	const failures: string[] = [];
	const count = (what: string) => (counts[what] = (counts[what] ?? 0) + 1);
	const kinds = Object.keys(readers);
	while (meter.next() && failures.length < 10) {
		const state = meter.inputs;
		if (state % 20 === 0) {
			try {
				readCluster(dice);
				count('clusters');
			} catch (error) {
				failures.push(`seed ${seed}, input ${state}: the state of a cluster: ${stackOf(error)}`);
			}
			continue;
		}
		const kind = dice.pick(kinds);
		const object = absurdObject(dice, kind);
		for (const read of readers[kind] ?? [])
			try {
				read(object);
				count('read');
			} catch (error) {
				if (error instanceof ResourceError) count('refused');
				else failures.push(`seed ${seed}, input ${state}: ${kind}: ${stackOf(error)}: ${shortly(object)}`);
			}
	}
	return { target: 'objects', inputs: meter.inputs, counts, failures };
}

const stackOf = (error: unknown): string =>
	error instanceof Error ? (error.stack ?? error.message).split('\n').slice(0, 4).join(' | ') : String(error);

function shortly(object: JsonObject): string {
	try {
		return JSON.stringify(object, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)).slice(
			0,
			500,
		);
	} catch {
		return 'nested too deeply to be shown';
	}
}
