import test from 'ava';
import { prefixKey } from '../../src/core/index.ts';
import type { JsonObject } from '../../src/json/index.ts';
import {
	emptyHandover,
	type HandoverNode,
	type HandoverState,
	handoverStep,
	resolveSettings,
	ServicesState,
} from '../../src/services/index.ts';

const nodeNames = ['node-a', 'node-b', 'node-c'];
const nodes = (excluded?: string): ReadonlyMap<string, HandoverNode> =>
	new Map(
		nodeNames.map((name, index) => [
			name,
			{ addresses: { ipv4: `10.0.1.${11 + index}` }, excluded: name === excluded },
		]),
	);

const ready = { ready: true, serving: true, terminating: false };
const terminating = { ready: false, serving: true, terminating: true };

/** A Service with external policy Local (or another one) and one pod on each of these nodes. */
function stateWith(pods: Readonly<Record<string, JsonObject>>, policy = 'Local') {
	const state = new ServicesState({
		node: { name: 'node-a', primary: { ipv4: '10.0.1.11' } },
		settings: resolveSettings(
			{
				podRanges: [prefixKey('10.42.0.0/16')],
				serviceRanges: [],
				masqueradeAll: false,
				nodePortAddresses: 'primary',
			},
			['10.0.1.11'],
		),
	});
	const ports = [{ name: 'p', port: 80, protocol: 'TCP' }];
	state.setService({
		metadata: { name: 'web', namespace: 'ns' },
		spec: { type: 'LoadBalancer', clusterIP: '10.96.0.10', externalTrafficPolicy: policy, ports },
		status: { loadBalancer: { ingress: [{ ip: '198.51.100.10' }] } },
	});
	state.setSlice({
		metadata: { name: 'web-1', namespace: 'ns', labels: { 'kubernetes.io/service-name': 'web' } },
		addressType: 'IPv4',
		endpoints: Object.entries(pods).map(([nodeName, conditions], index) => ({
			addresses: [`10.42.0.${10 + index}`],
			nodeName,
			conditions,
		})),
		ports,
	});
	state.settle();
	return state;
}

const step = (before: HandoverState, state: ServicesState, known = nodes()) =>
	handoverStep(
		before,
		'node-a',
		[...state.services].flatMap((key) => state.service(key) ?? []),
		known,
	);

const window = (...peers: string[]) => ({ family: 'ipv4' as const, address: '198.51.100.10', port: 80, peers });
const all = { 'node-a': ready, 'node-b': ready, 'node-c': ready };

test('the first look at a Service opens a window: this node may be about to get its share', (t) => {
	const { state, windows } = step(emptyHandover, stateWith(all));
	t.deepEqual(windows, [window('10.0.1.12', '10.0.1.13')]);
	t.deepEqual(state.frontends, [{ family: 'ipv4', address: '198.51.100.10', port: 80 }]);
});

const rows = [
	{ title: 'nothing changes', after: all, excluded: undefined, windows: [] },
	{
		title: 'the last pod of a node terminates',
		after: { ...all, 'node-b': terminating },
		excluded: undefined,
		windows: [window('10.0.1.12', '10.0.1.13')],
	},
	{
		title: 'a node has no pod any more: it still has its connections',
		after: { 'node-a': ready, 'node-c': ready },
		excluded: undefined,
		windows: [window('10.0.1.12', '10.0.1.13')],
	},
	{
		title: 'a node is excluded from load balancers',
		after: all,
		excluded: 'node-c',
		windows: [window('10.0.1.12', '10.0.1.13')],
	},
];
for (const { title, after, excluded, windows } of rows)
	test(`windows open when owners change: ${title}`, (t) => {
		const { state } = step(emptyHandover, stateWith(all));
		t.deepEqual(step(state, stateWith(after), nodes(excluded)).windows, windows);
	});

test('with remembered parts a look without a change gives the same list, and a changed Service opens its window', (t) => {
	const memo = new WeakMap();
	const look = (before: HandoverState, services: ServicesState) =>
		handoverStep(
			before,
			'node-a',
			[...services.services].flatMap((key) => services.service(key) ?? []),
			nodes(),
			memo,
		);
	const here = stateWith(all);
	const first = look(emptyHandover, here);
	const second = look(first.state, here);
	t.is(second.state.frontends, first.state.frontends);
	t.deepEqual(second.windows, []);
	t.deepEqual(look(second.state, stateWith({ ...all, 'node-b': terminating })).windows, [
		window('10.0.1.12', '10.0.1.13'),
	]);
});

test('a Service with policy Cluster hands nothing over', (t) => {
	t.deepEqual(step(emptyHandover, stateWith(all, 'Cluster')), { state: emptyHandover, windows: [] });
});

test('nodes behind a router, and more nodes than copies are made for, get nothing', (t) => {
	const far = new Map([...nodes()].map(([name, { excluded }]) => [name, { addresses: {}, excluded }]));
	t.deepEqual(step(emptyHandover, stateWith(all), far).windows, []);
	const names = Array.from({ length: 10 }, (_, index) => `node-${index}`);
	const many = new Map(
		names.map((name, index) => [name, { addresses: { ipv4: `10.0.1.${index + 20}` }, excluded: false }]),
	);
	const pods = Object.fromEntries(names.map((name) => [name, ready]));
	t.deepEqual(step(emptyHandover, stateWith(pods), many).windows, []);
});
