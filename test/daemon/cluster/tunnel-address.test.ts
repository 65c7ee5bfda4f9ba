import test from 'ava';
import { prefixKey, silentLogger, systemClock } from '../../../src/core/index.ts';
import {
	planTunnelAddress,
	type TunnelAddressFacts,
	TunnelAddressKeeper,
	type TunnelAddressPlan,
	type TunnelAddressPool,
	tunnelAddressPools,
} from '../../../src/daemon/cluster/tunnel-address.ts';
import { Allocator, conflictRetry, type Pool, reportAddress } from '../../../src/ipam/index.ts';
import { type JsonObject, toResource } from '../../../src/kubernetes/index.ts';
import { CrashError, MemoryCluster, memoryStore } from '../../fakes/memory-ipam-store.ts';
import { testPool } from '../../support/pool.ts';

const one: TunnelAddressPool = { name: 'one', cidr: prefixKey('10.1.0.0/24') };
const two: TunnelAddressPool = { name: 'two', cidr: prefixKey('10.2.0.0/24') };
const held = (address: string, right = true) => ({ address, right });

const rows: readonly { readonly title: string; readonly given: Partial<TunnelAddressFacts>; readonly plan: TunnelAddressPlan }[] = [
	{ title: 'the first one is given', given: {}, plan: { type: 'assign', preferred: undefined, release: [] } },
	{ title: 'one that is right is kept', given: { annotated: '10.1.0.7', held: [held('10.1.0.7')] }, plan: { type: 'held', address: '10.1.0.7', release: [] } },
	{ title: 'one that the Node does not say yet is said', given: { held: [held('10.1.0.7')] }, plan: { type: 'held', address: '10.1.0.7', release: [] } },
	{
		title: 'of two the one that the Node says is kept',
		given: { annotated: '10.1.0.9', held: [held('10.1.0.7'), held('10.1.0.9')] },
		plan: { type: 'held', address: '10.1.0.9', release: ['10.1.0.7'] },
	},
	{
		title: 'the pool has changed',
		given: { annotated: '10.2.0.7', held: [held('10.2.0.7')] },
		plan: { type: 'assign', preferred: undefined, release: ['10.2.0.7'] },
	},
	{
		title: 'the pool has changed, and the new one was given before a crash',
		given: { annotated: '10.2.0.7', held: [held('10.2.0.7'), held('10.1.0.7')] },
		plan: { type: 'held', address: '10.1.0.7', release: ['10.2.0.7'] },
	},
	{
		title: "one that does not say that it is this node's tunnel's goes",
		given: { annotated: '10.1.0.7', held: [held('10.1.0.7', false)] },
		plan: { type: 'assign', preferred: undefined, release: ['10.1.0.7'] },
	},
	{
		title: 'one that the Node says and nobody holds is asked for',
		given: { annotated: '10.1.0.7' },
		plan: { type: 'assign', preferred: '10.1.0.7', release: [] },
	},
	{ title: 'one outside of the pools is not asked for', given: { annotated: '10.9.0.7' }, plan: { type: 'assign', preferred: undefined, release: [] } },
	{
		title: 'the one of the range is taken in place of one that was given',
		given: { annotated: '10.1.0.7', held: [held('10.1.0.7')], fixed: '10.244.1.1' },
		plan: { type: 'fixed', address: '10.244.1.1', release: ['10.1.0.7'] },
	},
	{
		title: 'without a pool there is no need of the one of the range',
		given: { annotated: '10.244.1.1', pools: [], fixed: '10.244.1.1' },
		plan: { type: 'none', release: [] },
	},
	{ title: 'without a pool it goes', given: { annotated: '10.1.0.7', pools: [], held: [held('10.1.0.7')] }, plan: { type: 'none', release: ['10.1.0.7'] } },
];
for (const { title, given, plan } of rows) {
	test(`the address of the tunnel: ${title}`, (t) => {
		t.deepEqual(planTunnelAddress({ annotated: undefined, pools: [one], held: [], ...given }), plan);
	});
}

const pool = (name: string, spec: JsonObject, metadata: JsonObject = {}) => toResource({ metadata: { name, ...metadata }, spec });
for (const [title, spec, serves] of [
	['IPIP', { cidr: '10.1.0.0/24', ipipMode: 'CrossSubnet' }, true],
	['no IPIP', { cidr: '10.1.0.0/24', ipipMode: 'Never' }, false],
	['disabled', { cidr: '10.1.0.0/24', ipipMode: 'Always', disabled: true }, false],
	['for pods alone', { cidr: '10.1.0.0/24', ipipMode: 'Always', allowedUses: ['Workload'] }, false],
	['a selector that selects this node', { cidr: '10.1.0.0/24', ipipMode: 'Always', nodeSelector: 'rack == "1"' }, true],
	['a selector that selects others', { cidr: '10.1.0.0/24', ipipMode: 'Always', nodeSelector: 'rack == "2"' }, false],
	['without a CIDR', { ipipMode: 'Always' }, false],
] as const) {
	test(`a pool gives tunnel addresses to this node: ${title}: ${serves ? 'yes' : 'no'}`, (t) => {
		t.is(tunnelAddressPools([pool('p', spec)], { rack: '1' }).length, serves ? 1 : 0);
	});
}

const ipamPool = ({ name, cidr }: TunnelAddressPool): Pool => testPool({ name, cidr, blockSize: 28 });

/** A node in a cluster whose Node object is one text; `writes` that fail are the API server's. */
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
				// At no moment does the Node name an address that is not its own.
				if (address !== undefined && ownerOf(address) !== handle) throw new Error(`${address} is ${ownerOf(address) ?? 'nobody'}'s`);
				if (node.annotated !== undefined && ownerOf(node.annotated) !== handle) throw new Error(`${node.annotated} was given back too early`);
				node.annotated = address;
			});
		const keeper = new TunnelAddressKeeper({ node: 'a', allocator, store, annotate });
		return { allocator, store, reconcile: (...pools: TunnelAddressPool[]) => keeper.reconcile({ annotated: node.annotated, pools }) };
	};
	const blocks = () => [...shared.blocks.values()].map(({ value }) => value);
	const ownerOf = (address: string) => reportAddress(blocks(), address).handleId;
	const owned = () => blocks().flatMap(({ allocations }) => allocations.filter((index) => index !== null)).length;
	return { shared, node, process, ownerOf, owned };
}
const handle = 'ipip-tunnel-addr-a';

test('the tunnel has an address of the pool, and asking again asks nobody', async (t) => {
	const { node, process, ownerOf, owned } = world();
	const { reconcile, store } = process();
	await reconcile(one);
	t.regex(node.annotated ?? '', /^10\.1\.0\./);
	t.is(ownerOf(node.annotated ?? ''), handle);
	const { reads, writes } = store.counts;
	await reconcile(one);
	t.deepEqual({ ...store.counts }, { ...store.counts, reads, writes });
	// The next process finds it right.
	await process().reconcile(one);
	t.is(owned(), 1);
});

test('another pool: the new address stands on the Node before the old one is given back', async (t) => {
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

test('a Node that could not be written is written at the next attempt, and no second address is taken', async (t) => {
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

test('an address that the Node says and nobody holds is taken, unless it is somebody else’s', async (t) => {
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
	const pod = await allocator.assign({ handleId: 'net.pod', attributes: { node: 'a' }, families: ['ipv4'], use: 'Workload', addresses: { ipv4: '10.1.0.5' } });
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

test('nothing is touched while the datastore is locked', async (t) => {
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
