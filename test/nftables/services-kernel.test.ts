import { execFileSync } from 'node:child_process';
import test from 'ava';
import fc from 'fast-check';
import { prefixKey } from '../../src/core/index.ts';
import type { JsonObject } from '../../src/json/index.ts';
import { loadRuleset, systemEnvironment } from '../../src/linux/index.ts';
import { NftablesServices } from '../../src/nftables/index.ts';
import { differenceOf, resolveSettings, type ServicesModel, ServicesState } from '../../src/services/index.ts';
import { enterNewNamespace, noNamespaces } from '../support/namespace.ts';

if (noNamespaces !== undefined) console.warn(`SKIPPED: services in the kernel: ${noNamespaces}`);
const namespaceTest = noNamespaces === undefined ? test.serial : test.skip;

let loads = 0;
const load: typeof loadRuleset = (rules) => {
	loads++;
	return loadRuleset(rules);
};
const open = () => new NftablesServices({ load });
const listing = () =>
	execFileSync('nft', ['list', 'table', 'inet', 'bgpmesh_services'], { encoding: 'utf8', env: systemEnvironment() })
		.replaceAll(/expires \S+/g, '')
		.split('\n')
		// Elements of one set are listed in any order, several on a line.
		.flatMap((line) => line.replace(/elements = \{|\}/, '').split(', '))
		.map((line) => line.trim().replace(/,$/, ''))
		.filter((line) => line !== '')
		.sort();

/** A Service with its endpoints. */
interface Sample {
	readonly id: number;
	readonly endpoints: readonly number[];
	readonly local: boolean;
	readonly affinity: boolean;
	readonly affinitySeconds?: number;
	readonly type: 'ClusterIP' | 'NodePort' | 'LoadBalancer';
	readonly ranges: boolean;
	readonly protocol: 'TCP' | 'UDP' | 'SCTP';
}

const sample: fc.Arbitrary<Sample> = fc.record({
	id: fc.integer({ min: 1, max: 5 }),
	endpoints: fc.uniqueArray(fc.integer({ min: 1, max: 6 }), { maxLength: 5 }),
	local: fc.boolean(),
	affinity: fc.boolean(),
	type: fc.constantFrom('ClusterIP', 'NodePort', 'LoadBalancer'),
	ranges: fc.boolean(),
	protocol: fc.constantFrom('TCP', 'UDP', 'SCTP'),
});

const settings = resolveSettings(
	{
		podRanges: [prefixKey('10.0.0.0/8'), prefixKey('fd00::/16')],
		serviceRanges: [prefixKey('172.30.0.0/16')],
		masqueradeAll: false,
		nodePortAddresses: 'primary',
	},
	['192.168.0.2'],
);

const newState = (numbers?: ConstructorParameters<typeof ServicesState>[0]['numbers']) =>
	new ServicesState({
		node: { name: 'node-a', primary: { ipv4: '192.168.0.2' } },
		settings,
		...(numbers === undefined ? {} : { numbers }),
	});

function put(state: ServicesState, sample: Sample): void {
	const { id, endpoints, local, affinity, affinitySeconds, type, ranges, protocol } = sample;
	const name = `svc${id}`;
	const metadata: JsonObject = { name, namespace: 'ns' };
	state.setService({
		metadata,
		spec: {
			type,
			clusterIP: `172.30.0.${id}`,
			clusterIPs: [`172.30.0.${id}`],
			externalIPs: id % 2 === 0 ? [`203.0.113.${id}`] : [],
			ports: [{ name: 'p', port: 80, protocol, nodePort: type === 'ClusterIP' ? 0 : 30000 + id }],
			sessionAffinity: affinity ? 'ClientIP' : 'None',
			...(affinitySeconds === undefined
				? {}
				: { sessionAffinityConfig: { clientIP: { timeoutSeconds: affinitySeconds } } }),
			externalTrafficPolicy: local ? 'Local' : 'Cluster',
			loadBalancerSourceRanges: ranges ? ['198.51.100.0/24', '198.51.0.0/16'] : [],
		},
		status: { loadBalancer: { ingress: type === 'LoadBalancer' ? [{ ip: `192.0.2.${id}` }] : [] } },
	});
	state.setSlice({
		metadata: { name: `${name}-1`, namespace: 'ns', labels: { 'kubernetes.io/service-name': name } },
		addressType: 'IPv4',
		endpoints: endpoints.map((number) => ({
			addresses: [`10.1.0.${number}`],
			nodeName: number % 2 === 0 ? 'node-a' : 'node-b',
			conditions: {},
		})),
		ports: [{ name: 'p', port: 8080, protocol }],
	});
}

const pools = (model: Pick<ServicesModel, 'pools'>) =>
	[...model.pools]
		.map(([key, { backends }]) => [key, backends.map(({ address, port }) => `${address}:${port}`)])
		.sort();

namespaceTest('after any sequence of changes the table equals that of a start with the last model', async (t) => {
	t.timeout(300_000);
	await fc.assert(
		fc.asyncProperty(fc.array(sample, { minLength: 2, maxLength: 8 }), async (samples) => {
			enterNewNamespace();
			const stepwise = open();
			const state = newState();
			await stepwise.sync(state.model);
			loads = 0;
			for (const one of samples) {
				put(state, one);
				await stepwise.apply(state.settle(), state.model);
			}
			await stepwise.settled();
			t.is(loads, 0, 'a change of Services went by text');
			const actual = listing();
			// A restart reuses the numbers of the backends, and writes nothing.
			const restarted = open();
			const used = pools(state.model);
			const named = new Set(used.map(([key]) => key));
			const numbers = [...(await restarted.numbers())]
				.filter(([key]) => named.has(key))
				.map(([key, backends]) => [key, backends.map(({ address, port }) => `${address}:${port}`)])
				.sort();
			t.deepEqual(
				numbers,
				used.filter(([key]) => numbers.some(([other]) => other === key)),
			);
			t.deepEqual(await restarted.sync(state.model), { added: 0, removed: 0 });
			stepwise.close();
			restarted.close();
			enterNewNamespace();
			const whole = open();
			await whole.sync(state.model);
			t.deepEqual(actual, listing());
			whole.close();
		}),
		{ numRuns: 12 },
	);
});

namespaceTest('a restart with a changed model writes only the difference', async (t) => {
	enterNewNamespace();
	const state = newState();
	const base = {
		endpoints: [1, 2, 3],
		local: false,
		affinity: false,
		type: 'ClusterIP',
		ranges: false,
		protocol: 'TCP',
	} as const;
	for (let id = 1; id <= 5; id++) put(state, { ...base, id });
	state.settle();
	const first = open();
	await first.sync(state.model);
	first.close();
	const second = open();
	const restarted = newState(await second.numbers());
	for (let id = 1; id <= 5; id++) put(restarted, { ...base, id, endpoints: id === 3 ? [3, 2, 5] : [3, 1, 2] });
	restarted.settle();
	// One backend replaces another one under its number: its element, and its entry for connections
	// to itself.
	t.deepEqual(await second.sync(restarted.model), { added: 2, removed: 1 });
	t.is(differenceOf(state.model, restarted.model).pools.set.length, 1);
	second.close();
});

namespaceTest('a Service with another time of affinity than an earlier one is added', async (t) => {
	enterNewNamespace();
	const base = {
		endpoints: [1, 2],
		local: false,
		affinity: true,
		type: 'NodePort',
		ranges: false,
		protocol: 'TCP',
	} as const;
	const state = newState();
	const kernel = open();
	put(state, { ...base, id: 1 });
	state.settle();
	await kernel.sync(state.model);
	put(state, { ...base, id: 2, affinitySeconds: 15 });
	await t.notThrowsAsync(kernel.apply(state.settle(), state.model));
	t.true(listing().some((line) => line.includes('timeout 15s')));
	kernel.close();
});

namespaceTest('a chain that others removed comes back, though nft cannot read its map', async (t) => {
	enterNewNamespace();
	const state = newState();
	const kernel = open();
	put(state, {
		...{ id: 1, endpoints: [1, 2], local: false, affinity: false, type: 'ClusterIP', ranges: false, protocol: 'TCP' },
	});
	state.settle();
	await kernel.sync(state.model);
	const whole = listing();
	const chain = whole.find((line) => line.startsWith('chain dn-'))?.split(' ')[1] ?? '';
	execFileSync('nft', ['flush', 'chain', 'inet', 'bgpmesh_services', chain], { env: systemEnvironment() });
	t.notDeepEqual(listing(), whole);
	await kernel.sync(state.model);
	t.deepEqual(listing(), whole);
	kernel.close();
});

namespaceTest('backends under the old number of endpoints stay until packets on their way have passed', async (t) => {
	enterNewNamespace();
	const kernel = open();
	t.teardown(() => kernel.close());
	const state = newState();
	const web: Sample = {
		...{ id: 1, endpoints: [1, 2], local: false, affinity: false, type: 'ClusterIP', ranges: false, protocol: 'TCP' },
	};
	put(state, web);
	state.settle();
	await kernel.sync(state.model);
	const of = (size: number) =>
		listing().filter((line) => line.includes(`tcp . 80 . `) && line.endsWith(`8080`)).length - size;
	put(state, { ...web, endpoints: [1, 2, 3] });
	await kernel.apply(state.settle(), state.model);
	t.is(of(3), 2, 'both numbers');
	// They come back before they went.
	put(state, { ...web, endpoints: [1, 4] });
	await kernel.apply(state.settle(), state.model);
	t.is(of(2), 3);
	await kernel.settled();
	t.is(of(2), 0);
	t.true(listing().some((line) => line.includes('10.1.0.4 . 8080')));
});
