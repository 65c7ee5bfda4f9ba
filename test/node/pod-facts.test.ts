import test from 'ava';
import type { JsonObject } from '../../src/json/index.ts';
import { podFacts } from '../../src/node/pod-facts.ts';

const networks = JSON.stringify([
	{ name: 'k8s-pod-network', interface: 'eth0', ips: ['10.0.0.1'], default: true },
	{ name: 'storage', interface: 'net1', ips: ['10.9.0.1', 'fd09::1'] },
	{ name: 'without' },
]);
const key = 'k8s.v1.cni.cncf.io/network-status';
const cases: readonly { title: string; status: JsonObject; annotations?: JsonObject; addresses: readonly string[] }[] =
	[
		{
			title: 'both families',
			status: { podIP: '10.0.0.1', podIPs: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }] },
			addresses: ['10.0.0.1', 'fd00::1'],
		},
		{ title: 'one', status: { podIP: '10.0.0.1' }, addresses: ['10.0.0.1'] },
		{ title: 'none yet', status: {}, addresses: [] },
		{
			title: 'of additional networks',
			status: { podIP: '10.0.0.1' },
			annotations: { [key]: networks },
			addresses: ['10.0.0.1', '10.9.0.1', 'fd09::1'],
		},
		{
			title: 'of additional networks, in the old annotation',
			status: { podIP: '10.0.0.1' },
			annotations: { 'k8s.v1.cni.cncf.io/networks-status': networks },
			addresses: ['10.0.0.1', '10.9.0.1', 'fd09::1'],
		},
		{
			title: 'of additional networks, before they are ready',
			status: {},
			annotations: { [key]: networks },
			addresses: [],
		},
		{
			title: 'of networks in an unreadable annotation',
			status: { podIP: '10.0.0.1' },
			annotations: { [key]: '[{"ips":' },
			addresses: ['10.0.0.1'],
		},
		{
			title: 'of networks in an annotation that is not a list',
			status: { podIP: '10.0.0.1' },
			annotations: { [key]: '{"ips":["10.9.0.1"]}' },
			addresses: ['10.0.0.1'],
		},
	];
for (const { title, status, annotations = {}, addresses } of cases)
	test(`addresses of a pod: ${title}`, (t) =>
		t.deepEqual(podFacts({ metadata: { annotations }, spec: {}, status }).addresses, addresses));
