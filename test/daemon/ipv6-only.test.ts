import { execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import test from 'ava';
import type { AddressGrantsView, ControlClient } from '../../src/control/index.ts';
import type { ExplanationView } from '../../src/core/index.ts';
import { calicoKinds, coreKinds, toNodeFacts, toResource } from '../../src/kubernetes/index.ts';
import { systemEnvironment } from '../../src/linux/index.ts';
import { RunningDaemon } from '../support/daemon.ts';
import { eventually } from '../support/eventually.ts';
import { startEmptyKubeServer } from '../support/kube-server.ts';
import { enterRouting, ip, ipAt, link, noNamespaces } from '../support/namespace.ts';

const kernelTest = noNamespaces === undefined ? test.serial : test.serial.skip;
const note = noNamespaces === undefined ? '' : ` (skipped: ${noNamespaces})`;
const layout = 'crd.projectcalico.org/v1';
const kinds = calicoKinds(layout);
const addresses = { 'node-a': 'fd00:1::2', 'node-b': 'fd00:1::3' } as const;

/** A new namespace in which IPv6 addresses are usable at once. */
function enterIpv6(): void {
	enterRouting();
	writeFileSync('/proc/sys/net/ipv6/conf/default/accept_dad', '0');
}

for (const vxlanMode of ['Never', 'Always'] as const)
	kernelTest(
		`two nodes with only IPv6 addresses, vxlanMode ${vxlanMode}: annotations, router ID by hash, sessions, addresses, routes and packets over IPv6${note}`,
		async (t) => {
			enterIpv6();
			const holder = spawn('sleep', ['600'], { stdio: 'ignore', env: systemEnvironment() });
			t.teardown(() => holder.kill());
			const far = holder.pid ?? 0;
			enterIpv6();
			link(far, ['eth1', `${addresses['node-a']}/64`], ['eth0', `${addresses['node-b']}/64`]);
			const [near, distant] = [new RunningDaemon(), new RunningDaemon()];
			const { kubeconfig, client } = await startEmptyKubeServer(t, near.folder, addresses['node-a']);
			for (const [name, address] of Object.entries(addresses))
				await client.create(coreKinds.nodes, {
					apiVersion: 'v1',
					kind: 'Node',
					metadata: { name },
					status: { addresses: [{ type: 'InternalIP', address }] },
				});
			// The IPv4 pool serves the nodes, too: neither pods nor tunnels may get its addresses.
			for (const [name, cidr, blockSize] of [
				['pods4', '10.20.0.0/16', 26],
				['pods6', 'fd20::/112', 122],
			] as const)
				await client.create(kinds.pools, {
					apiVersion: layout,
					kind: 'IPPool',
					metadata: { name },
					spec: {
						cidr,
						blockSize,
						nodeSelector: 'all()',
						...(name === 'pods4' ? { ipipMode: 'Always' } : { vxlanMode }),
					},
				});
			await client.create(kinds.bgpConfigurations, {
				apiVersion: layout,
				kind: 'BGPConfiguration',
				metadata: { name: 'default' },
				spec: { asNumber: 64512, nodeToNodeMeshEnabled: true },
			});
			const nodes = [
				{ name: 'node-a', daemon: near },
				{ name: 'node-b', daemon: distant },
			];
			for (const { name, daemon } of nodes)
				writeFileSync(
					daemon.configFile,
					`node: ${name}\ndatastore: { type: kubernetes, kubeconfig: ${kubeconfig} }\nbgp: { asNumber: 64512, inSyncTimeoutSeconds: 1 }\ncontrol: { socket: ${daemon.socket} }\nlog: { format: text }\n`,
				);
			distant.runAs(['nsenter', '-t', String(far), '-n'], 0);
			await Promise.all(nodes.map(({ daemon }) => daemon.start(t)));
			for (const { daemon } of nodes) t.is(daemon.exitCode, undefined, daemon.log);

			const pods: string[] = [];
			for (const { name, daemon } of nodes) {
				await daemon.until(
					'the session is up',
					(control) => control.ask('peers', {}),
					({ peers }) => peers.length === 1 && peers[0]?.state === 'established',
				);
				await daemon.until(
					'addresses can be given',
					(control) => control.ask('cniStatus', {}).catch(() => ({ ready: false })),
					({ ready }) => ready,
				);
				const { addresses: given } = (await daemon.until(
					'an address is given',
					(control: ControlClient) => control.ask('cniAdd', { request: add(name) }),
					() => true,
				)) as AddressGrantsView;
				t.deepEqual(
					given.map(({ family }) => family),
					['ipv6'],
				);
				pods.push(given[0]?.address ?? '');
			}
			const [podA = '', podB = ''] = pods;
			// sha256('node-a') begins with 66 57 0f f0.
			t.is(
				(
					await near.until(
						'status',
						(control) => control.ask('status', {}),
						() => true,
					)
				).routerId,
				'102.87.15.240',
			);
			for (const { name } of nodes) {
				const facts = toNodeFacts(toResource((await client.get(coreKinds.nodes, name)) ?? {}));
				t.is(facts.ipv6?.address, addresses[name as keyof typeof addresses]);
				t.is(facts.ipv4, undefined);
				t.is(facts.tunnelAddresses.ipip, undefined);
			}
			const tunnel = /via fd20::\S+ dev vxlan-v6\.calico .*onlink/;
			const routes = () => ipAt(far, '-6 route show proto 80');
			const isThere = (shown: string, direct: string) =>
				vxlanMode === 'Never' ? shown.includes(direct) : tunnel.test(shown);
			await eventually('the far kernel has the route', () => isThere(routes(), 'via fd00:1::2 dev eth0'), 60);
			await eventually(
				'this kernel has the route back',
				() => isThere(ip('-6 route show proto 80'), 'via fd00:1::3 dev eth1'),
				60,
			);
			t.notRegex(routes(), /unreachable/);
			t.is(ipAt(far, '-4 route show proto 80').trim(), '');
			const { prefix, address, paths } = (await distant.ask('explain', podA)) as ExplanationView;
			t.is(address?.block, prefix);
			t.like(address, { address: podA, pool: 'fd20::/112', node: 'node-a', pod: 'default/pod-of-node-a' });
			t.like(paths[0], { best: true, nextHop: 'fd00:1::2' });
			// A packet from pod to pod; their addresses are on the loopback of the nodes.
			ip(`addr add ${podA}/128 dev lo nodad`);
			ipAt(far, `addr add ${podB}/128 dev lo nodad`);
			const ping = () =>
				execFileSync('nsenter', ['-t', String(far), '-n', 'ping', '-6', '-c', '1', '-W', '5', '-I', podB, podA], {
					encoding: 'utf8',
					env: systemEnvironment(),
				});
			t.regex(ping(), /1 received/);
			t.deepEqual(
				(
					await near.until(
						'problems',
						(control) => control.ask('status', {}),
						() => true,
					)
				).problems ?? [],
				[],
			);
		},
	);

const add = (name: string) => ({
	network: 'pods',
	containerId: `container-of-${name}`,
	ifname: 'eth0',
	pod: { namespace: 'default', name: `pod-of-${name}` },
	families: ['ipv4', 'ipv6'],
	ipv4Pools: [],
	ipv6Pools: [],
});
