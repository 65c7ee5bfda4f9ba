import test, { type ExecutionContext } from 'ava';
import { prefixKey, type RouteChange } from '../../src/core/index.ts';
import { Fib, type StaticRoute } from '../../src/fib/index.ts';
import { FakeClock } from '../fakes/clock.ts';
import { recordingLogger } from '../fakes/log.ts';
import { FakeRouteKernel } from '../fakes/route-kernel.ts';
import { ourProtocol, unicast } from './kernel-contract.ts';

const tor = prefixKey('10.9.0.1/32');
const to = (via: string, prefix = tor): StaticRoute => ({ prefix, via, reason: 'reachableBy of BGPPeer tor' });
const install = (prefix: string, nextHop: string): RouteChange => ({
	type: 'install',
	route: { prefix: prefixKey(prefix), family: 'ipv4', nextHop, source: 'external', peer: 'tor', localPref: 100 },
});

/** 10.0.1.0/24 is on the local link; foreign routes lead to other networks. */
function setUp(t: ExecutionContext) {
	const kernel = new FakeRouteKernel(ourProtocol);
	kernel.setInterface('eth0', ['10.0.1.2/24']);
	const clock = new FakeClock();
	const log = recordingLogger();
	const fib = new Fib(
		{ routeProtocol: ourProtocol },
		{ kernel, encapsulate: () => ({ type: 'direct' }), clock, random: () => 0.5, log },
	);
	t.teardown(() => fib.stop());
	const pass = async (ms: number) => {
		clock.advance(ms);
		await fib.whenIdle();
	};
	return { kernel, clock, log, fib, pass };
}

const listed = async (kernel: FakeRouteKernel) =>
	(await kernel.list()).map(({ prefix, via }) => `${prefix} ${via}`).sort();

test('a static route is installed before start returns, and removed when it is no longer configured', async (t) => {
	const { fib, kernel } = setUp(t);
	await fib.setStatics([to('10.0.1.1')]);
	t.deepEqual(kernel.operations, []);
	await fib.start();
	t.deepEqual(await listed(kernel), ['10.9.0.1/32 10.0.1.1']);
	t.like(fib.view().routes[0], { state: 'installed', via: '10.0.1.1', reason: 'reachableBy of BGPPeer tor' });
	await fib.setStatics([]);
	t.deepEqual(await listed(kernel), []);
});

test('a new gateway replaces the route: at no moment is there no route', async (t) => {
	const { fib, kernel } = setUp(t);
	await fib.start();
	await fib.setStatics([to('10.0.1.1')]);
	await fib.setStatics([to('10.0.1.9')]);
	t.deepEqual(await listed(kernel), ['10.9.0.1/32 10.0.1.9']);
	t.deepEqual(
		kernel.operations.map(({ type }) => type),
		['add', 'replace'],
	);
});

test('a route of an earlier run is kept if it is configured, and otherwise removed once in sync', async (t) => {
	const { fib, kernel } = setUp(t);
	kernel.addByOthers(unicast(tor, '10.0.1.1', 'eth0'), ourProtocol);
	kernel.addByOthers(unicast('10.9.0.2/32', '10.0.1.1', 'eth0'), ourProtocol);
	fib.waitFor(['bgp']);
	await fib.setStatics([to('10.0.1.1')]);
	await fib.start();
	t.deepEqual(kernel.operations, []);
	fib.setInSync('bgp');
	await fib.whenIdle();
	t.deepEqual(await listed(kernel), ['10.9.0.1/32 10.0.1.1']);
});

test('an unreachable gateway is reported with its users, and retried until it succeeds', async (t) => {
	const { fib, kernel, log, pass } = setUp(t);
	await fib.start();
	await fib.setStatics([to('10.7.0.1')]);
	t.deepEqual(await listed(kernel), []);
	const said = log.lines.filter(({ message }) => message === 'the kernel refused a route');
	t.is(said.length, 1);
	t.like(said[0]?.fields, { prefix: tor, wantedBy: 'reachableBy of BGPPeer tor' });
	t.is(fib.staticProblems().length, 1);
	t.regex(
		fib.staticProblems()[0] ?? '',
		/^no route to 10\.9\.0\.1\/32 via 10\.7\.0\.1 \(reachableBy of BGPPeer tor\): .*gateway/,
	);
	t.is(fib.view().routes[0]?.state, 'failed');
	kernel.setInterface('eth1', ['10.7.0.2/24']);
	await pass(60_000);
	t.deepEqual(await listed(kernel), ['10.9.0.1/32 10.7.0.1']);
	t.deepEqual(fib.staticProblems(), []);
});

test('next hops behind the static route are resolved by it, and by its new gateway when that changes', async (t) => {
	const { fib, kernel } = setUp(t);
	await fib.start();
	fib.apply([install('10.50.0.0/24', '10.9.0.1')]);
	await fib.whenIdle();
	t.deepEqual(await listed(kernel), []);
	await fib.setStatics([to('10.0.1.1')]);
	t.deepEqual(await listed(kernel), ['10.50.0.0/24 10.0.1.1', '10.9.0.1/32 10.0.1.1']);
	await fib.setStatics([to('10.0.1.9')]);
	t.deepEqual(await listed(kernel), ['10.50.0.0/24 10.0.1.9', '10.9.0.1/32 10.0.1.9']);
	await fib.setStatics([]);
	t.deepEqual(await listed(kernel), []);
});

test('a static route that the kernel refuses resolves no next hop', async (t) => {
	const { fib, kernel } = setUp(t);
	kernel.addByOthers(unicast('0.0.0.0/0', '10.0.1.254', 'eth0', { metric: 0 }), 4);
	await fib.start();
	await fib.setStatics([to('10.7.0.1')]);
	fib.apply([install('10.50.0.0/24', '10.9.0.1')]);
	await fib.whenIdle();
	t.deepEqual(await listed(kernel), ['10.50.0.0/24 10.0.1.254']);
});

test("the static route precedes a neighbour's announcement of the same address", async (t) => {
	const { fib, kernel } = setUp(t);
	await fib.start();
	fib.apply([install('10.9.0.1/32', '10.0.1.77')]);
	await fib.setStatics([to('10.0.1.1')]);
	t.deepEqual(await listed(kernel), ['10.9.0.1/32 10.0.1.1']);
	await fib.setStatics([]);
	t.deepEqual(await listed(kernel), ['10.9.0.1/32 10.0.1.77']);
});

const meetings = [
	{
		title: 'with the better metric precedes ours, and is reported',
		metric: 100,
		note: /; not used: a route of another owner via 10\.0\.1\.50 dev eth0, metric 100, route protocol 4, goes before it$/,
		problems: 1,
	},
	{
		title: 'with the worse metric is reported as unused',
		metric: 2000,
		note: /; goes before a route of another owner via 10\.0\.1\.50/,
		problems: 0,
	},
];
for (const { title, metric, note, problems } of meetings) {
	test(`a route of another owner ${title}`, async (t) => {
		const { fib, kernel, log, pass } = setUp(t);
		await fib.start();
		await fib.setStatics([to('10.0.1.1')]);
		kernel.addByOthers(unicast(tor, '10.0.1.50', 'eth0', { metric }), 4);
		await pass(1000);
		kernel.addByOthers(unicast('10.99.0.0/24', '10.0.1.50', 'eth0'), 4);
		await pass(1000);
		t.regex(fib.view().routes.find(({ prefix }) => prefix === tor)?.reason ?? '', note);
		t.is(log.lines.filter(({ message }) => message === 'a static route is not alone').length, 1);
		t.is(fib.staticProblems().length, problems);
		// Both are installed: the foreign route is unchanged.
		t.is((await kernel.listForeign()).filter(({ prefix }) => prefix === tor).length, 1);
		t.deepEqual(await listed(kernel), ['10.9.0.1/32 10.0.1.1']);
	});
}

test('a route of another owner with the same metric stays, and the refusal is reported', async (t) => {
	const { fib, kernel } = setUp(t);
	kernel.addByOthers(unicast(tor, '10.0.1.50', 'eth0'), 4);
	await fib.start();
	await fib.setStatics([to('10.0.1.1')]);
	t.deepEqual(await listed(kernel), []);
	t.regex(fib.staticProblems()[0] ?? '', /another owner holds this prefix and metric/);
});

test('a static route that another program removed is restored', async (t) => {
	const { fib, kernel } = setUp(t);
	await fib.start();
	await fib.setStatics([to('10.0.1.1')]);
	kernel.removeByOthers(tor);
	await fib.whenIdle();
	t.deepEqual(await listed(kernel), ['10.9.0.1/32 10.0.1.1']);
});
