import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { TestFn } from 'ava';
import type { PeersView } from '../../src/control/index.ts';
import { calicoKinds, coreKinds } from '../../src/kubernetes/index.ts';
import { connect, kubeconfig } from '../kubernetes/contract/cluster.ts';
import type { ServerUnderTest } from '../kubernetes/contract/transcript.ts';
import { RunningDaemon } from '../support/daemon.ts';
import { CalicoDriver, calicoctl, commands } from './calico.ts';

const layout = 'crd.projectcalico.org/v1';
const kinds = calicoKinds(layout);
const node = 'both';
const ours = join(resolve(fileURLToPath(import.meta.url), '../../../..'), 'bin/bgpmesh-ipam.js');

/** A node with our daemon and both CNI plugins. */
export function testDaemon(test: TestFn, getServer: () => ServerUnderTest, folder: string): void {
	test.serial(
		"both CNI plugins on a node release each other's addresses, and the daemon announces and counts those of Calico's plugin",
		async (t) => {
			const api = await connect(getServer(), folder);
			const file = kubeconfig(getServer(), folder);
			const address = `127.${1 + (process.pid % 250)}.8.1`;
			const port = 20_000 + (process.pid % 20_000);
			await api.create(kinds.pools, {
				apiVersion: layout,
				kind: 'IPPool',
				metadata: { name: 'both' },
				spec: { cidr: '10.76.0.0/24', blockSize: 28, nodeSelector: 'all()' },
			});
			await api.create(coreKinds.nodes, {
				apiVersion: 'v1',
				kind: 'Node',
				metadata: { name: node, annotations: { 'projectcalico.org/IPv4Address': `${address}/8` } },
			});
			const daemon = new RunningDaemon();
			writeFileSync(
				daemon.configFile,
				`node: ${node}\ndatastore: { type: kubernetes, kubeconfig: ${file} }\nbgp: { asNumber: 64512, listen: { address: ${address}, port: ${port} } }\nfib: { enabled: false }\nipam: { garbageCollection: on }\ncontrol: { socket: ${daemon.socket} }\nlog: { format: text }\n`,
			);
			/** The result of ADD; `undefined` for DEL. */
			const plugin = async (
				whose: 'ours' | 'theirs',
				verb: 'ADD' | 'DEL',
				container: string,
				ifname = 'eth0',
			): Promise<string> => {
				const common = { cniVersion: '1.0.0', name: 'k8s-pod-network' };
				const configuration =
					whose === 'ours'
						? { ...common, ipam: { type: 'bgpmesh-ipam', socket: daemon.socket } }
						: {
								...common,
								type: 'calico',
								nodename: node,
								datastore_type: 'kubernetes',
								kubernetes: { kubeconfig: file },
								ipam: { type: 'calico-ipam' },
								ipam_lock_file: join(daemon.folder, 'ipam.lock'),
								log_file_path: join(daemon.folder, 'calico-cni.log'),
							};
				const child = spawn(whose === 'ours' ? process.execPath : commands.plugin, whose === 'ours' ? [ours] : [], {
					env: {
						CNI_COMMAND: verb,
						CNI_CONTAINERID: container,
						CNI_IFNAME: ifname,
						CNI_NETNS: '/var/run/netns/none',
						CNI_PATH: '/none',
						CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${container}`,
					},
					stdio: ['pipe', 'pipe', 'ignore'],
				});
				child.stdin.end(JSON.stringify(configuration));
				return text(child.stdout);
			};
			const addressOf = (answer: string): string => /"address": ?"(10\.76\.[\d.]+)\/\d+"/.exec(answer)?.[1] ?? answer;

			// An address that Calico assigned before our daemon's start is announced from the start
			// on.
			const first = addressOf(await plugin('theirs', 'ADD', 'first'));
			t.regex(first, /^10\.76\.0\.\d+$/);
			await daemon.start(t);
			const block = `10.76.0.${Number(first.split('.')[3]) & ~15}/28`;
			t.regex((await daemon.cli('routes')).stdout, new RegExp(block.replaceAll('.', '\\.')));
			t.regex((await daemon.cli('ipam', 'show', '--ip', first)).stdout, /is in use[\s\S]*pod +first/);

			const second = addressOf(await plugin('ours', 'ADD', 'second'));
			t.regex(second, /^10\.76\.0\.\d+$/);
			t.not(second, first);
			// A container with an address from Calico's plugin keeps it.
			t.is(addressOf(await plugin('ours', 'ADD', 'first')), first);
			t.regex((await calicoctl(file, ['ipam', 'show', `--ip=${second}`])).stdout, /is in use[\s\S]*second/);
			const pods = ['first', 'second'];
			for (const name of pods) {
				const spec = { nodeName: node, containers: [{ name: 'c', image: 'c' }] };
				await api.create(coreKinds.pods, { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec }, 'default');
			}
			t.regex((await daemon.cli('ipam', 'check')).stdout, /Everything agrees\./);
			for (const name of pods) await api.remove(coreKinds.pods, name, { namespace: 'default' });

			t.is(await plugin('ours', 'DEL', 'first'), '');
			t.is(await plugin('theirs', 'DEL', 'second'), '');
			t.is((await daemon.cli('ipam', 'show', '--ip', first)).code, 1);
			t.regex((await calicoctl(file, ['ipam', 'show', `--ip=${second}`])).stdout, /not assigned/);

			// In Calico, two interfaces of a container in one network are one handle with two
			// addresses.
			const one = addressOf(await plugin('ours', 'ADD', 'pair'));
			const other = addressOf(await plugin('ours', 'ADD', 'pair', 'net1'));
			t.not(one, other);
			t.is(addressOf(await plugin('ours', 'ADD', 'pair', 'net1')), other);
			for (const each of [one, other])
				t.regex((await calicoctl(file, ['ipam', 'show', `--ip=${each}`])).stdout, /is in use[\s\S]*pair/);
			t.is(await plugin('ours', 'DEL', 'pair', 'net1'), '');
			t.regex((await calicoctl(file, ['ipam', 'show', `--ip=${one}`])).stdout, /is in use/);
			const third = addressOf(await plugin('ours', 'ADD', 'pair', 'net1'));
			t.regex(third, /^10\.76\.0\.\d+$/);
			const { stdout: checked } = await calicoctl(file, ['ipam', 'check', '--show-all-ips']);
			t.regex(checked, /ifname=net1[\s\S]*Found 0 handles with no matching IPs \(and 1 handles with matches\)/);
			// Its DEL of one interface releases both.
			t.is(await plugin('theirs', 'DEL', 'pair', 'net1'), '');
			for (const each of [one, third])
				t.regex((await calicoctl(file, ['ipam', 'show', `--ip=${each}`])).stdout, /not assigned/);
			t.regex((await calicoctl(file, ['ipam', 'check'])).stdout, /found 0 problems/);

			// A pod of Calico's plugin that was removed without DEL.
			const calico = new CalicoDriver(t, file);
			const attrs = { node, pod: 'gone', namespace: 'default', timestamp: '2026-01-01 00:00:00 +0000 UTC' };
			const [lost] = (
				await calico.must({
					op: 'autoAssign',
					node,
					handle: 'k8s-pod-network.gone',
					num4: 1,
					pools4: ['10.76.0.0/24'],
					attrs,
				})
			).ips;
			const dry = await daemon.cli('ipam', 'gc', '--dry-run');
			t.regex(dry.stdout, /k8s-pod-network\.gone/, dry.stdout + dry.stderr);
			t.regex((await calicoctl(file, ['ipam', 'check', '--show-problem-ips'])).stdout, new RegExp(`${lost} leaked`));
			t.is((await daemon.cli('ipam', 'release', '--handle', 'k8s-pod-network.gone')).code, 0);
			t.regex((await calicoctl(file, ['ipam', 'check'])).stdout, /found 0 problems/);

			// A neighbour added with calicoctl is used.
			const peer =
				'apiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata: { name: both }\nspec: { peerIP: 127.0.0.99, asNumber: 4200000001, node: both }\n';
			t.is((await calicoctl(file, ['apply', '-f', '-'], peer)).code, 0);
			await daemon.until(
				'the neighbour is there',
				(one) => one.ask('peers', {}),
				({ peers }: PeersView) =>
					peers.some(({ address: of, asNumber }) => of === '127.0.0.99' && asNumber === 4200000001),
			);
			daemon.signal('SIGTERM');
			await daemon.ended();
			await calicoctl(file, ['delete', 'bgppeer', 'both']);
			await calico.must({ op: 'releaseHostAffinities', node, empty: true });
			await api.remove(kinds.pools, 'both');
			await api.remove(coreKinds.nodes, node);
		},
	);
}
