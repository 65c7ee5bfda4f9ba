import test from 'ava';
import { ControlClient } from '../../src/control/index.ts';
import { calicoKinds, coreKinds } from '../../src/kubernetes/index.ts';
import { eventually } from '../support/eventually.ts';
import { KubeNode } from '../support/kube-node.ts';

test('a stopping daemon releases the address of a pod whose deletion has begun', async (t) => {
	const pod = {
		apiVersion: 'v1',
		kind: 'Pod',
		metadata: { name: 'web-0', namespace: 'default' },
		spec: { nodeName: 'a', containers: [{ name: 'web', image: 'web' }] },
	};
	const node = await new KubeNode('a').start(t, {
		address: '192.0.2.1/24',
		bgp: `{ asNumber: 64512, listen: { address: 127.${1 + (process.pid % 250)}.9.1, port: ${20_000 + (process.pid % 20_000)} } }`,
		rest: 'fib: { enabled: false }',
		pods: [pod],
	});
	const layout = 'crd.projectcalico.org/v1';
	await node.apply(calicoKinds(layout).pools, 'IPPool', 'pods', {
		cidr: '10.77.0.0/16',
		blockSize: 26,
		nodeSelector: 'all()',
	});
	const { daemon, client } = node;
	await daemon.until(
		'addresses can be given',
		(asked) => asked.ask('cniStatus', {}).catch(() => ({ ready: false })),
		({ ready }) => ready,
	);
	const control = new ControlClient(daemon.socket);
	const attachment = {
		network: 'pods',
		containerId: 'c1',
		ifname: 'eth0',
		pod: { name: 'web-0', namespace: 'default', uid: undefined },
	};
	const { addresses } = await control.ask('cniAdd', {
		request: { ...attachment, families: ['ipv4'], ipv4Pools: [], ipv6Pools: [] },
	});
	const [{ address } = { address: '' }] = addresses;
	await client.patch(
		coreKinds.pods,
		'web-0',
		{ status: { podIP: address, podIPs: [{ ip: address }] } },
		'application/merge-patch+json',
		{ namespace: 'default', subresource: 'status' },
	);
	// No kubelet confirms the end of its containers: the pod stays in deletion.
	await client.remove(coreKinds.pods, 'web-0', { namespace: 'default' });

	daemon.signal('SIGUSR2');
	await eventually('the daemon waits', () => daemon.log.includes('stopping after the deletion of pods'), 30);
	t.deepEqual((await control.ask('cniDelete', { request: attachment })).addresses, [address]);
	await daemon.ended();
	t.is(daemon.exitCode, 0);
	const { items } = await client.list(calicoKinds(layout).handles);
	t.deepEqual(items, []);
});
