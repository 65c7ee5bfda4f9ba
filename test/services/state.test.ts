import test from 'ava';
import fc from 'fast-check';
import { prefixKey } from '../../src/core/index.ts';
import type { JsonObject } from '../../src/json/index.ts';
import {
	addressFrontendKey,
	differenceOf,
	emptyModel,
	evaluate,
	isEmptyDifference,
	type Pool,
	resolveSettings,
	type ServicesDifference,
	type ServicesModel,
	ServicesState,
} from '../../src/services/index.ts';
import { endpoint, newState, node, nodeAddresses, options, service, settings, slice } from './fixtures.ts';

const backendsOf = (model: ServicesModel, key: string): string[] =>
	(model.pools.get(key)?.backends ?? []).map(({ address, port }) => `${address}:${port}`);

const poolKey = 'ns/web:80/tcp@ipv4#cluster';

test('a change of one Service changes only its own frontends and pools', (t) => {
	const state = newState();
	for (const name of ['web', 'api']) {
		state.setService(service(name, { clusterIP: name === 'web' ? '172.30.0.1' : '172.30.0.2' }));
		state.setSlice(slice(`${name}-1`, name, [endpoint('10.0.1.1')]));
	}
	state.settle();
	state.setSlice(slice('web-1', 'web', [endpoint('10.0.1.1'), endpoint('10.0.1.2')]));
	const difference = state.settle();
	t.deepEqual(
		difference.pools.set.map(({ before, after }) => [
			before?.backends.length,
			after.backends.length,
			after.servicePort,
		]),
		[[1, 2, 'ns/web:80/tcp@ipv4']],
	);
	t.deepEqual([difference.frontends.set, difference.frontends.removed, difference.pools.removed], [[], [], []]);
});

test('a state without a change settles to an empty difference', (t) => {
	const state = newState();
	state.setService(service('web'));
	state.settle();
	state.setService(service('web'));
	t.true(isEmptyDifference(state.settle()));
});

test('backends keep their numbers when another one is added or removed', (t) => {
	const state = newState();
	state.setService(service('web'));
	const set = (...addresses: string[]) => {
		state.setSlice(
			slice(
				'web-1',
				'web',
				addresses.map((address) => endpoint(address)),
			),
		);
		state.settle();
		return backendsOf(state.model, poolKey);
	};
	t.deepEqual(set('10.0.1.1', '10.0.1.2', '10.0.1.3'), ['10.0.1.1:8080', '10.0.1.2:8080', '10.0.1.3:8080']);
	t.deepEqual(set('10.0.1.2', '10.0.1.3'), ['10.0.1.3:8080', '10.0.1.2:8080'], 'the last one fills the gap');
	t.deepEqual(set('10.0.1.9', '10.0.1.2', '10.0.1.3'), ['10.0.1.3:8080', '10.0.1.2:8080', '10.0.1.9:8080']);
});

test('numbers of an earlier process are reused', (t) => {
	const numbers = new Map([
		[poolKey, ['10.0.1.3', '10.0.1.1'].map((address) => ({ address, port: 8080, local: false }))],
	]);
	const state = new ServicesState({ node, settings, numbers });
	state.setService(service('web'));
	state.setSlice(slice('web-1', 'web', [endpoint('10.0.1.1'), endpoint('10.0.1.2'), endpoint('10.0.1.3')]));
	state.settle();
	t.deepEqual(backendsOf(state.model, poolKey), ['10.0.1.3:8080', '10.0.1.1:8080', '10.0.1.2:8080']);
});

test('of two Services with one external IP the older one has it, until it is deleted', (t) => {
	const state = newState();
	const at = (name: string, clusterIP: string, creationTimestamp: string) =>
		service(name, { clusterIP, externalIPs: ['203.0.113.9'] }, { metadata: { creationTimestamp } });
	const key = addressFrontendKey('203.0.113.9', 'tcp', 80);
	state.setService(at('young', '172.30.0.1', '2026-02-01T00:00:00Z'));
	state.setService(at('old', '172.30.0.2', '2026-01-01T00:00:00Z'));
	state.settle();
	t.is(state.model.frontends.get(key)?.service, 'ns/old');
	t.deepEqual([...state.conflicts], [[key, ['ns/young']]]);
	state.removeService('ns/old');
	state.settle();
	t.is(state.model.frontends.get(key)?.service, 'ns/young');
	t.is(state.conflicts.size, 0);
});

test('a slice that moves to another Service leaves the first', (t) => {
	const state = newState();
	state.setService(service('web'));
	state.setService(service('api', { clusterIP: '172.30.0.2' }));
	state.setSlice(slice('s', 'web', [endpoint('10.0.1.1')]));
	state.settle();
	state.setSlice(slice('s', 'api', [endpoint('10.0.1.1')]));
	state.settle();
	t.deepEqual(backendsOf(state.model, poolKey), []);
	t.deepEqual(backendsOf(state.model, 'ns/api:80/tcp@ipv4#cluster'), ['10.0.1.1:8080']);
});

test("a Service that becomes headless or another proxy's leaves the model", (t) => {
	for (const change of [
		service('web', { clusterIP: 'None' }),
		service('web', {}, { metadata: { labels: { 'service.kubernetes.io/service-proxy-name': '' } } }),
	]) {
		const state = newState();
		state.setService(service('web'));
		state.settle();
		t.is(state.model.frontends.size, 1);
		state.setService(change);
		state.settle();
		t.deepEqual([state.model.frontends.size, state.model.clusterIps.size, state.ignored.size], [0, 0, 1]);
	}
});

test('one address in two slices is one backend: the local copy, then the ready one', (t) => {
	const state = newState();
	state.setService(service('web'));
	state.setSlice(
		slice('a', 'web', [
			endpoint('10.0.1.1', 'node-b', { conditions: { ready: false } }),
			endpoint('10.0.1.2', 'node-b'),
		]),
	);
	state.setSlice(slice('b', 'web', [endpoint('10.0.1.1', 'node-b'), endpoint('10.0.1.2', 'node-a')]));
	state.settle();
	t.deepEqual(
		state.model.pools.get(poolKey)?.backends.map(({ address, local }) => [address, local]),
		[
			['10.0.1.1', false],
			['10.0.1.2', true],
		],
	);
});

/** The state of a kernel after a difference, if it is applied in the prescribed order. */
function apply(
	kernel: { pools: Map<string, Pool>; frontends: Map<string, string>; clusterIps: Set<string> },
	difference: ServicesDifference,
): void {
	for (const { before, after } of difference.pools.set) {
		if (kernel.pools.has(after.key) !== (before !== undefined)) throw new Error(`${after.key}: 'before' is wrong`);
		kernel.pools.set(after.key, after);
	}
	for (const { after } of difference.frontends.set) {
		for (const action of Object.values(after.actions))
			if (action.type === 'dnat' && !kernel.pools.has(action.pool))
				throw new Error(`${after.key}: no pool ${action.pool}`);
		kernel.frontends.set(after.key, JSON.stringify(after));
	}
	for (const { key } of difference.frontends.removed)
		if (!kernel.frontends.delete(key)) throw new Error(`${key}: not there`);
	for (const { key } of difference.pools.removed) if (!kernel.pools.delete(key)) throw new Error(`${key}: not there`);
	for (const address of difference.clusterIps.added) kernel.clusterIps.add(address);
	for (const address of difference.clusterIps.removed) kernel.clusterIps.delete(address);
}

/** A model without the order of backends, which depends on history. */
const plain = ({ pools, frontends, clusterIps, healthChecks }: ServicesModel) => ({
	pools: Object.fromEntries(
		[...pools]
			.sort(([left], [right]) => (left < right ? -1 : 1))
			.map(([key, { backends, ...pool }]) => [
				key,
				{ ...pool, backends: backends.map((backend) => JSON.stringify(backend)).sort() },
			]),
	),
	frontends: Object.fromEntries([...frontends].sort(([left], [right]) => (left < right ? -1 : 1))),
	clusterIps: [...clusterIps].sort(),
	healthChecks: Object.fromEntries([...healthChecks].sort(([left], [right]) => (left < right ? -1 : 1))),
});

const names = fc.constantFrom('a', 'b', 'c');
const policy = fc.constantFrom('Cluster', 'Local');
const anyService = fc.record({
	name: names,
	type: fc.constantFrom('ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'),
	internalTrafficPolicy: policy,
	externalTrafficPolicy: policy,
	external: fc.boolean(),
	ranges: fc.boolean(),
	udp: fc.boolean(),
	affinity: fc.boolean(),
	dual: fc.boolean(),
});
const anySlice = fc.record({
	name: fc.constantFrom('s1', 's2', 's3', 's4'),
	of: names,
	ipv6: fc.boolean(),
	endpoints: fc.array(
		fc.record({
			last: fc.integer({ min: 1, max: 6 }),
			node: fc.constantFrom('node-a', 'node-b'),
			ready: fc.boolean(),
			serving: fc.boolean(),
			terminating: fc.boolean(),
			zone: fc.constantFrom(undefined, 'za', 'zb'),
		}),
		{ maxLength: 5 },
	),
});
type Step =
	| { readonly type: 'service'; readonly value: ReturnType<typeof toService> }
	| { readonly type: 'slice'; readonly value: JsonObject }
	| { readonly type: 'no-service' | 'no-slice'; readonly value: string }
	| { readonly type: 'zone'; readonly value: string | undefined }
	| { readonly type: 'settle' };
const toService = (drawn: typeof anyService extends fc.Arbitrary<infer T> ? T : never): JsonObject => {
	const index = drawn.name.charCodeAt(0) - 96;
	const clusterIPs = [`172.30.0.${index}`, ...(drawn.dual ? [`fd00:96::${index}`] : [])];
	return service(
		drawn.name,
		{
			type: drawn.type,
			clusterIP: clusterIPs[0],
			clusterIPs,
			internalTrafficPolicy: drawn.internalTrafficPolicy,
			externalTrafficPolicy: drawn.externalTrafficPolicy,
			...(drawn.external ? { externalIPs: ['203.0.113.9'] } : {}),
			...(drawn.ranges ? { loadBalancerSourceRanges: ['203.0.113.0/24', '192.168.0.0/24'] } : {}),
			...(drawn.affinity ? { sessionAffinity: 'ClientIP' } : {}),
			healthCheckNodePort: 30_900 + index,
			ports: [
				{ name: 'p', port: 80, protocol: 'TCP', nodePort: 30_000 + index },
				...(drawn.udp ? [{ name: 'q', port: 53, protocol: 'UDP', nodePort: 31_000 }] : []),
			],
		},
		{ status: { loadBalancer: { ingress: [{ ip: '198.51.100.7' }, { ip: 'fd00:98::7' }] } } },
	);
};
const anyStep: fc.Arbitrary<Step> = fc.oneof(
	anyService.map((drawn): Step => ({ type: 'service', value: toService(drawn) })),
	anySlice.map(
		({ name, of, ipv6, endpoints }): Step => ({
			type: 'slice',
			value: slice(
				name,
				of,
				endpoints.map(({ last, node: on, zone, ...conditions }) =>
					endpoint(`${ipv6 ? 'fd00:10::' : '10.0.1.'}${last}`, on, {
						conditions,
						...(zone === undefined ? {} : { hints: { forZones: [{ name: zone }] } }),
					}),
				),
				{
					addressType: ipv6 ? 'IPv6' : 'IPv4',
					ports: [
						{ name: 'p', port: 8080, protocol: 'TCP' },
						{ name: 'q', port: 5353, protocol: 'UDP' },
					],
				},
			),
		}),
	),
	names.map((name): Step => ({ type: 'no-service', value: `ns/${name}` })),
	fc.constantFrom('s1', 's2', 's3', 's4').map((name): Step => ({ type: 'no-slice', value: `ns/${name}` })),
	fc.constantFrom('za', 'zb', undefined).map((value): Step => ({ type: 'zone', value })),
	fc.constant<Step>({ type: 'settle' }),
);

test('a state that follows changes equals one created from the result, and its differences add up to the model', (t) => {
	const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));
	t.log(`seed ${seed}`);
	fc.assert(
		fc.property(fc.array(anyStep, { minLength: 1, maxLength: 40 }), (steps) => {
			const state = newState();
			const kernel = {
				pools: new Map<string, Pool>(),
				frontends: new Map<string, string>(),
				clusterIps: new Set<string>(),
			};
			const services = new Map<string, JsonObject>();
			const slices = new Map<string, JsonObject>();
			let zone: string | undefined = node.zone;
			const nameOf = (raw: JsonObject) => `ns/${(raw['metadata'] as { name: string }).name}`;
			for (const step of steps) {
				switch (step.type) {
					case 'service':
						services.set(nameOf(step.value), step.value);
						state.setService(step.value);
						break;
					case 'slice':
						slices.set(nameOf(step.value), step.value);
						state.setSlice(step.value);
						break;
					case 'no-service':
						services.delete(step.value);
						state.removeService(step.value);
						break;
					case 'no-slice':
						slices.delete(step.value);
						state.removeSlice(step.value);
						break;
					case 'zone':
						zone = step.value;
						state.setNode({ name: node.name, primary: node.primary, ...(zone === undefined ? {} : { zone }) });
						break;
					case 'settle':
						apply(kernel, state.settle());
						break;
					default:
						step satisfies never;
				}
			}
			apply(kernel, state.settle());
			const fresh = new ServicesState({
				node: { name: node.name, primary: node.primary, ...(zone === undefined ? {} : { zone }) },
				settings,
			});
			for (const raw of services.values()) fresh.setService(raw);
			for (const raw of slices.values()) fresh.setSlice(raw);
			const whole = fresh.settle();
			t.deepEqual(plain(state.model), plain(fresh.model));
			t.deepEqual(kernel.pools, new Map(state.model.pools));
			t.deepEqual(kernel.clusterIps, new Set(state.model.clusterIps));
			t.deepEqual([...kernel.frontends.keys()].sort(), [...state.model.frontends.keys()].sort());
			for (const [key, text] of kernel.frontends) t.is(text, JSON.stringify(state.model.frontends.get(key)));
			// The difference of two models equals that of the state computed from nothing.
			const compared = differenceOf(emptyModel, fresh.model);
			t.is(compared.pools.set.length, whole.pools.set.length);
			t.is(compared.frontends.set.length, whole.frontends.set.length);
			for (const { after } of whole.frontends.set)
				if (after.type !== 'node-port')
					evaluate(
						fresh.model,
						{ from: '10.0.0.9', to: after.address, protocol: after.protocol, port: after.port },
						nodeAddresses,
					);
		}),
		{ numRuns: 300, seed },
	);
});

test('direct server return: frontends with policy Cluster have a pool of the endpoints of this node', (t) => {
	const optOut = [prefixKey('203.0.113.0/24')];
	const state = new ServicesState({
		node,
		settings: resolveSettings({ ...options, directReturn: { optOut } }, nodeAddresses),
	});
	const outside = { type: 'LoadBalancer', ports: [{ name: 'p', port: 80, protocol: 'TCP', nodePort: 30_080 }] };
	const status = { loadBalancer: { ingress: [{ ip: '198.51.100.10' }] } };
	state.setService(service('web', outside, { status }));
	// Hints send this node's own connections elsewhere; those that others send here stay here.
	const hinted = (address: string, nodeName: string) =>
		endpoint(address, nodeName, { hints: { forZones: [{ name: nodeName === 'node-b' ? 'za' : 'zb' }] } });
	state.setSlice(slice('web-1', 'web', [hinted('10.0.1.1', 'node-b'), hinted('10.0.2.1', 'node-a')]));
	state.settle();
	const { frontends, pools } = state.model;
	const direct = 'ns/web:80/tcp@ipv4#local';
	t.deepEqual(
		[...frontends.values()].map(({ type, directPool }) => [type, directPool]),
		[
			['cluster-ip', undefined],
			['load-balancer-ip', direct],
			['node-port', direct],
		],
	);
	t.deepEqual(pools.get(direct)?.backends, [{ address: '10.0.2.1', port: 8080, local: true, node: 'node-a' }]);
	t.deepEqual(pools.get(poolKey)?.backends, [{ address: '10.0.1.1', port: 8080, local: false, node: 'node-b' }]);
	state.setSlice(slice('web-1', 'web', [hinted('10.0.1.1', 'node-b')]));
	const { frontends: changed, pools: gone } = state.settle();
	t.deepEqual(
		changed.set.map(({ after }) => after.directPool),
		[undefined, undefined],
	);
	t.deepEqual(
		gone.removed.map(({ key }) => key),
		[direct],
	);
	state.setService(service('web', { ...outside, externalTrafficPolicy: 'Local' }, { status }));
	state.settle();
	t.true(
		[...state.model.frontends.values()].every(({ directPool }) => directPool === undefined),
		'policy Local has no need of it',
	);
});
