/** A real kube-proxy (nftables mode) as translator of a `ServiceNode`. */
import { type ChildProcess, execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ipBatch } from '../../../lab/frames/namespaces.ts';
import { startKubeProxy } from '../../../lab/kubernetes/kube-proxy.ts';
import { kubeconfigOf, parseTokenFile, selfSigned, startApiServer } from '../../../src/apiserver/index.ts';
import { at, type JsonObject, textAt } from '../../../src/json/index.ts';
import { ApiClient, coreKinds, loadCredentials, type ResourceKind } from '../../../src/kubernetes/index.ts';
import { systemEnvironment } from '../../../src/linux/index.ts';
import type { PacketCase, PreparedCase } from './cases.ts';
import type { Translator } from './nftables.ts';

const run = promisify(execFile);
/** Between this process's namespace, with the API server, and that of the node. */
const link = { here: '169.254.77.1', there: '169.254.77.2' } as const;
const patienceMs = 60_000;

/** The node of kube-proxy, the same for all cases: kube-proxy ends when its addresses change. */
export interface KubeProxyNode {
	readonly namespace: string;
	readonly name: string;
	readonly labels: Readonly<Record<string, string>>;
	readonly serviceCidrs: readonly string[];
	/** One of each family; IPv4 first. */
	readonly ranges: readonly { readonly podCidr: string; readonly nodePort: string; readonly address: string }[];
}

/** A kind of every cluster from v1.33 on, from which kube-proxy takes the ranges of cluster IPs. */
const serviceCidrDefinition: JsonObject = {
	apiVersion: 'apiextensions.k8s.io/v1',
	kind: 'CustomResourceDefinition',
	metadata: {
		name: 'servicecidrs.networking.k8s.io',
		annotations: { 'api-approved.kubernetes.io': 'unapproved, for a comparison' },
	},
	spec: {
		group: 'networking.k8s.io',
		scope: 'Cluster',
		names: { kind: 'ServiceCIDR', listKind: 'ServiceCIDRList', plural: 'servicecidrs', singular: 'servicecidr' },
		versions: [
			{
				name: 'v1',
				served: true,
				storage: true,
				schema: {
					openAPIV3Schema: {
						type: 'object',
						properties: {
							spec: {
								type: 'object',
								properties: { cidrs: { type: 'array', items: { type: 'string' } } },
							},
						},
					},
				},
			},
		],
	},
};

/**
 * The last of all objects of a round, in each family: what kube-proxy has of it came after the
 * others.
 */
const sentinels = [
	{
		family: 'IPv4',
		table: 'ip',
		clusterIp: '172.30.255.1',
		endpoint: (round: number) => `10.99.${round >> 8}.${round & 255}`,
	},
	{
		family: 'IPv6',
		table: 'ip6',
		clusterIp: 'fd00:10:96::ff01',
		endpoint: (round: number) => `fd00:10::99:${round.toString(16)}`,
	},
] as const;

/**
 * kube-proxy in the namespace of a node, and an API server in this one from which it takes its
 * objects.
 */
export class KubeProxyTranslator implements Translator {
	readonly #node: KubeProxyNode;
	readonly #client: ApiClient;
	readonly #child: ChildProcess;
	readonly #stop: () => Promise<void>;
	#log = '';
	#round = 0;

	private constructor(node: KubeProxyNode, client: ApiClient, child: ChildProcess, stop: () => Promise<void>) {
		this.#node = node;
		this.#client = client;
		this.#child = child;
		this.#stop = stop;
		child.stderr?.setEncoding('utf8').on('data', (text: string) => {
			this.#log = `${this.#log}${text}`.slice(-20_000);
		});
	}

	/**
	 * For a process in a network namespace of its own. @throws Error if kube-proxy is not installed
	 */
	static async start(node: KubeProxyNode): Promise<KubeProxyTranslator> {
		ipBatch([`link add bmkproxy type veth peer name mgmt0 netns ${node.namespace}`]);
		ipBatch([`addr add ${link.here}/30 dev bmkproxy`, 'link set bmkproxy up', 'link set lo up']);
		// kube-proxy looks for the addresses of node ports when it starts, and then rarely.
		const own = node.ranges.map(
			({ address }) => `addr add ${address} dev mgmt0${address.includes(':') ? ' nodad' : ''}`,
		);
		ipBatch([`addr add ${link.there}/30 dev mgmt0`, ...own, 'link set mgmt0 up'], node.namespace);
		const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-kube-proxy-'));
		const certificate = selfSigned('compare', [link.here], Date.now());
		const server = await startApiServer({
			listen: { address: link.here, port: 0 },
			users: parseTokenFile('secret,admin,admin,system:masters\n'),
			certificate,
			serviceCidr: '172.30.0.0/16',
			customDefinitions: [serviceCidrDefinition],
		});
		const kubeconfig = join(folder, 'kubeconfig');
		const entry = { server: server.url, certificate: certificate.cert, token: 'secret' };
		writeFileSync(kubeconfig, JSON.stringify(kubeconfigOf(entry)));
		const client = new ApiClient(await loadCredentials(kubeconfig), Math.random);
		await client.create(coreKinds.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'ns1' } });
		const { name, labels, ranges, serviceCidrs } = node;
		await client.create(coreKinds.serviceCidrs, {
			apiVersion: 'networking.k8s.io/v1',
			kind: 'ServiceCIDR',
			metadata: { name: 'kubernetes' },
			spec: { cidrs: [...serviceCidrs] },
		});
		const made = await client.create(coreKinds.nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name, labels } });
		const addresses = ranges.map(({ address }) => ({ type: 'InternalIP', address }));
		await client.replace(coreKinds.nodes, { ...made, status: { addresses } }, 'status');
		const child = startKubeProxy({
			mode: 'nftables',
			kubeconfig,
			node: name,
			podCidrs: ranges.map(({ podCidr }) => podCidr),
			nodePortAddresses: ranges.map(({ nodePort }) => nodePort),
			folder,
			within: ['ip', 'netns', 'exec', node.namespace],
		});
		return new KubeProxyTranslator(node, client, child, async () => {
			await server.close();
			rmSync(folder, { recursive: true, force: true });
		});
	}

	apply(_prepared: PreparedCase, objects: PacketCase): Promise<void> {
		return this.program(objects);
	}

	/** These Services of the namespace `ns1` and no others are in the kernel afterwards. */
	async program({ services, endpointSlices }: Pick<PacketCase, 'services' | 'endpointSlices'>): Promise<void> {
		for (const kind of [coreKinds.endpointSlices, coreKinds.services]) await this.#removeAll(kind);
		for (const service of services) await this.#createService(service);
		for (const slice of endpointSlices) await this.#client.create(coreKinds.endpointSlices, slice, 'ns1');
		const round = ++this.#round;
		for (const { family, clusterIp, endpoint } of sentinels) {
			const name = `sentinel-${family.toLowerCase()}`;
			const ports = [{ name: 'p', port: 9, protocol: 'TCP' }];
			const metadata = { name, namespace: 'ns1' };
			await this.#createService({
				apiVersion: 'v1',
				kind: 'Service',
				metadata,
				spec: { clusterIP: clusterIp, clusterIPs: [clusterIp], ipFamilies: [family], ports },
			});
			await this.#client.create(
				coreKinds.endpointSlices,
				{
					apiVersion: 'discovery.k8s.io/v1',
					kind: 'EndpointSlice',
					metadata: { ...metadata, labels: { 'kubernetes.io/service-name': name } },
					addressType: family,
					endpoints: [{ addresses: [endpoint(round)], conditions: { ready: true } }],
					ports,
				},
				'ns1',
			);
		}
		for (const { table, endpoint } of sentinels) await this.#until(table, endpoint(round));
	}

	/** No random case has affinity. */
	forgetClients(): Promise<void> {
		return Promise.resolve();
	}

	async close(): Promise<void> {
		const ended = new Promise((resolve) => this.#child.once('exit', resolve));
		if (this.#child.exitCode === null) {
			this.#child.kill('SIGTERM');
			await Promise.race([ended, pause(5000)]);
			if (this.#child.exitCode === null) this.#child.kill('SIGKILL');
		}
		await this.#stop();
	}

	async #createService(service: JsonObject): Promise<void> {
		const made = await this.#client.create(coreKinds.services, service, 'ns1');
		const status = at(service, 'status');
		if (status !== undefined) await this.#client.replace(coreKinds.services, { ...made, status }, 'status');
	}

	async #removeAll(kind: ResourceKind): Promise<void> {
		const { items } = await this.#client.list(kind);
		for (const item of items)
			if (textAt(item, 'metadata', 'namespace') === 'ns1')
				await this.#client.remove(kind, textAt(item, 'metadata', 'name') ?? '', { namespace: 'ns1' });
	}

	async #until(table: string, endpoint: string): Promise<void> {
		const deadline = performance.now() + patienceMs;
		for (;;) {
			const { stdout } = await run(
				'ip',
				['netns', 'exec', this.#node.namespace, 'nft', 'list', 'table', table, 'kube-proxy'],
				{ env: systemEnvironment(), maxBuffer: 64 * 1024 * 1024 },
			).catch(() => ({ stdout: '' }));
			if (stdout.includes(endpoint)) return;
			if (this.#child.exitCode !== null || performance.now() > deadline)
				throw new Error(`kube-proxy has not programmed round ${this.#round}:\n${this.#log}`);
			await pause(20);
		}
	}
}
