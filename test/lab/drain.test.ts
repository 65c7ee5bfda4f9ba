import test from 'ava';
import { isDrain } from '../../lab/drain/main.ts';
import { drainNodes } from '../../lab/drain/network.ts';
import { drainDaemonConfig, drainTorConfig } from '../../lab/drain/processes.ts';
import { parseConfig } from '../../src/config/index.ts';

test('the scenario drain is a laboratory of its own', (t) => {
	t.true(isDrain(['--scenario', 'drain', '--json']));
	t.true(isDrain(['--scenario=drain']));
	t.false(isDrain(['--scenario', 'crash']));
	t.false(isDrain(['exec', 'drain']));
});

test('the router prefers no route with GRACEFUL_SHUTDOWN, and in the other order takes none', (t) => {
	t.regex(drainTorConfig('drain'), /if \(65535, 0\) ~ bgp_community then bgp_local_pref = 0; accept;/);
	t.regex(drainTorConfig('withdraw'), /if \(65535, 0\) ~ bgp_community then reject; accept;/);
	t.is(drainTorConfig('drain').match(/protocol bgp/g)?.length, drainNodes.length);
});

for (const [order, seconds] of [
	['drain', 5],
	['withdraw', 0],
] as const)
	test(`the daemons of the order ${order} drain for ${seconds} seconds`, (t) => {
		const [node] = drainNodes;
		if (node === undefined) return t.fail('no node');
		const place = { folder: '/tmp/x', kubeconfig: '/tmp/x/kubeconfig', order, seconds: 5 };
		t.is(parseConfig(drainDaemonConfig(node, place), 'node-a.yaml').services.drainSeconds, seconds);
		return undefined;
	});
