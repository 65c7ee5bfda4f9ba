import test from 'ava';
import { prefixKey, silentLogger, systemClock } from '../../src/core/index.ts';
import { Allocator, conflictRetry, type Pool, reportAddress } from '../../src/ipam/index.ts';
import type { JsonObject } from '../../src/json/index.ts';
import { toResource } from '../../src/kubernetes/index.ts';
import {
	planTunnelAddress,
	type TunnelAddressFacts,
	TunnelAddressKeeper,
	type TunnelAddressPlan,
	type TunnelAddressPool,
	tunnelAddressPools,
} from '../../src/node/tunnel-address.ts';
import { CrashError, MemoryCluster, memoryStore } from '../fakes/memory-ipam-store.ts';
import { testPool } from '../support/pool.ts';

const one: TunnelAddressPool = { name: 'one', cidr: prefixKey('10.1.0.0/24') };
const two: TunnelAddressPool = { name: 'two', cidr: prefixKey('10.2.0.0/24') };
const held = (address: string, right = true) => ({ address, right });

const rows: readonly {
	readonly title: string;
	readonly given: Partial<TunnelAddressFacts>;
	readonly plan: TunnelAddressPlan;
}[] = [
	{ title: 'the first address is assigned', given: {}, plan: { type: 'assign', preferred: undefined, release: [] } },
	{
		title: 'a correct address is kept',
		given: { annotated: '10.1.0.7', held: [held('10.1.0.7')] },
		plan: { type: 'held', address: '10.1.0.7', release: [] },
	},
	{
		title: 'an assigned address that is missing on the Node is written',
		given: { held: [held('10.1.0.7')] },
		plan: { type: 'held', address: '10.1.0.7', release: [] },
	},
	{
		title: 'of two addresses the one on the Node is kept',
		given: { annotated: '10.1.0.9', held: [held('10.1.0.7'), held('10.1.0.9')] },
		plan: { type: 'held', address: '10.1.0.9', release: ['10.1.0.7'] },
	},
	{
		title: 'the pool has changed',
		given: { annotated: '10.2.0.7', held: [held('10.2.0.7')] },
		plan: { type: 'assign', preferred: undefined, release: ['10.2.0.7'] },
	},
	{
		title: 'the pool has changed, and the new address was assigned before a crash',
		given: { annotated: '10.2.0.7', held: [held('10.2.0.7'), held('10.1.0.7')] },
		plan: { type: 'held', address: '10.1.0.7', release: ['10.2.0.7'] },
	},
	{
		title: "an address whose handle attributes do not name this node's tunnel is released",
		given: { annotated: '10.1.0.7', held: [held('10.1.0.7', false)] },
		plan: { type: 'assign', preferred: undefined, release: ['10.1.0.7'] },
	},
	{
		title: 'an unassigned address on the Node is requested',
		given: { annotated: '10.1.0.7' },
		plan: { type: 'assign', preferred: '10.1.0.7', release: [] },
	},
	{
		title: 'an address outside of the pools is not requested',
		given: { annotated: '10.9.0.7' },
		plan: { type: 'assign', preferred: undefined, release: [] },
	},
	{
		title: 'the address of the range replaces an assigned one',
		given: { annotated: '10.1.0.7', held: [held('10.1.0.7')], fixed: '10.244.1.1' },
		plan: { type: 'fixed', address: '10.244.1.1', release: ['10.1.0.7'] },
	},
	{
		title: 'without a pool the address of the range is not needed',
		given: { annotated: '10.244.1.1', pools: [], fixed: '10.244.1.1' },
		plan: { type: 'none', release: [] },
	},
	{
		title: 'without a pool the address is released',
		given: { annotated: '10.1.0.7', pools: [], held: [held('10.1.0.7')] },
		plan: { type: 'none', release: ['10.1.0.7'] },
	},
];
for (const { title, given, plan } of rows) {
	test(`the address of the tunnel: ${title}`, (t) => {
		t.deepEqual(planTunnelAddress({ annotated: undefined, pools: [one], held: [], ...given }), plan);
	});
}

const pool = (name: string, spec: JsonObject, metadata: JsonObject = {}) =>
	toResource({ metadata: { name, ...metadata }, spec });
for (const [title, spec, serves] of [
	['IPIP', { cidr: '10.1.0.0/24', ipipMode: 'CrossSubnet' }, true],
	['no IPIP', { cidr: '10.1.0.0/24', ipipMode: 'Never' }, false],
	['disabled', { cidr: '10.1.0.0/24', ipipMode: 'Always', disabled: true }, false],
	['for pods only', { cidr: '10.1.0.0/24', ipipMode: 'Always', allowedUses: ['Workload'] }, false],
	['a selector that selects this node', { cidr: '10.1.0.0/24', ipipMode: 'Always', nodeSelector: 'rack == "1"' }, true],
	[
		'a selector that selects other nodes',
		{ cidr: '10.1.0.0/24', ipipMode: 'Always', nodeSelector: 'rack == "2"' },
		false,
	],
	['without a CIDR', { ipipMode: 'Always' }, false],
] as const) {
	test(`a pool gives tunnel addresses to this node: ${title}: ${serves ? 'yes' : 'no'}`, (t) => {
		t.is(tunnelAddressPools([pool('p', spec)], { rack: '1' }).length, serves ? 1 : 0);
	});
}

const ipamPool = ({ name, cidr }: TunnelAddressPool): Pool => testPool({ name, cidr, blockSize: 28 });

/**
 * A cluster with one node, whose Node annotation is one string. `writes` are the API server's
 * failures.
 */
function world() {
	const shared = Object.assign(new MemoryCluster(), { pools: [one, two].map(ipamPool) });
	const node = { annotated: undefined as string | undefined };
	const process = (options: { readonly annotate?: (address: string | undefined) => Promise<void> } = {}) => {
		const store = memoryStore(shared, { cached: true });
		const allocator = new Allocator({
			node: 'a',
			store,
			clock: systemClock,
			random: Math.random,
			retry: conflictRetry(Math.random, { firstMs: 0.1, mostMs: 1 }),
			log: silentLogger,
			selectorMatches: () => true,
		});
		const annotate =
			options.annotate ??
			(async (address: string | undefined) => {
				// The Node never names an address that this node does not own.
				if (address !== undefined && ownerOf(address) !== handle)
					throw new Error(`${address} is ${ownerOf(address) ?? 'no owner'}'s`);
				if (node.annotated !== undefined && ownerOf(node.annotated) !== handle)
					throw new Error(`${node.annotated} was given back too early`);
				node.annotated = address;
			});
		const keeper = new TunnelAddressKeeper({ node: 'a', allocator, store, annotate });
		return {
			allocator,
			store,
			reconcile: (...pools: TunnelAddressPool[]) => keeper.reconcile({ annotated: node.annotated, pools }),
		};
	};
	const blocks = () => [...shared.blocks.values()].map(({ value }) => value);
	const ownerOf = (address: string) => reportAddress(blocks(), address).handleId;
	const owned = () => blocks().flatMap(({ allocations }) => allocations.filter((index) => index !== null)).length;
	return { shared, node, process, ownerOf, owned };
}
const handle = 'ipip-tunnel-addr-a';

test('the tunnel has an address of the pool, and a repeated check sends no request', async (t) => {
	const { node, process, ownerOf, owned } = world();
	const { reconcile, store } = process();
	await reconcile(one);
	t.regex(node.annotated ?? '', /^10\.1\.0\./);
	t.is(ownerOf(node.annotated ?? ''), handle);
	const { reads, writes } = store.counts;
	await reconcile(one);
	t.deepEqual({ ...store.counts }, { ...store.counts, reads, writes });
	// A new process finds the assignment correct.
	await process().reconcile(one);
	t.is(owned(), 1);
});

test('another pool: the Node gets the new address before the old address is released', async (t) => {
	const { node, process, owned, shared } = world();
	const { reconcile } = process();
	await reconcile(one);
	await reconcile(two);
	t.regex(node.annotated ?? '', /^10\.2\.0\./);
	t.is(owned(), 1);
	t.deepEqual(Object.values([...shared.handles.values()][0]?.value.blocks ?? {}), [1]);
});

test('without a pool the annotation goes, then the address and its handle', async (t) => {
	const { node, process, owned, shared } = world();
	const { reconcile } = process();
	await reconcile(one);
	await reconcile();
	t.is(node.annotated, undefined);
	t.is(owned(), 0);
	t.is(shared.handles.size, 0);
	await reconcile(one);
	t.regex(node.annotated ?? '', /^10\.1\.0\./);
});

test('a failed write of the Node is retried with the same address', async (t) => {
	const { node, process, owned } = world();
	await process().reconcile(one);
	const failing = process({ annotate: () => Promise.reject(new CrashError('no answer')) });
	await t.throwsAsync(failing.reconcile(two), { instanceOf: CrashError });
	t.regex(node.annotated ?? '', /^10\.1\.0\./, 'the old one is still there');
	t.is(owned(), 2);
	await process().reconcile(two);
	t.regex(node.annotated ?? '', /^10\.2\.0\./);
	t.is(owned(), 1);
});

test('an unassigned address on the Node is assigned, unless another owner holds it', async (t) => {
	const { node, process, ownerOf } = world();
	node.annotated = '10.1.0.5';
	const annotate = async (address: string | undefined) => {
		node.annotated = address;
	};
	await process({ annotate }).reconcile(one);
	t.is(node.annotated, '10.1.0.5');
	t.is(ownerOf('10.1.0.5'), handle);
	const other = world();
	const { allocator } = other.process();
	const pod = await allocator.assign({
		handleId: 'net.pod',
		attributes: { node: 'a' },
		families: ['ipv4'],
		use: 'Workload',
		addresses: { ipv4: '10.1.0.5' },
	});
	t.is(pod.type, 'assigned');
	other.node.annotated = '10.1.0.5';
	await other
		.process({
			annotate: async (address) => {
				other.node.annotated = address;
			},
		})
		.reconcile(one);
	t.not(other.node.annotated, '10.1.0.5');
	t.is(other.ownerOf('10.1.0.5'), 'net.pod');
});

test('nothing is changed while the datastore is locked', async (t) => {
	const { node, process, owned, shared } = world();
	const { reconcile } = process();
	await reconcile(one);
	const before = node.annotated;
	shared.readOnlyReason = 'a migration';
	await reconcile();
	t.is(node.annotated, before);
	t.is(owned(), 1);
	shared.readOnlyReason = undefined;
	await reconcile();
	t.is(owned(), 0);
});
