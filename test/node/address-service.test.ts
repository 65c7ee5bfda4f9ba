import test from 'ava';
import { ControlError } from '../../src/control/index.ts';
import { prefixKey, silentLogger, systemClock } from '../../src/core/index.ts';
import { Allocator, conflictRetry, type Pool } from '../../src/ipam/index.ts';
import type { JsonObject } from '../../src/json/index.ts';
import { ApiClient, coreKinds, Informer, selectorMatches } from '../../src/kubernetes/index.ts';
import { addressService } from '../../src/node/address-service.ts';
import { MemoryCluster, memoryStore } from '../fakes/memory-ipam-store.ts';
import { testPool } from '../support/pool.ts';

const pool = (name: string, cidr: string, overrides: Partial<Pool> = {}): Pool =>
	testPool({
		name,
		cidr: prefixKey(cidr),
		...(cidr.includes(':') ? { family: 'ipv6', blockSize: 122 } : {}),
		...overrides,
	});

/** Pods by `namespace/name`. */
class PodServer extends ApiClient {
	readonly pods = new Map<string, JsonObject>();

	constructor() {
		super({ server: 'http://127.0.0.1:1', namespace: 'default', options: async () => ({}) }, Math.random);
	}

	override async get(...[, name, namespace]: Parameters<ApiClient['get']>) {
		return this.pods.get(`${namespace}/${name}`);
	}
}

function setUp(nodeFamilies: readonly ('ipv4' | 'ipv6')[] = []) {
	const shared = Object.assign(new MemoryCluster(), {
		pools: [
			pool('blue', '10.1.0.0/24'),
			pool('manual', '10.2.0.0/24', { assignmentMode: 'Manual' }),
			pool('six', 'fd00::/64'),
		],
	});
	const client = new PodServer();
	const namespaces: Record<string, Record<string, string>> = {};
	const store = { ...memoryStore(shared), namespaceAnnotations: async (name: string) => namespaces[name] ?? {} };
	const dependencies = { clock: systemClock, random: Math.random, log: silentLogger };
	const retry = conflictRetry(Math.random, { firstMs: 0.1, mostMs: 1 });
	const allocator = new Allocator({ node: 'node-a', store, retry, selectorMatches, ...dependencies });
	const pods = new Informer({ client, kind: coreKinds.pods, ...dependencies });
	const service = addressService({
		node: 'node-a',
		allocator,
		store,
		client,
		pods,
		released: () => {},
		nodeFamilies: () => nodeFamilies,
		log: silentLogger,
	});
	const pod = (name: string) => ({ namespace: 'default', name });
	const attachment = (containerId: string, network = 'net') => ({
		network,
		containerId,
		ifname: 'eth0',
		pod: pod(containerId),
	});
	const add = async (containerId: string, more: object = {}) => {
		const request = { ...attachment(containerId), families: ['ipv4'], ipv4Pools: [], ipv6Pools: [], ...more };
		return (await service.cniAdd({ request })).addresses.map(({ address }) => address);
	};
	const annotate = (name: string, annotations: Record<string, string>) =>
		client.pods.set(`default/${name}`, { metadata: { name, namespace: 'default', annotations }, spec: {}, status: {} });
	return { shared, service, allocator, store, attachment, add, annotate, namespaces };
}

test('a pod gets addresses of the pools of its namespace, unless the pod names its own pools', async (t) => {
	const { add, annotate, namespaces } = setUp();
	namespaces['default'] = { 'cni.projectcalico.org/ipv4pools': '["manual"]' };
	t.regex((await add('one')).join(), /^10\.2\./);
	annotate('two', { 'cni.projectcalico.org/ipv4pools': '["10.1.0.0/24"]' });
	t.regex((await add('two')).join(), /^10\.1\./);
});

test('a request for certain addresses gets exactly these addresses, of either family', async (t) => {
	const { add, annotate } = setUp();
	annotate('six', { 'cni.projectcalico.org/ipAddrs': '["fd00::7"]' });
	t.deepEqual(await add('six'), ['fd00::7']);
	annotate('four', { 'cni.projectcalico.org/ipAddrs': '["10.2.0.7"]' });
	t.deepEqual(await add('four', { families: ['ipv4', 'ipv6'] }), ['10.2.0.7']);
	t.deepEqual(await add('by-argument', { wantedAddresses: ['10.1.0.9'] }), ['10.1.0.9']);
});

test('a refusal lists the considered pools and whether a retry can help, in machine-readable form', async (t) => {
	const { add, annotate } = setUp();
	annotate('one', { 'cni.projectcalico.org/ipv4pools': '["blue","typo"]' });
	const refusal = await t.throwsAsync(add('one'), { instanceOf: ControlError });
	t.like(refusal, { status: 409, code: 'no-address' });
	t.deepEqual(refusal?.details, {
		family: 'ipv4',
		reason: 'what was asked for is no pool of this family that is enabled: typo (there is no such pool)',
		temporary: false,
		pools: [{ pool: 'typo', reason: 'there is no such pool' }],
	});
});

test('garbage collection for one network keeps the containers of a network whose name begins with the same text', async (t) => {
	const { service, add } = setUp();
	await add('one');
	const [other = ''] = await add('two', { network: 'net.blue' });
	const { addresses } = await service.cniCollect({
		request: { network: 'net', validAttachments: [{ containerId: 'one', ifname: 'eth0' }] },
	});
	t.deepEqual(addresses, []);
	t.deepEqual(
		(
			await service.cniCheck({
				request: { network: 'net.blue', containerId: 'two', ifname: 'eth0', addresses: [other] },
			})
		).addresses.map(({ address }) => address),
		[other],
	);
	t.is((await service.cniCollect({ request: { network: 'net', validAttachments: [] } })).addresses.length, 1);
});

test('garbage collection for a network keeps virtual machines and tunnel addresses of this node, under any handle', async (t) => {
	const { service, allocator } = setUp();
	const node = 'node-a';
	for (const [handleId, attributes] of [
		['net.default-machine', { node, pod: 'virt-launcher-1', namespace: 'default', 'vmi-name': 'machine' }],
		['net.tunnel', { node, type: 'vxlanTunnelAddress' }],
		['net.gone', { node, pod: 'gone', namespace: 'default' }],
	] as const)
		t.is((await allocator.assign({ handleId, attributes, families: ['ipv4'], use: 'Workload' })).type, 'assigned');
	const { addresses } = await service.cniCollect({ request: { network: 'net', validAttachments: [] } });
	t.deepEqual([addresses.length, (await allocator.release('net.default-machine')).type], [1, 'released']);
	const left = await allocator.release('net.tunnel');
	t.is(left.type === 'released' ? left.addresses.length : 0, 1);
});

test('a pod of Calico v2 is released by its own handle', async (t) => {
	const { service, allocator, attachment, shared } = setUp();
	await allocator.assign({ handleId: 'default.old', attributes: {}, families: ['ipv4'], use: 'Workload' });
	t.is((await service.cniDelete({ request: attachment('old') })).addresses.length, 1);
	t.is((await service.cniDelete({ request: attachment('old') })).addresses.length, 0);
	t.is(shared.handles.size, 0);
});

test('while the datastore is locked nothing is released, and the response is to retry later', async (t) => {
	const { service, attachment, add, shared } = setUp();
	await add('one');
	shared.readOnlyReason = 'a migration holds the datastore';
	for (const release of [
		() => service.cniDelete({ request: attachment('one') }),
		() => service.cniCollect({ request: { network: 'net', validAttachments: [] } }),
	])
		t.like(
			await t.throwsAsync(async () => release(), {
				instanceOf: ControlError,
				message: 'a migration holds the datastore',
			}),
			{ status: 503 },
		);
	t.is(shared.handles.size, 1);
});

test('CHECK detects a container whose address belongs to another container', async (t) => {
	const { service, add, attachment } = setUp();
	const [address = ''] = await add('one');
	await add('two');
	await t.throwsAsync(async () => service.cniCheck({ request: { ...attachment('two'), addresses: [address] } }), {
		instanceOf: ControlError,
		message: /container two holds 10\.1\.[0-9.]+, not 10\.1\./,
	});
});

test('two interfaces of a container in one network have one address each; each is checked and released separately', async (t) => {
	const { service, add, attachment, shared } = setUp();
	const [first = ''] = await add('one');
	const [second = ''] = await add('one', { ifname: 'net1' });
	t.not(first, second);
	const check = (ifname: string, address: string) =>
		service.cniCheck({ request: { ...attachment('one'), ifname, addresses: [address] } });
	await t.notThrowsAsync(async () => check('net1', second));
	await t.throwsAsync(async () => check('net1', first), {
		instanceOf: ControlError,
		message: `container one holds ${second}, not ${first}`,
	});
	t.deepEqual(await service.cniDelete({ request: { ...attachment('one'), ifname: 'net1' } }), { addresses: [second] });
	await t.notThrowsAsync(async () => check('eth0', first));
	t.deepEqual(await service.cniDelete({ request: attachment('one') }), { addresses: [first] });
	t.is(shared.handles.size, 0);
});

test('garbage collection releases the addresses of removed interfaces, and keeps those that an existing interface may have', async (t) => {
	const { service, add, allocator } = setUp();
	const [first = ''] = await add('one');
	const [second = ''] = await add('one', { ifname: 'net1' });
	const [third = ''] = await add('two', { ifname: 'net1' });
	await allocator.assign({
		handleId: 'net.calico',
		attributes: { node: 'node-a', pod: 'calico', namespace: 'default' },
		families: ['ipv4'],
		use: 'Workload',
	});
	const collect = async (...attachments: [containerId: string, ifname: string][]) => {
		const validAttachments = attachments.map(([containerId, ifname]) => ({ containerId, ifname }));
		return (await service.cniCollect({ request: { network: 'net', validAttachments } })).addresses;
	};
	t.deepEqual(await collect(['one', 'eth0'], ['one', 'net1'], ['two', 'net1'], ['calico', 'eth0']), []);
	t.deepEqual(await collect(['one', 'eth0'], ['two', 'net1'], ['calico', 'eth0']), [second]);
	t.deepEqual((await collect(['calico', 'net1'])).toSorted(), [first, third].toSorted());
	t.is((await collect()).length, 1);
});

test("a request of the runtime has precedence over the pod's annotation; a refusal names its reason", async (t) => {
	const { add, annotate, shared } = setUp();
	annotate('one', { 'cni.projectcalico.org/ipAddrs': '["10.1.0.7","fd00::7"]' });
	t.deepEqual(await add('one', { ifname: 'net1', wantedAddresses: ['10.1.0.9'] }), ['10.1.0.9']);
	t.deepEqual((await add('one')).toSorted(), ['10.1.0.7', 'fd00::7']);
	t.deepEqual(await add('one', { ifname: 'net1', wantedAddresses: ['10.1.0.9'] }), ['10.1.0.9']);
	const refusals: readonly [container: string, more: object, message: RegExp][] = [
		['one', { ifname: 'net1', wantedAddresses: ['10.1.0.10'] }, /10\.1\.0\.9 is its address already, not 10\.1\.0\.10/],
		['two', { wantedAddresses: ['10.1.0.9'] }, /ipv4: 10\.1\.0\.9 is taken/],
		['two', { wantedAddresses: ['10.9.0.1'] }, /ipv4: 10\.9\.0\.1 is in no pool/],
		['two', { wantedAddresses: ['10.1.0.20', '10.1.0.21'] }, /10\.1\.0\.20 and 10\.1\.0\.21 are both of ipv4/],
		['two', { wantedAddresses: ['10.1.0.300'] }, /10\.1\.0\.300/],
		['two', { wantedAddresses: ['10.1.0.20', 'fd01::1'] }, /ipv6: fd01::1 is in no pool/],
	];
	for (const [container, more, message] of refusals)
		await t.throwsAsync(add(container, more), { instanceOf: ControlError, message });
	t.is(shared.handles.size, 1, 'nothing is left of what was refused');
	// A reservation excludes an address from automatic assignment only, as in Calico.
	shared.reservations = [prefixKey('10.1.0.30/32')];
	t.deepEqual(await add('two', { wantedAddresses: ['10.1.0.30'] }), ['10.1.0.30']);
	t.deepEqual(await add('two', { wantedAddresses: ['10.1.0.30'] }), ['10.1.0.30']);
	shared.pools = [];
	t.deepEqual(
		await add('two', { wantedAddresses: ['10.1.0.30'] }),
		['10.1.0.30'],
		'its owner gets it again, with any state of the pool',
	);
});

for (const [title, network] of [
	['a character that is not allowed in resource names', 'my_net'],
	['more characters than a resource name may have', 'n'.repeat(260)],
] as const)
	test(`ADD for a network name with ${title} is refused, and DEL succeeds`, async (t) => {
		const { service, add, attachment, shared } = setUp();
		await t.throwsAsync(add('one', { network }), {
			instanceOf: ControlError,
			message: /can not be the name of a resource/,
		});
		t.is(shared.handles.size, 0);
		t.deepEqual(await service.cniDelete({ request: attachment('one', network) }), { addresses: [] });
	});

test('an IPv6-only node gives only IPv6 addresses, and reports this when only IPv4 addresses are requested', async (t) => {
	const { add } = setUp(['ipv6']);
	const both = await add('both', { families: ['ipv4', 'ipv6'] });
	t.is(both.length, 1);
	t.regex(both[0] ?? '', /^fd00::/);
	const refusal = await t.throwsAsync(add('four', { families: ['ipv4'] }), { instanceOf: ControlError });
	t.is(refusal?.message, 'this node has an IPv6 address alone, and the network asks for IPv4 addresses');
	t.is((await setUp(['ipv4']).add('both', { families: ['ipv4', 'ipv6'] })).length, 2);
});
