import test from 'ava';
import { parseConfig } from '../../src/config/index.ts';
import { prefixKey } from '../../src/core/index.ts';
import { areasOf, type NodeState, poolsOf, protocolReason } from '../../src/daemon/node-state.ts';

test('the range of announced Services is no pool: it is neither masqueraded around nor guarded', (t) => {
	const config = parseConfig(
		'bgp: { asNumber: 64512 }\npools: [ { cidr: 192.168.0.0/16, natOutgoing: true } ]\n',
		'x.yaml',
	);
	// Only these parts are read.
	const cluster = {
		nodes: [],
		pools: [],
		configuration: {
			serviceClusterCidrs: [prefixKey('10.96.0.0/12')],
			serviceExternalCidrs: [prefixKey('203.0.113.0/24')],
			serviceLoadBalancerCidrs: [],
		},
	} as unknown as NodeState['cluster'];
	const state: NodeState = { node: 'a', config, cluster };
	t.deepEqual(
		poolsOf(state).map(({ cidr }) => cidr as string),
		['192.168.0.0/16'],
	);
	t.deepEqual(
		areasOf(state).map(({ cidr, foreign }) => [cidr as string, foreign !== undefined]),
		[
			['192.168.0.0/16', false],
			['10.96.0.0/12', true],
			['203.0.113.0/24', true],
		],
	);
});

test('the number of our routes is explained where it is not the default', (t) => {
	const reason = (file: string, felixRuns: boolean) =>
		protocolReason({
			node: 'a',
			config: parseConfig(`bgp: { asNumber: 64512 }\n${file}`, 'x.yaml'),
			cluster: { felixRuns } as unknown as NodeState['cluster'],
		});
	t.is(reason('', false), undefined);
	t.regex(reason('', true) ?? '', /^Felix runs on this node.*80$/);
	t.is(reason('fib: { routeProtocol: 99 }\n', true), 'fib.routeProtocol of the configuration');
});
