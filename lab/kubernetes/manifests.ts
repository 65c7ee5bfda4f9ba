import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { imageNames } from './images.ts';
import type { ClusterTopology } from './topology.ts';

type Manifest = Record<string, unknown>;

const calico = 'crd.projectcalico.org/v1';
const list = (items: readonly Manifest[]): string => JSON.stringify({ apiVersion: 'v1', kind: 'List', items });

/** How packets cross racks: `none`: the router has the routes; else the overlay of the pool. */
export type ClusterOverlay = 'none' | 'vxlan';

/** The pool, the cluster's BGP and the router as a peer of each rack. */
export function networkManifests(topology: ClusterTopology, overlay: ClusterOverlay): string {
	const { racks, podCidr, asNumber } = topology;
	return list([
		{
			apiVersion: calico,
			kind: 'ClusterInformation',
			metadata: { name: 'default' },
			spec: { datastoreReady: true, clusterGUID: 'e2e' },
		},
		{
			apiVersion: calico,
			kind: 'IPPool',
			metadata: { name: 'pods' },
			spec: {
				cidr: podCidr,
				blockSize: 26,
				ipipMode: 'Never',
				vxlanMode: overlay === 'vxlan' ? 'CrossSubnet' : 'Never',
				natOutgoing: true,
				nodeSelector: 'all()',
				allowedUses: ['Workload', 'Tunnel'],
			},
		},
		{
			apiVersion: calico,
			kind: 'BGPConfiguration',
			metadata: { name: 'default' },
			spec: { asNumber, nodeToNodeMeshEnabled: false },
		},
		...racks.map(({ name, router }) => ({
			apiVersion: calico,
			kind: 'BGPPeer',
			metadata: { name: `router-${name}` },
			spec: { peerIP: router, asNumber, nodeSelector: `rack == '${name}'` },
		})),
	]);
}

/**
 * BIRD on the router: it learns the blocks of the nodes, routes to them, and reflects them (RFC
 * 4456).
 */
export function routerConfig({ racks, nodes, asNumber }: ClusterTopology): string {
	const sessions = nodes.map(
		({ name, address, rack }) =>
			`protocol bgp ${name.replaceAll('-', '_')} {\n` +
			`  local ${rack.router} as ${asNumber};\n  neighbor ${address} as ${asNumber};\n  rr client;\n` +
			'  ipv4 { import all; export where source = RTS_BGP; };\n}\n',
	);
	return [
		`router id ${racks[0]?.router};`,
		'protocol device {}',
		'protocol direct { ipv4; }',
		'protocol kernel { ipv4 { import none; export where source = RTS_BGP; }; }',
		...sessions,
	].join('\n');
}

/** CoreDNS as a Deployment of two, behind the Service `kube-dns`. */
export function dnsManifests({ dnsService }: ClusterTopology): string {
	const labels = { 'k8s-app': 'kube-dns' };
	const metadata = { name: 'coredns', namespace: 'kube-system' };
	const corefile = `.:53 {
  errors
  health :8080
  ready :8181
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    pods insecure
    fallthrough in-addr.arpa ip6.arpa
    ttl 30
  }
  cache 30
  reload
}
`;
	const port = (number: number, protocol: string) => ({ containerPort: number, protocol });
	return list([
		{ apiVersion: 'v1', kind: 'ServiceAccount', metadata },
		{
			apiVersion: 'rbac.authorization.k8s.io/v1',
			kind: 'ClusterRole',
			metadata: { name: 'coredns' },
			rules: [
				{ apiGroups: [''], resources: ['endpoints', 'services', 'pods', 'namespaces'], verbs: ['list', 'watch'] },
				{ apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch'] },
			],
		},
		{
			apiVersion: 'rbac.authorization.k8s.io/v1',
			kind: 'ClusterRoleBinding',
			metadata: { name: 'coredns' },
			roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'coredns' },
			subjects: [{ kind: 'ServiceAccount', ...metadata }],
		},
		{ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { Corefile: corefile } },
		{
			apiVersion: 'v1',
			kind: 'Service',
			metadata: { name: 'kube-dns', namespace: 'kube-system', labels },
			spec: {
				clusterIP: dnsService,
				selector: labels,
				ports: [
					{ name: 'dns', port: 53, protocol: 'UDP' },
					{ name: 'dns-tcp', port: 53, protocol: 'TCP' },
				],
			},
		},
		{
			apiVersion: 'apps/v1',
			kind: 'Deployment',
			metadata: { ...metadata, labels },
			spec: {
				replicas: 2,
				selector: { matchLabels: labels },
				template: {
					metadata: { labels },
					spec: {
						serviceAccountName: 'coredns',
						dnsPolicy: 'Default',
						priorityClassName: 'system-cluster-critical',
						containers: [
							{
								name: 'coredns',
								image: imageNames.coredns,
								args: ['-conf', '/etc/coredns/Corefile'],
								ports: [port(53, 'UDP'), port(53, 'TCP')],
								readinessProbe: { httpGet: { path: '/ready', port: 8181 } },
								volumeMounts: [{ name: 'config', mountPath: '/etc/coredns', readOnly: true }],
							},
						],
						volumes: [{ name: 'config', configMap: { name: 'coredns' } }],
					},
				},
			},
		},
	]);
}

/** The program that serves Services. */
export type ClusterProxy = 'kube-proxy' | 'bgpmesh';

/** What judges packets of pods. */
export type ClusterDataplane = 'nftables' | 'ebpf';

/** What a run of the cluster chooses of the daemon's configuration. */
export interface DaemonChoice {
	readonly proxy: ClusterProxy;
	readonly dataplane: ClusterDataplane;
	/** Where a node's mount of cgroup2 is. */
	readonly cgroup: string;
}

/** In a container of the DaemonSet the host's folder is mounted here. */
const hostFolder = (path: string): string => `/host${path}`;

/** The choice as keys of the configuration. */
const configOf = ({ proxy, dataplane, cgroup }: DaemonChoice): Manifest => ({
	...(proxy === 'bgpmesh' ? { services: { proxy: true } } : {}),
	...(dataplane === 'ebpf' ? { dataplane, ebpf: { cgroup: hostFolder(cgroup) } } : {}),
});

/**
 * Our own definitions, permissions and DaemonSet, as shipped in the repository, with the image's
 * name and the cluster's settings.
 */
export async function ownManifests(
	repository: string,
	{ controlPlane }: ClusterTopology,
	choice: DaemonChoice,
): Promise<readonly string[]> {
	const definitions = (await readdir(join(repository, 'config/crds'))).map((file) => join('config/crds', file));
	const files = [...definitions, 'config/rbac/node.yaml', 'config/daemonset.yaml'];
	const texts = await Promise.all(files.map((file) => readFile(join(repository, file), 'utf8')));
	return texts.map((text) =>
		list(
			parseAllDocuments(text.replaceAll('bgpmesh:latest', imageNames.bgpmesh))
				.map((document) => document.toJS() as Manifest)
				.map((manifest) => adapted(manifest, controlPlane, choice)),
		),
	);
}

/**
 * If the daemon serves Services it needs the API server's real address: the Service's address is
 * not served before it runs.
 */
function adapted(manifest: Manifest, controlPlane: string, choice: DaemonChoice): Manifest {
	if (manifest['kind'] === 'ConfigMap') {
		const data = manifest['data'] as Record<string, string>;
		const shipped = parse(data['bgpmeshd.yaml'] ?? '') as Record<string, Manifest>;
		const chosen = configOf(choice) as Record<string, Manifest>;
		const config = { ...shipped, ...chosen, ebpf: { ...shipped['ebpf'], ...chosen['ebpf'] } };
		return { ...manifest, data: { 'bgpmeshd.yaml': JSON.stringify(config) } };
	}
	if (manifest['kind'] !== 'DaemonSet' || choice.proxy === 'kube-proxy') return manifest;
	const copy = structuredClone(manifest) as { spec: { template: { spec: { containers: Manifest[] } } } };
	for (const container of copy.spec.template.spec.containers)
		container['env'] = [
			...((container['env'] as readonly Manifest[] | undefined) ?? []),
			{ name: 'KUBERNETES_SERVICE_HOST', value: controlPlane },
			{ name: 'KUBERNETES_SERVICE_PORT', value: '6443' },
		];
	return copy as unknown as Manifest;
}

/** The same settings as values of the chart. Pure. */
export function chartValues({ controlPlane }: ClusterTopology, choice: DaemonChoice): readonly string[] {
	const [repository, tag] = imageNames.bgpmesh.split(':');
	const { proxy, dataplane, cgroup } = choice;
	const services = [`--set=apiServer.host=${controlPlane}`, '--set=config.services.proxy=true'];
	const ebpf = ['--set=config.dataplane=ebpf', `--set=config.ebpf.cgroup=${hostFolder(cgroup)}`];
	return [
		`--set=image.repository=${repository},image.tag=${tag}`,
		...(proxy === 'bgpmesh' ? services : []),
		...(dataplane === 'ebpf' ? ebpf : []),
	];
}
