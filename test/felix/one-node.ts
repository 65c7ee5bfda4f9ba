import { writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import test from 'ava';
import type { StatusView } from '../../src/control/index.ts';
import type { JsonObject } from '../../src/json/index.ts';
import { calicoKinds, coreKinds } from '../../src/kubernetes/index.ts';
import { RunningDaemon } from '../support/daemon.ts';
import { eventually } from '../support/eventually.ts';
import { startEmptyKubeServer } from '../support/kube-server.ts';
import { enterRouting, ip, link, noNamespaces, watchDeletions } from '../support/namespace.ts';
import { missingFelix, packagedFelix, startFelix } from './felix.ts';

const obstacle = noNamespaces ?? missingFelix();
if (obstacle !== undefined) console.warn(`SKIPPED: Felix and our daemon on one node: ${obstacle}`);
const felixTest = obstacle === undefined ? test.serial : test.serial.skip;

const layout = 'crd.projectcalico.org/v1';
const kinds = calicoKinds(layout);
const vxlanBlock = '10.50.1.0/26';

/** An IPAMBlock with the tunnel address of its node. */
const block = (node: string, cidr: string): JsonObject => ({
	affinity: `host:${node}`,
	cidr,
	deleted: false,
	strictAffinity: false,
	allocations: Array.from({ length: 64 }, (_, ordinal) => (ordinal === 0 ? 0 : null)),
	attributes: [{ handle_id: `vxlan-tunnel-addr-${node}`, secondary: { node, type: 'vxlanTunnelAddress' } }],
	unallocated: Array.from({ length: 63 }, (_, index) => index + 1),
});

/** One test: in one process the second of two would start among the namespaces of the first. */
export function testOneNode(way: 'pod' | 'service'): void {
	felixTest(
		`Felix as a ${way} and our daemon on one node: each keeps its own routes, and none is removed`,
		async (t) => {
			t.timeout(300_000);
			// Another node with a BGP speaker.
			enterRouting();
			const far = new RunningDaemon();
			far.configure(
				[
					'asNumber: 64512',
					'routerId: 10.8.0.1',
					'listen: { address: 0.0.0.0, port: 179 }',
					'peers: [ { name: both, address: 10.8.0.2, asNumber: 64512, connectRetrySeconds: 1 } ]',
					'originate: [ 10.60.1.0/26 ]',
				].join('\n'),
			);
			await far.start(t);
			enterRouting();
			link(far.pid, ['eth1', '10.8.0.2/24'], ['eth0', '10.8.0.1/24']);
			const node = new RunningDaemon();
			const { kubeconfig, client } = await startEmptyKubeServer(t, node.folder, '10.8.0.2');
			for (const [name, address, tunnel] of [
				['far', '10.8.0.1/24', '10.50.1.0'],
				['both', '10.8.0.2/24', '10.50.2.0'],
			] as const)
				await client.create(coreKinds.nodes, {
					apiVersion: 'v1',
					kind: 'Node',
					metadata: {
						name,
						labels: { 'kubernetes.io/hostname': name },
						annotations: {
							'projectcalico.org/IPv4Address': address,
							'projectcalico.org/IPv4VXLANTunnelAddr': tunnel,
						},
					},
				});
			const create = (kind: keyof typeof kinds, apiKind: string, name: string, spec: JsonObject) =>
				client.create(kinds[kind], { apiVersion: layout, kind: apiKind, metadata: { name }, spec });
			const pool = { blockSize: 26, ipipMode: 'Never', nodeSelector: 'all()' };
			await create('pools', 'IPPool', 'vxlan', { ...pool, cidr: '10.50.0.0/16', vxlanMode: 'CrossSubnet' });
			await create('pools', 'IPPool', 'plain', { ...pool, cidr: '10.60.0.0/16', vxlanMode: 'Never' });
			for (const [name, owner, cidr] of [
				['far-10-50-1-0-26', 'far', vxlanBlock],
				['both-10-50-2-0-26', 'both', '10.50.2.0/26'],
				['both-10-60-2-0-26', 'both', '10.60.2.0/26'],
			] as const) {
				await create('affinities', 'BlockAffinity', name, { cidr, deleted: 'false', node: owner, state: 'confirmed' });
				await create('blocks', 'IPAMBlock', name.replace(/^[a-z]+-/, ''), block(owner, cidr));
			}
			await create('felixConfigurations', 'FelixConfiguration', 'default', {
				...{ vxlanEnabled: true, ipipEnabled: false, programClusterRoutes: 'Disabled' },
			});
			await create('bgpConfigurations', 'BGPConfiguration', 'default', {
				asNumber: 64512,
				programClusterRoutes: 'Enabled',
			});
			await create('clusterInformations', 'ClusterInformation', 'default', { datastoreReady: true });
			// A service of the host has no pod: the daemon detects its process.
			if (way === 'pod')
				await client.create(
					coreKinds.pods,
					{
						apiVersion: 'v1',
						kind: 'Pod',
						metadata: { name: 'calico-node-x', namespace: 'kube-system', labels: { 'k8s-app': 'calico-node' } },
						spec: { nodeName: 'both', containers: [{ name: 'calico-node', image: 'calico/node' }] },
					},
					'kube-system',
				);
			writeFileSync(
				node.configFile,
				`node: both\ndatastore: { type: kubernetes, kubeconfig: ${kubeconfig} }\ncontrol: { socket: ${node.socket} }\nlog: { format: text }\n`,
			);
			const settings = { FELIX_ROUTEREFRESHINTERVAL: '5' };
			const felix =
				way === 'pod'
					? startFelix(process.pid, 'both', kubeconfig, settings)
					: startFelix(process.pid, 'both', kubeconfig, settings, packagedFelix(node.folder));
			t.teardown(() => felix.child.kill('SIGKILL'));
			await eventually('Felix has its routes', () => ip('route show').includes(vxlanBlock), 60).catch(
				(error: unknown) => {
					throw new Error(
						[error, ip('route show'), `exit ${felix.child.exitCode}`, felix.log()].map(String).join('\n'),
					);
				},
			);
			await node.start(t);
			const ours = () =>
				ip('route show proto 81')
					.split('\n')
					.map((line) => line.trim())
					.filter((line) => line !== '')
					.sort();
			await eventually('our routes are there', () => ours().length >= 2, 60);
			await eventually('and Felix has its own', () => ip('route show').includes('blackhole 10.50.2.0/26 proto 80'), 60);
			t.deepEqual(ours(), ['10.60.1.0/26 via 10.8.0.1 dev eth1 metric 1024', 'blackhole 10.60.2.0/26 metric 1024']);
			const before = ip('route show');
			t.regex(
				before,
				/10\.50\.1\.0\/26 via 10\.8\.0\.1 dev eth1 proto 80 onlink/,
				'the pool with VXLAN is left to Felix',
			);
			const { fib } = (await node.ask('status')) as StatusView;
			t.like(fib.marks, { protocol: 81, table: 254, metric: 1024 });
			t.regex(fib.marks?.protocolReason ?? '', /Felix runs on this node/);
			const deletions = watchDeletions(t, [80, 81]);
			// Felix compares its routes with the kernel's every 5 s, here.
			await pause(20_000);
			t.deepEqual(deletions(), []);
			t.is(ip('route show'), before);
			t.is((await node.cli('fib', '--diff')).code, 0);
			t.is(felix.child.exitCode, null, felix.log());
		},
	);
}
