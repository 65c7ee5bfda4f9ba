import test from 'ava';
import { foreignChains, hasForeignLegacyRules, hasForeignRules } from '../../src/daemon/policy/foreign-rules.ts';

const chain = (table: string, name: string, hook?: string, policy?: string) => ({
	chain: { family: 'ip', table, name, handle: 1, ...(hook && { type: 'filter', hook, prio: 0, policy }) },
});

test('base chains of others at hooks that a packet from pod to pod passes', (t) => {
	const json = JSON.stringify({
		nftables: [
			{ metainfo: { version: '1.0.6' } },
			chain('filter', 'FORWARD', 'forward', 'drop'),
			chain('filter', 'INPUT', 'input', 'drop'),
			chain('filter', 'DOCKER-USER'),
			chain('raw', 'PREROUTING', 'prerouting', 'accept'),
			chain('bgpmesh_policy', 'from-forward', 'forward', 'accept'),
			chain('bgpmesh', 'all', 'forward', 'accept'),
			chain('kube-proxy', 'filter-forward', 'forward', 'accept'),
			chain('cni_hostport', 'prerouting', 'prerouting', 'accept'),
		],
	});
	t.deepEqual(foreignChains(json), [
		{ family: 'ip', table: 'filter', name: 'FORWARD', drops: true },
		{ family: 'ip', table: 'raw', name: 'PREROUTING', drops: false },
		{ family: 'ip', table: 'bgpmesh', name: 'all', drops: false },
	]);
});

test('a chain of others has rules, unless it only goes to chains of kube-proxy and CNI plugins', (t) => {
	const listing = (...rules: string[]) =>
		[
			'# Warning: table ip filter is managed by iptables-nft, do not touch!',
			'table ip filter {',
			'\tchain FORWARD {',
			'\t\ttype filter hook forward priority filter; policy accept;',
			...rules.map((rule) => `\t\t${rule}`),
			'\t}',
			'}',
			'',
		].join('\n');
	t.false(hasForeignRules(listing()));
	t.false(hasForeignRules(listing('counter packets 7 bytes 420 jump KUBE-FORWARD', 'jump CNI-HOSTPORT-DNAT')));
	t.true(hasForeignRules(listing('counter packets 7 bytes 420 jump KUBE-FORWARD', 'ip daddr 10.0.0.0/8 drop')));
	t.true(hasForeignRules(listing('jump DOCKER-USER')));
	t.true(hasForeignRules(listing('jump cali-FORWARD')));
	t.true(hasForeignRules(listing('counter')));
});

test('the same for the legacy variant of iptables', (t) => {
	const saved = (...lines: string[]) =>
		hasForeignLegacyRules(['*filter', ':INPUT DROP [0:0]', ...lines, 'COMMIT', ''].join('\n'));
	t.false(saved(':FORWARD ACCEPT [0:0]', '-A INPUT -j DROP', '-A KUBE-FORWARD -j ACCEPT'));
	t.false(saved('-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD'));
	t.true(saved(':FORWARD DROP [0:0]'));
	t.true(saved('-A FORWARD -s 10.0.0.0/8 -j DROP'));
	t.true(saved('-A FORWARD -s 10.0.0.0/8'));
	t.true(saved('-A PREROUTING -p tcp -j REDIRECT --to-ports 15001'));
});
