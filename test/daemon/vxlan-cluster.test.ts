import { execFileSync } from 'node:child_process';
import test from 'ava';
import { isObject, type JsonObject, objectAt, textAt } from '../../src/json/index.ts';
import { calicoKinds, coreKinds } from '../../src/kubernetes/index.ts';
import { systemEnvironment } from '../../src/linux/index.ts';
import { KubeNode } from '../support/kube-node.ts';
import { addInterface, enterNewNamespace, ip, noNamespaces } from '../support/namespace.ts';

const kernelTest = noNamespaces === undefined ? test.serial : test.serial.skip;
const note = noNamespaces === undefined ? '' : ` (skipped: ${noNamespaces})`;
const kinds = calicoKinds('crd.projectcalico.org/v1');

const device = (name: string): string => {
	try {
		return ip(`-d addr show ${name}`);
	} catch {
		return '';
	}
};

kernelTest(
	`a node of a cluster gets tunnel addresses of both families by Calico's handles, and FelixConfiguration changes its devices${note}`,
	async (t) => {
		enterNewNamespace();
		addInterface('eth0', ['10.0.1.2/24', 'fd00:1::2/64']);
		const node = new KubeNode('node-a');
		await node.start(t, {
			address: '10.0.1.2/24',
			bgp: '{ asNumber: 64512, listen: { address: 127.0.0.2, port: 1790 }, inSyncTimeoutSeconds: 1 }',
			rest: 'fib: { enabled: true }',
		});
		const { client, daemon } = node;
		const annotationsOf = async (): Promise<JsonObject> =>
			objectAt((await client.get(coreKinds.nodes, 'node-a')) ?? {}, 'metadata', 'annotations');
		// A patch, since the daemon writes annotations of the same Node.
		await client.patch(
			coreKinds.nodes,
			'node-a',
			{ metadata: { annotations: { 'projectcalico.org/IPv6Address': 'fd00:1::2/64' } } },
			'application/merge-patch+json',
		);
		const pool = (cidr: string, blockSize: number): JsonObject => ({
			...{ cidr, blockSize, ipipMode: 'Never', vxlanMode: 'Always', natOutgoing: false, nodeSelector: 'all()' },
		});
		await node.apply(kinds.pools, 'IPPool', 'pods', pool('10.244.0.0/16', 26));
		await node.apply(kinds.pools, 'IPPool', 'pods-v6', pool('fd44::/64', 122));

		const given = await daemon.until('both tunnel addresses are on the Node', annotationsOf, (found) =>
			['IPv4VXLANTunnelAddr', 'IPv6VXLANTunnelAddr'].every((key) => `projectcalico.org/${key}` in found),
		);
		const ipv4 = textAt({ given }, 'given', 'projectcalico.org/IPv4VXLANTunnelAddr') ?? '';
		const ipv6 = textAt({ given }, 'given', 'projectcalico.org/IPv6VXLANTunnelAddr') ?? '';
		t.regex(ipv4, /^10\.244\./);
		t.regex(ipv6, /^fd44::/);
		for (const handle of ['vxlan-tunnel-addr-node-a', 'vxlan-v6-tunnel-addr-node-a']) {
			const found = await client.get(kinds.handles, handle);
			t.true(isObject(found), handle);
		}
		await daemon.until(
			'both devices have their addresses',
			async () => device('vxlan.calico') + device('vxlan-v6.calico'),
			(text) => text.includes(`inet ${ipv4}/32`) && text.includes(`inet6 ${ipv6}/128`),
		);
		t.regex(
			device('vxlan.calico'),
			/mtu 1450[\s\S]*vxlan id 4096 local 10\.0\.1\.2 dev eth0 .*dstport 4789 nolearning/,
		);
		t.regex(
			device('vxlan-v6.calico'),
			/mtu 1430[\s\S]*vxlan id 4096 local fd00:1::2 dev eth0 .*dstport 4789 nolearning/,
		);

		await node.apply(kinds.felixConfigurations, 'FelixConfiguration', 'default', {
			...{ vxlanVNI: 5000, vxlanPort: 8472, vxlanMTU: 1400, vxlanMTUV6: 1380 },
		});
		await daemon.until(
			'both devices follow FelixConfiguration',
			async () => [device('vxlan.calico'), device('vxlan-v6.calico')],
			([four = '', six = '']) =>
				/mtu 1400[\s\S]*vxlan id 5000 .*dstport 8472/.test(four) &&
				/mtu 1380[\s\S]*vxlan id 5000 .*dstport 8472/.test(six),
		);
		const rules = () => execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8', env: systemEnvironment() });
		await daemon.until(
			'the guard follows, too',
			async () => rules(),
			(text) => text.includes('udp dport 8472'),
		);

		// Without the pools the addresses go back.
		await client.remove(kinds.pools, 'pods-v6');
		await daemon.until(
			'the annotation of IPv6 is gone',
			annotationsOf,
			(found) => !('projectcalico.org/IPv6VXLANTunnelAddr' in found),
		);
		await daemon.until(
			'and its handle',
			() => client.get(kinds.handles, 'vxlan-v6-tunnel-addr-node-a'),
			(found) => found === undefined,
		);
		t.true('projectcalico.org/IPv4VXLANTunnelAddr' in (await annotationsOf()));
	},
);
