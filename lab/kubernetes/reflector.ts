import { setTimeout as pause } from 'node:timers/promises';
import { run } from '../commands.ts';
import { binary } from './binaries.ts';
import type { Checks } from './checks.ts';
import type { RealCluster } from './cluster.ts';
import type { ClusterTopology } from './topology.ts';
import type { Worker } from './worker.ts';

const label = 'bgpmesh.io/route-reflector';
const inSystem = ['-n', 'kube-system'] as const;

/**
 * The definition of the Prometheus operator's ServiceMonitor, without its schema: the operator is
 * not part of the cluster.
 */
const monitorDefinition = JSON.stringify({
	apiVersion: 'apiextensions.k8s.io/v1',
	kind: 'CustomResourceDefinition',
	metadata: { name: 'servicemonitors.monitoring.coreos.com' },
	spec: {
		group: 'monitoring.coreos.com',
		scope: 'Namespaced',
		names: { kind: 'ServiceMonitor', plural: 'servicemonitors', singular: 'servicemonitor' },
		versions: [
			{
				name: 'v1',
				served: true,
				storage: true,
				schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
			},
		],
	},
});

/** Reserves a node for a route reflector: no DaemonSet pod, no other pods. */
export async function reserveForReflector({ controlPlane }: RealCluster, { name }: Worker): Promise<void> {
	await controlPlane.kubectl(['taint', 'node', name, `${label}=:NoExecute`]);
	await controlPlane.kubectl(['label', 'node', name, `${label}=`]);
	await controlPlane.kubectl([...inSystem, 'rollout', 'status', 'deployment/coredns', '--timeout=180s']);
}

/**
 * The optional parts of the chart: a route reflector on a node of its own, and a ServiceMonitor
 * with the Service that it selects. `clients`: the nodes with the DaemonSet.
 */
export async function checkOptionalParts(
	cluster: RealCluster,
	topology: ClusterTopology,
	checks: Checks,
	{ clients, reflector }: { readonly clients: readonly Worker[]; readonly reflector: Worker },
): Promise<void> {
	const { controlPlane } = cluster;
	const { asNumber, racks, nodes } = topology;
	const address = nodes.find(({ name }) => name === reflector.name)?.address ?? '';
	const addresses = nodes
		.filter(({ name }) => clients.some((client) => client.name === name))
		.map((node) => node.address);
	await checks.check('the node of the reflector has no pod of the DaemonSet', async () => {
		const field = `--field-selector=spec.nodeName=${reflector.name}`;
		return none(await controlPlane.kubectl([...inSystem, 'get', 'pods', '-l', 'app=bgpmesh', field, '-o', 'name']));
	});
	await checks.check('helm upgrade adds a reflector and a ServiceMonitor', async () => {
		await controlPlane.kubectl(['apply', '-f', '-'], monitorDefinition);
		await controlPlane.kubectl(['wait', 'crd', '--all', '--for=condition=Established', '--timeout=60s']);
		const clientPrefixes = racks.map(({ router, length }) => router.replace(/\d+$/, `0/${length}`));
		await cluster.helm([
			'upgrade',
			'--reuse-values',
			`--set=reflector.enabled=true,reflector.replicas=1,reflector.asNumber=${asNumber}`,
			`--set=reflector.clients={${clientPrefixes.join(',')}}`,
			'--set=serviceMonitor.enabled=true',
			'--wait',
			'--timeout=5m',
		]);
		await controlPlane.kubectl([...inSystem, 'get', 'servicemonitor', 'bgpmesh']);
		return undefined;
	});
	await checks.check('each node has a session with the reflector, which has the blocks of all', async () => {
		const peer = {
			apiVersion: 'crd.projectcalico.org/v1',
			kind: 'BGPPeer',
			metadata: { name: 'reflector' },
			spec: { peerIP: address, asNumber },
		};
		await controlPlane.kubectl(['apply', '-f', '-'], JSON.stringify(peer));
		const command = ['exec', 'deployment/bgpmesh-reflector', '--', 'bgpmesh', 'status', '--json'];
		return eventually(async () => {
			const { stdout, stderr } = await controlPlane.try([...inSystem, ...command]);
			if (stdout === '') return stderr.trim();
			const { peers, rib } = JSON.parse(stdout) as {
				readonly peers: { readonly established: number };
				readonly rib: { readonly prefixes: { readonly ipv4: number } };
			};
			const { length } = clients;
			if (peers.established === length && rib.prefixes.ipv4 >= length) return undefined;
			return `${peers.established} sessions, ${rib.prefixes.ipv4} prefixes`;
		});
	});
	await checks.check('the Service of the ServiceMonitor has the metrics of each node', async () => {
		const found = await controlPlane.kubectl([
			...[...inSystem, 'get', 'endpointslices', '-l', 'kubernetes.io/service-name=bgpmesh-metrics'],
			...['-o', 'jsonpath={.items[*].endpoints[*].addresses[*]}'],
		]);
		const listed = found.trim().split(/\s+/).sort();
		if (listed.join() !== [...addresses].sort().join()) return `endpoints: ${listed.join(', ')}`;
		const [program = '', ...within] = cluster.withinRouter;
		for (const each of listed) {
			const url = `http://${each}:9179/metrics`;
			const { stdout } = await run(program, [...within, binary('curl'), '-s', '--max-time', '5', url]);
			if (!stdout.includes('bgpmesh_')) return `${url}: ${stdout.slice(0, 200)}`;
		}
		return undefined;
	});
	await checks.check('helm upgrade removes both again', async () => {
		await controlPlane.kubectl(['delete', 'bgppeer', 'reflector']);
		const off = '--set=reflector.enabled=false,serviceMonitor.enabled=false';
		await cluster.helm(['upgrade', '--reuse-values', off, '--wait', '--timeout=5m']);
		const kinds = 'deployment/bgpmesh-reflector,servicemonitor/bgpmesh,service/bgpmesh-metrics'.split(',');
		return none(await controlPlane.kubectl([...inSystem, 'get', ...kinds, '--ignore-not-found', '-o', 'name']));
	});
}

const none = (names: string): string | undefined => (names.trim() === '' ? undefined : `${names.trim()} is left`);

/** Asks for a minute until there is no complaint. */
async function eventually(ask: () => Promise<string | undefined>): Promise<string | undefined> {
	for (const end = performance.now() + 60_000; ; ) {
		const complaint = await ask();
		if (complaint === undefined || performance.now() > end) return complaint;
		await pause(1000);
	}
}
