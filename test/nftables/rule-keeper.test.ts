import test, { type ExecutionContext } from 'ava';
import { prefixKey } from '../../src/core/index.ts';
import { GuardPlane, NatPlane } from '../../src/daemon/rules-planes.ts';
import { NftablesMissingError } from '../../src/linux/index.ts';
import { RuleKeeper } from '../../src/nftables/index.ts';
import { FakeClock } from '../fakes/clock.ts';
import { recordingLogger } from '../fakes/log.ts';

function setUp(t: ExecutionContext, guarded = true) {
	const clock = new FakeClock();
	const log = recordingLogger();
	const rules: string[] = [];
	const nft = { missing: false };
	const load = async (text: string) => {
		if (nft.missing) throw new NftablesMissingError('the command nft is not installed');
		rules.push(text);
	};
	const keeper = (name: string) => new RuleKeeper(name, { load, clock, random: () => 0.5, log });
	const guard = new GuardPlane(keeper('guard'), guarded, clock);
	const nat = new NatPlane(keeper('nat'));
	t.teardown(() => Promise.all([guard.stop(), nat.stop()]));
	const pass = async (ms: number) => {
		clock.advance(ms);
		await guard.whenIdle();
	};
	return { guard, nat, log, rules, nft, clock, pass };
}

const state = { nodes: [] as string[], vxlanPort: 4789, takesVxlan: false, pools: [] };

test('the guard accepts only the ends of our tunnels and the known nodes', async (t) => {
	const { guard, rules } = setUp(t);
	guard.apply({ ...state, nodes: ['10.0.2.9', 'fd00::9'] });
	guard.setTunnelEnds(new Set(['10.0.2.3', '10.0.2.2']));
	await guard.whenIdle();
	t.regex(rules.at(-1) ?? '', /add element ip bgpmesh_guard nodes \{ 10\.0\.2\.2, 10\.0\.2\.3, 10\.0\.2\.9 \}/);
	t.regex(rules.at(-1) ?? '', /ip protocol 4 ip saddr != @nodes counter drop/);
	t.notRegex(rules.at(-1) ?? '', /udp dport/);
});

test('the port of VXLAN is guarded while a pool needs it, or direct server return uses it', async (t) => {
	const { guard, rules } = setUp(t);
	const nodes = ['10.0.2.9'];
	const guarded = /udp dport 4789 .*saddr != @vxlan_nodes counter drop/;
	guard.setTunnelEnds(new Set());
	guard.apply({ ...state, nodes, takesVxlan: true });
	await guard.whenIdle();
	t.regex(rules.at(-1) ?? '', guarded);
	guard.setVxlan(true);
	guard.apply({ ...state, nodes });
	await guard.whenIdle();
	t.regex(rules.at(-1) ?? '', guarded, 'the option has ended, connections have not');
	guard.setVxlan(false);
	await guard.whenIdle();
	t.notRegex(rules.at(-1) ?? '', /udp dport/);
});

test('the old address of a node is accepted for a minute beside the new one', async (t) => {
	const { guard, rules, pass } = setUp(t);
	guard.setTunnelEnds(new Set());
	guard.apply({ ...state, nodes: ['10.0.2.9'] });
	guard.apply({ ...state, nodes: ['10.0.2.77'] });
	await guard.whenIdle();
	t.regex(rules.at(-1) ?? '', /add element ip bgpmesh_guard nodes \{ 10\.0\.2\.77, 10\.0\.2\.9 \}/);
	await pass(60_000);
	t.regex(rules.at(-1) ?? '', /add element ip bgpmesh_guard nodes \{ 10\.0\.2\.77 \}/);
	// An address that returns meanwhile stays.
	guard.apply({ ...state, nodes: ['10.0.2.9'] });
	guard.apply({ ...state, nodes: ['10.0.2.9', '10.0.2.77'] });
	await pass(120_000);
	t.regex(rules.at(-1) ?? '', /add element ip bgpmesh_guard nodes \{ 10\.0\.2\.77, 10\.0\.2\.9 \}/);
});

test('before the first tunnel ends are known no guard is created: an earlier one stays', async (t) => {
	const { guard, rules } = setUp(t);
	guard.apply({ ...state, nodes: ['10.0.2.9'] });
	await guard.whenIdle();
	t.deepEqual(rules, []);
});

test('without guard an earlier guard is removed, and none is created', async (t) => {
	const { guard, rules } = setUp(t, false);
	guard.setTunnelEnds(new Set(['10.0.2.3']));
	await guard.whenIdle();
	t.deepEqual(rules, [
		'add table ip bgpmesh_guard\ndelete table ip bgpmesh_guard\nadd table ip6 bgpmesh_guard\ndelete table ip6 bgpmesh_guard\n',
	]);
});

test('of many changes during a load only the last is loaded', async (t) => {
	const { guard, rules } = setUp(t);
	for (let host = 1; host <= 100; host++) guard.setTunnelEnds(new Set([`10.0.2.${host}`]));
	await guard.whenIdle();
	t.is(rules.length, 2);
	t.regex(rules[1] ?? '', /10\.0\.2\.100/);
});

test('a missing nft is logged once and shown in the view, and the rules are loaded when nft is installed', async (t) => {
	const { guard, nft, rules, log, pass } = setUp(t);
	nft.missing = true;
	guard.setTunnelEnds(new Set(['10.0.2.3']));
	await guard.whenIdle();
	await pass(60_000);
	guard.setTunnelEnds(new Set(['10.0.2.4']));
	await guard.whenIdle();
	t.deepEqual(
		log.lines.filter(({ level }) => level === 'warn').map(({ fields }) => fields),
		[{ rules: 'guard', reason: 'the command nft is not installed' }],
	);
	t.like(guard.view(), {
		desired: 1,
		installed: 0,
		failures: [{ subject: 'nftables rules of the guard', reason: 'the command nft is not installed', kind: 'guard' }],
	});
	nft.missing = false;
	await pass(60_000);
	t.regex(rules.at(-1) ?? '', /10\.0\.2\.4/);
	t.like(guard.view(), { desired: 1, installed: 1, failures: [] });
});

test('rules that are set right behind the same ones are loaded', async (t) => {
	const { guard, rules } = setUp(t);
	guard.setTunnelEnds(new Set());
	await guard.whenIdle();
	guard.setTunnelEnds(new Set());
	guard.apply({ ...state, nodes: ['10.0.2.9'] });
	await guard.whenIdle();
	t.regex(rules.at(-1) ?? '', /10\.0\.2\.9/);
});

test('a missing nft is no failure if no rule is needed', async (t) => {
	const { nat, nft, log } = setUp(t);
	nft.missing = true;
	nat.apply([{ cidr: prefixKey('192.168.0.0/16'), natOutgoing: false }]);
	await nat.whenIdle();
	t.deepEqual(
		log.lines.filter(({ level }) => level === 'warn'),
		[],
	);
	t.like(nat.view(), { desired: 0, failures: [] });
	nat.apply([{ cidr: prefixKey('192.168.0.0/16'), natOutgoing: true }]);
	await nat.whenIdle();
	t.is(log.lines.filter(({ level }) => level === 'warn').length, 1);
});

test('stopping leaves the rules, and starts no further work', async (t) => {
	const { guard, rules, clock, nft } = setUp(t);
	nft.missing = true;
	guard.setTunnelEnds(new Set(['10.0.2.3']));
	await guard.whenIdle();
	await guard.stop();
	t.is(clock.pendingCount, 0);
	t.deepEqual(rules, []);
});
