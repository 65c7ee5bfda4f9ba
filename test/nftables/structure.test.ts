import { execFileSync } from 'node:child_process';
import test from 'ava';
import { loadRuleset, NfTables, systemEnvironment } from '../../src/linux/index.ts';
import { ruleExpressions } from '../../src/nftables/rule-expressions.ts';
import { additions, removals } from '../../src/nftables/structure.ts';
import { changeTexts, nothingChanges, type TableChange } from '../../src/nftables/table.ts';
import { enterNewNamespace, noNamespaces } from '../support/namespace.ts';

if (noNamespaces !== undefined) console.warn(`SKIPPED: structure of tables in the kernel: ${noNamespaces}`);
const namespaceTest = noNamespaces === undefined ? test.serial : test.skip;

const nft = (...words: string[]): string => execFileSync('nft', words, { encoding: 'utf8', env: systemEnvironment() });

/** Every form that the chains of policies and of Services have. */
const rules = [
	'accept',
	'drop',
	'return',
	'continue',
	'jump other',
	'goto other',
	'meta nfproto ipv4 accept',
	'meta l4proto 6 accept',
	'meta l4proto != 132 accept',
	'meta l4proto 1 @th,0,8 8 accept',
	'meta l4proto 58 @th,0,8 != 128 accept',
	'meta l4proto 1 @th,0,16 771 accept',
	'meta nfproto ipv4 ip saddr 10.1.2.3/32 drop',
	'meta nfproto ipv4 ip daddr 10.0.0.0/8 drop',
	'meta nfproto ipv4 ip saddr != 10.16.0.0/12 drop',
	'meta nfproto ipv4 ip daddr 10.1.2.128/25 drop',
	'meta nfproto ipv6 ip6 saddr fd00:1::/32 drop',
	'meta nfproto ipv6 ip6 daddr != fd00:1::/37 drop',
	'meta nfproto ipv6 ip6 daddr fd00::1/128 drop',
	'meta nfproto ipv4 ip saddr @four accept',
	'meta nfproto ipv4 ip daddr != @ranges accept',
	'meta nfproto ipv6 ip6 saddr @six accept',
	'meta nfproto ipv4 ip daddr . meta l4proto . th dport @named4 accept',
	'meta nfproto ipv4 ip saddr . meta l4proto . th sport != @named4 accept',
	'meta nfproto ipv6 ip6 daddr . meta l4proto . th dport @named6 accept',
	'meta nfproto ipv4 ip saddr vmap @byNet4',
	'meta nfproto ipv6 ip6 daddr vmap @byNet6',
	'meta l4proto . th dport vmap @byPort',
	'meta l4proto 6 th dport 443 accept',
	'meta l4proto 17 th sport != 53 accept',
	'meta l4proto 6 th dport 8000-8100 accept',
	'meta l4proto 6 th dport != 8000-8100 accept',
	'meta l4proto 6 th dport @ports accept',
	'meta l4proto 6 th sport != @ports accept',
	'counter name c-1 accept',
	'notrack accept',
	'limit rate 10/second burst 20 packets log prefix "bm-0123456789ab" group 4090 snaplen 128',
	'meta mark set meta mark or 256 accept',
	// The library adds the match of the family.
	'ip saddr @ranges goto other',
	'ip6 saddr @six counter name c-1 drop',
	'ip saddr 10.0.0.0/8 return',
	'fib saddr type local goto other',
	'meta l4proto { 6, 17, 132 } accept',
	'meta nfproto ipv4 meta l4proto { 6, 17, 132 } counter name c-1 dnat ip to ip daddr . meta l4proto . th dport . ' +
		'numgen random mod 3 map @drawn4',
	'meta nfproto ipv6 meta l4proto { 6, 17, 132 } counter name c-1 dnat ip6 to ip6 daddr . meta l4proto . th dport . ' +
		'numgen random mod 12 map @drawn6',
	'meta nfproto ipv4 meta l4proto { 6, 17, 132 } dnat ip to meta l4proto . th dport . numgen random mod 1 map @port4',
	'meta nfproto ipv6 meta l4proto { 6, 17, 132 } dnat ip6 to meta l4proto . th dport . numgen random mod 2 map @port6',
	'meta nfproto ipv4 meta l4proto { 6, 17, 132 } dnat ip to ip daddr . meta l4proto . th dport map @pick4',
	'meta nfproto ipv6 meta l4proto { 6, 17, 132 } dnat ip6 to meta l4proto . th dport map @pick6',
	'meta l4proto { 6, 17, 132 } update @stick4 { ip saddr . ip daddr . meta l4proto . th dport timeout 10800s }',
	'meta l4proto { 6, 17, 132 } update @stick6 { ip6 saddr . meta l4proto . th dport timeout 1s }',
	'ip saddr . ip daddr . meta l4proto . th dport @stick4 goto other',
	'ip6 saddr . meta l4proto . th dport @stick6 goto other',
	'numgen random mod 2 vmap { 0 : goto other, 1 : goto third }',
];
const set = (name: string, declaration: string, kind: 'set' | 'map' = 'set') => ({
	name,
	kind,
	declaration,
	elements: [],
});
const drawn = (key: string, below: number, header: 'ip' | 'ip6') =>
	`typeof ${key}meta l4proto . th dport . numgen random mod ${below} : ${header} daddr . th dport;`;
const aging = 'flags dynamic,timeout; timeout 3h; size 4096;';
const change: TableChange = {
	...nothingChanges,
	addCounters: ['c-1'],
	addSets: [
		set('four', 'type ipv4_addr;'),
		set('six', 'type ipv6_addr;'),
		set('ranges', 'type ipv4_addr; flags interval;'),
		set('ports', 'type inet_service; flags interval;'),
		set('named4', 'type ipv4_addr . inet_proto . inet_service;'),
		set('named6', 'type ipv6_addr . inet_proto . inet_service;'),
		set('interfaces', 'type ifname . ipv4_addr;'),
		set('byNet4', 'type ipv4_addr : verdict; flags interval;', 'map'),
		set('byNet6', 'type ipv6_addr : verdict; flags interval;', 'map'),
		set('byPort', 'type inet_proto . inet_service : verdict;', 'map'),
		set('drawn4', drawn('ip daddr . ', 3, 'ip'), 'map'),
		set('drawn6', drawn('ip6 daddr . ', 12, 'ip6'), 'map'),
		set('port4', drawn('', 1, 'ip'), 'map'),
		set('port6', drawn('', 2, 'ip6'), 'map'),
		set('pick4', 'type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service;', 'map'),
		set('pick6', 'type inet_proto . inet_service : ipv6_addr . inet_service;', 'map'),
		{ ...set('stick4', `type ipv4_addr . ipv4_addr . inet_proto . inet_service; ${aging}`), dynamic: true },
		{ ...set('stick6', `type ipv6_addr . inet_proto . inet_service; ${aging}`), dynamic: true },
	],
	addChains: [
		{ name: 'first', rules },
		{ name: 'other', rules: ['accept'] },
		{ name: 'third', rules: ['accept'] },
	],
};

/** The expressions as the kernel has them, in the library's form. */
const listing = () =>
	nft('--debug=netlink', 'list', 'table', 'inet', 'bmtest')
		.replace(/^(inet bmtest \w+)( \d+)+ *$/gm, '$1')
		// The elements of a set have no order.
		.replace(/(?:^\telement .*\n)+/gm, (lines) => lines.split('\n').sort().join('\n'));

namespaceTest('the kernel has the same expressions and sets by messages as by the library', async (t) => {
	enterNewNamespace();
	await loadRuleset(`add table inet bmtest\n${changeTexts('inet', 'bmtest', change).prepare}`);
	const expected = listing();
	t.regex(expected, /lookup reg 1 set named6/);
	enterNewNamespace();
	const tables = new NfTables();
	t.teardown(() => tables.close());
	const at = { family: 'inet', table: 'bmtest' } as const;
	const changes = additions(change);
	if (changes === undefined) throw new Error('not everything is understood');
	await tables.transaction([], { structure: { ...at, changes } });
	t.deepEqual(listing().split('\n'), expected.split('\n'));
	// Once more: what is there stays.
	await tables.transaction([], { structure: { ...at, changes } });
	t.deepEqual(listing().split('\n'), expected.split('\n'));

	const removed = removals({ removeChains: change.addChains, removeSets: change.addSets, removeCounters: ['c-1'] });
	await tables.transaction([], { structure: { ...at, changes: removed } });
	t.is(nft('list', 'table', 'inet', 'bmtest').replace(/\s/g, ''), 'tableinetbmtest{}');
	await t.throwsAsync(tables.transaction([], { structure: { ...at, changes: removed } }), { message: /nf_tables/ });
});

for (const text of [
	'meta l4proto { tcp, udp } accept',
	'meta l4proto { 6, 17 } meta l4proto { 6 } accept',
	'numgen random mod 2 vmap { 0 : drop, 1 : goto third }',
	'numgen inc mod 2 vmap { 0 : goto other, 1 : goto third }',
	'meta nfproto ipv4 dnat ip6 to meta l4proto . th dport map @pick6',
	'dnat ip to 10.1.2.3',
	'fib daddr type local accept',
	'update @stick4 { ip saddr . ip daddr . meta l4proto . th dport }',
	'meta l4proto 6 reject with tcp reset',
	'ct state established,related accept',
	'iifname "eth0" accept',
	'ip saddr 10.0.0.0/8 ip6 saddr @six accept',
	'meta nfproto ipv4 ip6 saddr @six accept',
	'meta nfproto ipv4 ip saddr 0.0.0.0/0 accept',
	'counter drop',
	'counter packets 0 bytes 0 drop',
	'th dport { 80, 443 } accept',
	'limit rate 10/minute log prefix "x" group 1 snaplen 128',
	'masquerade',
])
	test(`'${text}' is left to the library`, (t) => t.is(ruleExpressions(text), undefined));
