import test from 'ava';
import { prefixKey } from '../../src/core/index.ts';
import { endpoint, newState, service, slice } from './fixtures.ts';

for (const [ranges, expected] of [
	// The node uses the load balancer's address as its source where it has that address itself.
	[['192.168.0.0/24'], ['192.168.0.0/24', '192.0.2.1/32']],
	[['198.51.100.0/24'], ['198.51.100.0/24']],
	// Of one family: the other one is open.
	[['fd00:9::/64'], undefined],
] as const)
	test(`sources ${ranges.join(', ')} of a load balancer admit ${expected?.join(', ') ?? 'all'}`, (t) => {
		const state = newState();
		const status = { loadBalancer: { ingress: [{ ip: '192.0.2.1' }] } };
		state.setService(service('web', { type: 'LoadBalancer', loadBalancerSourceRanges: [...ranges] }, { status }));
		state.setSlice(slice('web-1', 'web', [endpoint('10.1.0.1')]));
		state.settle();
		const frontend = [...state.model.frontends.values()].find(({ type }) => type === 'load-balancer-ip');
		t.deepEqual(
			frontend?.type === 'load-balancer-ip' ? frontend.sourceRanges : 'no frontend',
			expected?.map((text) => prefixKey(text)),
		);
	});

const hinted = (address: string, nodes: readonly string[] | undefined, zones: readonly string[]) =>
	endpoint(address, 'node-b', {
		hints: {
			forZones: zones.map((name) => ({ name })),
			...(nodes === undefined ? {} : { forNodes: nodes.map((name) => ({ name })) }),
		},
	});

for (const [title, endpoints, expected] of [
	[
		'of a node come before those of its zone',
		[hinted('10.1.0.1', ['node-a'], ['za']), hinted('10.1.0.2', ['node-b'], ['za'])],
		['10.1.0.1'],
	],
	[
		'of a node that not all endpoints have leave those of the zone',
		[
			hinted('10.1.0.1', ['node-a'], ['za']),
			hinted('10.1.0.2', undefined, ['za']),
			hinted('10.1.0.3', undefined, ['zb']),
		],
		['10.1.0.1', '10.1.0.2'],
	],
	[
		'for other zones alone count as none',
		[hinted('10.1.0.1', undefined, ['zb']), hinted('10.1.0.2', undefined, ['zc'])],
		['10.1.0.1', '10.1.0.2'],
	],
] as const)
	test(`hints ${title}`, (t) => {
		const state = newState();
		state.setService(service('web'));
		state.setSlice(slice('web-1', 'web', endpoints));
		state.settle();
		const [pool] = state.model.pools.values();
		t.deepEqual(
			pool?.backends.map(({ address }) => address),
			expected,
		);
	});
