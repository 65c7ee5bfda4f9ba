import test from 'ava';
import { findOtherProxy, type ProxySigns } from '../../src/services/index.ts';

const none: ProxySigns = { nftTables: [], iptablesChains: [], interfaces: [], listeningPorts: [] };

const rows: readonly { readonly title: string; readonly signs: Partial<ProxySigns>; readonly isRunning?: boolean }[] = [
	{
		title: 'the nftables tables of kube-proxy',
		signs: { nftTables: ['ip bgpmesh', 'ip6 kube-proxy'] },
		isRunning: false,
	},
	{
		title: 'iptables chains of services',
		signs: { iptablesChains: ['KUBE-SERVICES', 'KUBE-SVC-ABC'] },
		isRunning: false,
	},
	{ title: 'the device of ipvs mode', signs: { interfaces: ['lo', 'kube-ipvs0'] }, isRunning: false },
	{ title: 'a listener at the health port', signs: { listeningPorts: [22, 10256] }, isRunning: true },
	{
		title: 'chains of the kubelet and of CNI port mapping are not a proxy',
		signs: {
			iptablesChains: [
				'KUBE-KUBELET-CANARY',
				'KUBE-FIREWALL',
				'KUBE-MARK-MASQ',
				'KUBE-POSTROUTING',
				'CNI-HOSTPORT-DNAT',
			],
		},
	},
	{ title: 'nothing', signs: {} },
];
for (const { title, signs, isRunning } of rows)
	test(`another proxy: ${title}`, (t) => {
		const found = findOtherProxy({ ...none, ...signs });
		t.is(found?.isRunning, isRunning);
		if (found !== undefined) t.true(found.seen.length > 0 && found.hint.includes('bgpmesh services takeover'));
	});
