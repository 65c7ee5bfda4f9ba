import { execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import test from 'ava';
import type { AddressGrantsView } from '../../src/control/index.ts';
import { calicoKinds, coreKinds } from '../../src/kubernetes/index.ts';
import { systemEnvironment } from '../../src/linux/index.ts';
import { RunningDaemon } from '../support/daemon.ts';
import { eventually } from '../support/eventually.ts';
import { startEmptyKubeServer } from '../support/kube-server.ts';
import { enterRouting, ip, ipAt, link, noNamespaces, watchDeletions } from '../support/namespace.ts';
import { calicoNode, missingFelix, startFelix } from './felix.ts';

const obstacle = noNamespaces ?? missingFelix();
if (obstacle !== undefined) console.warn(`SKIPPED: a node of ours beside a node with Felix: ${obstacle}`);
const felixTest = obstacle === undefined ? test.serial : test.serial.skip;

const layout = 'crd.projectcalico.org/v1';
const kinds = calicoKinds(layout);
/** The block and an address of a pod of the node with Felix, from IPAM objects that Calico's plugin would write. */
const felixBlock = '10.50.1.0/26';
const felixPod = '10.50.1.5';
const felixTunnel = '10.50.1.0';

felixTest(
	'a node of ours and a node with Felix exchange packets over VXLAN, and no route is removed again',
	async (t) => {
		t.timeout(300_000);
		enterRouting();
		const holder = spawn('sleep', ['600'], { stdio: 'ignore', env: systemEnvironment() });
		t.teardown(() => holder.kill());
		const far = holder.pid ?? 0;
		enterRouting();
		// The namespace of Felix is `far`, ours is this one.
		link(far, ['eth1', '10.8.0.2/24'], ['eth0', '10.8.0.1/24']);
		const node = new RunningDaemon();
		const { kubeconfig, client } = await startEmptyKubeServer(t, node.folder, '10.8.0.2');
		const ofNode = (name: string, annotations: Readonly<Record<string, string>>) =>
			client.create(coreKinds.nodes, calicoNode(name, annotations));
		await ofNode('felix', { IPv4Address: '10.8.0.1/24', IPv4VXLANTunnelAddr: felixTunnel });
		await ofNode('ours', { IPv4Address: '10.8.0.2/24' });
		const create = (kind: keyof typeof kinds, apiKind: string, name: string, spec: object) =>
			client.create(kinds[kind], { apiVersion: layout, kind: apiKind, metadata: { name }, spec: { ...spec } });
		await create('pools', 'IPPool', 'pods', {
			cidr: '10.50.0.0/16',
			blockSize: 26,
			ipipMode: 'Never',
			vxlanMode: 'Always',
			nodeSelector: 'all()',
		});
		await create('affinities', 'BlockAffinity', 'felix-10-50-1-0-26', {
			cidr: felixBlock,
			deleted: 'false',
			node: 'felix',
			state: 'confirmed',
		});
		await create('blocks', 'IPAMBlock', '10-50-1-0-26', {
			affinity: 'host:felix',
			cidr: felixBlock,
			deleted: false,
			strictAffinity: false,
			allocations: Array.from({ length: 64 }, (_, ordinal) => ({ 0: 0, 5: 1 })[ordinal] ?? null),
			attributes: [
				{ handle_id: 'vxlan-tunnel-addr-felix', secondary: { node: 'felix', type: 'vxlanTunnelAddress' } },
				{ handle_id: 'pods.one', secondary: { node: 'felix', namespace: 'default', pod: 'one' } },
			],
			unallocated: Array.from({ length: 64 }, (_, ordinal) => ordinal).filter(
				(ordinal) => ordinal !== 0 && ordinal !== 5,
			),
		});
		await create('felixConfigurations', 'FelixConfiguration', 'default', { vxlanEnabled: true, ipipEnabled: false });
		await create('clusterInformations', 'ClusterInformation', 'default', { datastoreReady: true });
		writeFileSync(
			node.configFile,
			`node: ours\ndatastore: { type: kubernetes, kubeconfig: ${kubeconfig} }\ncontrol: { socket: ${node.socket} }\nlog: { format: text }\n`,
		);
		const felix = startFelix(far, 'felix', kubeconfig);
		t.teardown(() => felix.child.kill('SIGKILL'));
		await node.start(t);
		await node.until(
			'addresses can be given',
			(control) => control.ask('cniStatus', {}).catch(() => ({ ready: false })),
			({ ready }) => ready,
		);
		const request = {
			network: 'pods',
			containerId: 'two',
			ifname: 'eth0',
			pod: { namespace: 'default', name: 'two' },
			families: ['ipv4' as const],
			ipv4Pools: [],
			ipv6Pools: [],
			gateways: [],
		};
		const { addresses } = (await node.until(
			'an address is given',
			(control) => control.ask('cniAdd', { request }),
			() => true,
		)) as AddressGrantsView;
		const ourPod = addresses[0]?.address ?? '';

		await eventually('our kernel has the route to the block of Felix', () =>
			ip('route show proto 80').includes(`${felixBlock} via ${felixTunnel} dev vxlan.calico`),
		);
		await eventually(
			`Felix has the route to our block:\n${felix.log()}`,
			() => /10\.50\.\S+\/26 via \S+ dev vxlan\.calico onlink/.test(ipAt(far, 'route show')),
			60,
		);
		const deletions = watchDeletions(t);
		// The addresses of the pods are on the loopback of the nodes.
		ip(`addr add ${ourPod}/32 dev lo`);
		ipAt(far, `addr add ${felixPod}/32 dev lo`);
		const before = [ip('route show'), ipAt(far, 'route show')];
		const ping = (from: string, to: string, enter: readonly string[] = []) => {
			const [command = '', ...args] = [...enter, 'ping', '-c', '5', '-i', '0.2', '-W', '3', '-I', from, to];
			return execFileSync(command, args, { encoding: 'utf8', env: systemEnvironment() });
		};
		t.regex(ping(ourPod, felixPod), / 5 received/);
		t.regex(ping(felixPod, ourPod, ['nsenter', '-t', String(far), '-n']), / 5 received/);
		t.true(Number(/RX:.*\n\s+\d+\s+(\d+)/.exec(ipAt(far, '-s link show dev vxlan.calico'))?.[1]) >= 10, 'over VXLAN');
		// Neither agent changes what the other one wrote.
		await pause(15_000);
		t.deepEqual([ip('route show'), ipAt(far, 'route show')], before);
		t.deepEqual(deletions(), []);
		t.is(felix.child.exitCode, null, felix.log());
	},
);
