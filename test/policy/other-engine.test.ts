import test from 'ava';
import { findOtherEngine } from '../../src/policy/index.ts';

const rows: readonly { title: string; nftTables?: string[]; chains?: string[]; engine: string | undefined }[] = [
	{ title: 'nothing', engine: undefined },
	{ title: 'our own tables', nftTables: ['inet bgpmesh_policy', 'ip bgpmesh'], engine: undefined },
	{ title: 'kube-proxy', nftTables: ['ip kube-proxy'], chains: ['KUBE-SERVICES', 'KUBE-FORWARD'], engine: undefined },
	{ title: 'Felix in iptables mode', chains: ['INPUT', 'cali-INPUT', 'cali-tw-cali12345'], engine: 'Felix (Calico)' },
	{ title: 'Felix in nftables mode', nftTables: ['ip calico'], engine: 'Felix (Calico)' },
	{ title: 'kube-router', chains: ['KUBE-POD-FW-ABCDEF', 'KUBE-NWPLCY-ABC'], engine: 'kube-router' },
];
for (const { title, nftTables = [], chains = [], engine } of rows)
	test(`another policy engine: ${title}`, (t) => t.is(findOtherEngine({ nftTables, chains })?.name, engine));
