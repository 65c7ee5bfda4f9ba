import test from 'ava';
import fc from 'fast-check';
import { byPrefix, ordered } from '../../src/fib/diff.ts';
import { diff, type KernelRoute, type RouteOperation, reconcile, sameRoute } from '../../src/fib/index.ts';
import { PrefixTable } from '../../src/fib/prefix-table.ts';
import { FakeRouteKernel } from '../fakes/route-kernel.ts';
import { blackhole, ourProtocol, unicast } from './kernel-contract.ts';

// Few prefixes, gateways and metrics, so that routes often collide.
const prefixes = ['192.168.0.0/26', '192.168.0.64/26', '192.168.0.128/26'];
const route: fc.Arbitrary<KernelRoute> = fc.oneof(
	fc
		.record({
			prefix: fc.constantFrom(...prefixes),
			gateway: fc.constantFrom('10.7.0.2', '10.7.0.3', '10.8.0.2'),
			metric: fc.constantFrom(10, 1024),
			onlink: fc.boolean(),
		})
		.map(({ prefix, gateway, metric, onlink }) =>
			unicast(prefix, gateway, gateway.startsWith('10.7.') ? 'left' : 'right', { metric, onlink }),
		),
	fc
		.record({ prefix: fc.constantFrom(...prefixes), metric: fc.constantFrom(10, 1024) })
		.map(({ prefix, metric }) => blackhole(prefix, metric)),
);
const wantedRoutes = fc
	.uniqueArray(route, { selector: ({ prefix }) => prefix })
	.map((routes) => new Map(routes.map((each) => [each.prefix, each])));
const actualRoutes = fc.uniqueArray(route, { selector: ({ prefix, metric }) => `${prefix} ${metric}` });

const world = (routes: readonly KernelRoute[]): FakeRouteKernel => {
	const kernel = new FakeRouteKernel(ourProtocol);
	kernel.setInterface('left', ['10.7.0.1/24']);
	kernel.setInterface('right', ['10.8.0.1/24']);
	for (const each of routes) kernel.addByOthers(each, ourProtocol);
	return kernel;
};

/** The table after a read of these routes. */
function tableOf(routes: readonly KernelRoute[]): PrefixTable {
	const table = new PrefixTable();
	for (const each of routes) table.setRoutes(table.of(each.prefix), each);
	return table;
}

const keys = (routes: Iterable<KernelRoute>) => [...routes].map((each) => JSON.stringify(each)).sort();

test('after applying the difference the kernel has exactly the desired routes', async (t) => {
	await fc.assert(
		fc.asyncProperty(wantedRoutes, actualRoutes, async (wanted, actual) => {
			const kernel = world(actual);
			t.deepEqual(await kernel.apply(diff(wanted, byPrefix(actual), true)), []);
			t.deepEqual(keys(await kernel.list()), keys(wanted.values()));
		}),
	);
});

test('routes that are already correct need no operation', (t) => {
	fc.assert(
		fc.property(wantedRoutes, (wanted) => {
			t.deepEqual(diff(wanted, byPrefix([...wanted.values()]), true), []);
		}),
	);
});

test('without sweeping no prefix loses its last route', async (t) => {
	await fc.assert(
		fc.asyncProperty(wantedRoutes, actualRoutes, async (wanted, actual) => {
			const kernel = world(actual);
			await kernel.apply(diff(wanted, byPrefix(actual), false));
			const left = new Set((await kernel.list()).map(({ prefix }) => prefix));
			for (const { prefix } of actual) t.true(left.has(prefix));
		}),
	);
});

test('between the operations no desired prefix is ever without a route that it had', async (t) => {
	await fc.assert(
		fc.asyncProperty(wantedRoutes, actualRoutes, async (wanted, actual) => {
			const kernel = world(actual);
			const had = new Set(actual.map(({ prefix }) => prefix));
			for (const operation of diff(wanted, byPrefix(actual), true)) {
				await kernel.apply([operation]);
				const now = new Set((await kernel.list()).map(({ prefix }) => prefix));
				for (const prefix of wanted.keys()) if (had.has(prefix)) t.true(now.has(prefix));
			}
		}),
	);
});

test('new routes come first, then removals, both grouped by next hop', (t) => {
	const add = (prefix: string, via: string): RouteOperation => ({ type: 'add', route: unicast(prefix, via, 'left') });
	const gone: RouteOperation = { type: 'remove', route: blackhole('192.168.9.0/26') };
	const removed = (prefix: string, via: string): RouteOperation => ({ ...add(prefix, via), type: 'remove' });
	const [one, two, three] = [
		add('192.168.1.0/26', '10.7.0.2'),
		add('192.168.2.0/26', '10.7.0.3'),
		add('192.168.3.0/26', '10.7.0.2'),
	];
	const [same, again] = [add('192.168.8.0/26', '10.7.0.2'), add('192.168.10.0/26', '10.7.0.3')];
	t.deepEqual(ordered([gone, one, two, three, same, again]), [one, three, same, two, again, gone]);
	t.deepEqual(ordered([gone, two, one]), [two, one, gone], 'each next hop occurs once');
	const [four, five, six] = [
		removed('192.168.4.0/26', '10.7.0.3'),
		removed('192.168.5.0/26', '10.7.0.2'),
		removed('192.168.6.0/26', '10.7.0.3'),
	];
	const seven = removed('192.168.7.0/26', '10.7.0.3');
	t.deepEqual(ordered([four, five, six, seven]), [four, six, seven, five]);
	t.deepEqual(ordered([four, one, five, six, three]), [one, three, four, six, five]);
	t.deepEqual(ordered([one, three, five]), [one, three, five]);
	t.deepEqual(ordered([five, one]), [one, five]);
});

test('a desired route without interface matches the route with the interface that the kernel chose', (t) => {
	t.true(sameRoute(unicast('192.168.1.0/26', '10.7.0.2', undefined), unicast('192.168.1.0/26', '10.7.0.2', 'left')));
	t.false(sameRoute(unicast('192.168.1.0/26', '10.7.0.2', 'right'), unicast('192.168.1.0/26', '10.7.0.2', 'left')));
});

test('an old route stays if the new one is refused', async (t) => {
	const old = unicast('192.168.0.0/26', '10.7.0.2', 'left', { metric: 10 });
	const kernel = world([old]);
	const table = tableOf([old]);
	const wanted = unicast('192.168.0.0/26', '10.99.0.1', undefined);
	const report = await reconcile([table.of(old.prefix)], { wanted: () => wanted, table, maySweep: () => true }, kernel);
	t.is(report.failures.length, 1);
	t.deepEqual(await kernel.list(), [old]);
});

test('across prefixes all additions precede all removals', async (t) => {
	const olds = Array.from({ length: 6000 }, (_, index) =>
		unicast(`172.16.${index >> 8}.${index & 255}/32`, '10.7.0.2', 'left'),
	);
	const kernel = world(olds);
	const wanted = unicast('192.168.0.0/26', '10.7.0.3', 'left');
	const table = tableOf(olds);
	await reconcile(
		[...olds, wanted].map(({ prefix }) => table.of(prefix)),
		{ wanted: ({ prefix }) => (prefix === wanted.prefix ? wanted : undefined), table, maySweep: () => true },
		kernel,
	);
	t.is(kernel.operations[0]?.type, 'add');
	t.deepEqual(await kernel.list(), [wanted]);
});
