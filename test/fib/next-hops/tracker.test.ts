import test from 'ava';
import { formatAddress, silentLogger } from '../../../src/core/index.ts';
import { NextHopTracker, type OwnRoute } from '../../../src/fib/index.ts';
import { FakeClock } from '../../fakes/clock.ts';
import { FakeNeighbouringKernel } from '../../fakes/neighbouring-kernel.ts';
import { route } from './routes.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A tracker over a fake kernel, and its reports. */
function bench(...routes: string[]) {
	const kernel = new FakeNeighbouringKernel();
	kernel.routes = routes.map(route);
	const clock = new FakeClock();
	const told: string[][] = [];
	const tracker = new NextHopTracker({
		kernel,
		clock,
		log: silentLogger,
	});
	tracker.onChanges((nextHops) => told.push([...nextHops].sort()));
	/** Waits until events are processed. */
	const settle = async (ms = 100) => {
		clock.advance(ms);
		await tracker.whenIdle();
		await turn();
	};
	return { kernel, clock, tracker, told, settle };
}

const link = '10.0.1.0/24 dev eth0';
const other = '10.0.2.0/24 dev eth1';

test('[C149] before the kernel was read every next hop is reachable; afterwards unreachable ones are reported', async (t) => {
	const { kernel, tracker, told } = bench(link);
	kernel.holding = true;
	t.is(tracker.cost('10.0.9.1'), 0);
	t.is(tracker.device('10.0.9.1'), undefined);
	const started = tracker.start();
	await turn();
	t.is(tracker.cost('10.0.8.1'), 0);
	kernel.held?.release();
	await started;
	t.deepEqual(told, [['10.0.8.1', '10.0.9.1']]);
	t.is(tracker.cost('10.0.9.1'), undefined);
	t.is(tracker.cost('10.0.1.9'), 0);
	t.is(tracker.device('10.0.1.9'), 'eth0');
	await tracker.stop();
	t.true(kernel.closed);
});

test('a kernel read that fails changes no state, and is repeated', async (t) => {
	const { kernel, tracker, told, settle } = bench(link);
	kernel.broken = new Error('no answer');
	t.is(tracker.cost('10.0.9.1'), 0);
	await tracker.start();
	t.is(tracker.cost('10.0.9.1'), 0);
	t.deepEqual(told, []);
	kernel.broken = undefined;
	await settle(1000);
	t.is(tracker.cost('10.0.9.1'), undefined);
	// Later failures keep the last state.
	kernel.broken = new Error('no answer');
	kernel.tell({ type: 'unknown' });
	await settle();
	t.is(tracker.cost('10.0.1.9'), 0);
	t.deepEqual(told, [['10.0.9.1']]);
});

test('[C149] a removed route changes its next hops, and no other next hop is reported or evaluated', async (t) => {
	const { kernel, tracker, told, settle } = bench(link, other);
	await tracker.start();
	t.deepEqual([tracker.cost('10.0.1.9'), tracker.cost('10.0.2.9')], [0, 0]);
	const [, second] = kernel.routes;
	if (second === undefined) return t.fail();
	kernel.remove(second);
	await settle();
	t.deepEqual(told, [['10.0.2.9']]);
	t.deepEqual([tracker.cost('10.0.1.9'), tracker.cost('10.0.2.9')], [0, undefined]);
	kernel.add(second);
	await settle();
	t.deepEqual(told, [['10.0.2.9'], ['10.0.2.9']]);
	t.is(tracker.cost('10.0.2.9'), 0);
	return t.is(kernel.reads, 1, 'such changes are followed without reading the kernel');
});

test('a route that is removed and restored within a moment causes no report', async (t) => {
	const { kernel, tracker, told, settle } = bench(link);
	await tracker.start();
	tracker.cost('10.0.1.9');
	const [first] = kernel.routes;
	if (first === undefined) return t.fail();
	kernel.remove(first);
	kernel.add(first);
	await settle();
	return t.deepEqual(told, []);
});

test('a changed cost, gateway or interface is reported', async (t) => {
	const far = '10.9.0.0/16 via 10.0.1.1 dev eth0 metric 10';
	const { kernel, tracker, told, settle } = bench(link, far);
	await tracker.start();
	t.is(tracker.cost('10.9.1.1'), 11);
	const change = async (text: string) => {
		kernel.routes = [route(link), route(text)];
		kernel.tell({ type: 'unknown' });
		await settle();
	};
	await change('10.9.0.0/16 via 10.0.1.1 dev eth0 metric 20');
	t.is(tracker.cost('10.9.1.1'), 21);
	await change('10.9.0.0/16 via 10.0.1.2 dev eth0 metric 20');
	t.deepEqual(tracker.way('10.9.1.1'), { via: '10.0.1.2', device: 'eth0' });
	await change('10.9.0.0/16 via 10.0.1.2 dev eth1 metric 20');
	t.is(tracker.device('10.9.1.1'), 'eth1');
	t.deepEqual(told, [['10.9.1.1'], ['10.9.1.1'], ['10.9.1.1']]);
});

test('interfaces without a tracked next hop are ignored, others are watched', async (t) => {
	const { kernel, tracker, told, settle } = bench(link);
	await tracker.start();
	tracker.cost('10.0.1.9');
	kernel.tell({ type: 'device', device: 'veth1234', state: 'dead' });
	await settle();
	t.is(kernel.reads, 1);
	kernel.routes = [route(`${link} no-carrier`)];
	kernel.tell({ type: 'device', device: 'eth0', state: 'no-carrier' });
	await settle();
	t.is(kernel.reads, 2);
	t.deepEqual(told, [['10.0.1.9']]);
});

test('an event during a read of the kernel is not lost, whether the dump includes it or not', async (t) => {
	const { kernel, clock, tracker, told, settle } = bench(link, other);
	const late = route('10.0.3.0/24 dev eth2');
	const [first, second] = kernel.routes;
	if (first === undefined || second === undefined) return t.fail();
	await tracker.start();
	for (const nextHop of ['10.0.1.9', '10.0.2.9', '10.0.3.9']) tracker.cost(nextHop);
	kernel.holding = true;
	kernel.tell({ type: 'unknown' });
	clock.advance(100);
	await turn();
	t.not(kernel.held, undefined);
	kernel.add(late);
	kernel.remove(second);
	kernel.holding = false;
	kernel.held?.release();
	await tracker.whenIdle();
	await settle();
	t.deepEqual([tracker.cost('10.0.1.9'), tracker.cost('10.0.2.9'), tracker.cost('10.0.3.9')], [0, undefined, 0]);
	return t.deepEqual(told.flat().sort(), ['10.0.2.9', '10.0.3.9']);
});

test('the next audit finds changes without an event', async (t) => {
	const { kernel, tracker, told, settle } = bench(link);
	await tracker.start();
	tracker.cost('10.0.1.9');
	kernel.routes = [];
	await settle(90_000);
	t.deepEqual(told, [['10.0.1.9']]);
	await tracker.stop();
	const { reads } = kernel;
	await settle(200_000);
	t.is(kernel.reads, reads);
});

for (const nextHop of ['0.0.0.0', '::']) {
	test(`${nextHop} is not resolved by routes`, async (t) => {
		const { tracker } = bench();
		await tracker.start();
		t.is(tracker.cost(nextHop), 0);
		t.is(tracker.device(nextHop), undefined);
		t.is(tracker.cost('fec0::1'), undefined);
		t.is(tracker.cost('10.0.1.9'), undefined);
	});
}

for (const address of ['fe80::1', 'febf::7']) {
	test(`${address} is reached only over the interface of its session, while that is up (RFC 4007 §9)`, async (t) => {
		const { kernel, tracker, told, settle } = bench('::/0 via 2001:db8::1 dev eth0');
		kernel.devices.set('eth0', 'alive').set('eth1', 'alive');
		await tracker.start();
		const [first, second, missing] = [`${address}%eth0`, `${address}%eth1`, `${address}%eth2`];
		t.deepEqual(
			[first, second, missing, address].map((nextHop) => [tracker.cost(nextHop), tracker.device(nextHop)]),
			[
				[0, 'eth0'],
				[0, 'eth1'],
				[undefined, undefined],
				[undefined, undefined],
			],
		);
		kernel.devices.set('eth1', 'dead');
		kernel.tell({ type: 'device', device: 'eth1', state: 'dead' });
		await settle(0);
		t.deepEqual(told, [[second]]);
		t.is(tracker.cost(second), undefined);
		t.is(tracker.cost(first), 0);
		kernel.devices.set('eth1', 'alive');
		kernel.tell({ type: 'device', device: 'eth1', state: 'alive' });
		await settle(0);
		t.is(tracker.cost(second), 0);
	});
}

test('an IPv4-mapped next hop is unreachable, as the kernel forwards IPv6 by IPv6 gateways only', async (t) => {
	const { tracker } = bench(link, '::/0 via 2001:db8::1 dev eth0');
	await tracker.start();
	t.is(tracker.cost('10.0.1.9'), 0);
	t.is(tracker.cost('::ffff:10.0.1.9'), undefined);
});

/** A tracker that also has the routes of this node: by address, prefix length and next hop. */
function ownBench(routes: readonly string[], own: Record<string, Omit<OwnRoute, 'metric'>>, statics: typeof own = {}) {
	const asked: string[] = [];
	const made = bench(...routes);
	const tracker = new NextHopTracker({ kernel: made.kernel, clock: made.clock, log: silentLogger });
	tracker.onChanges((nextHops) => made.told.push([...nextHops].sort()));
	tracker.setOwnRoutes({
		ownRouteTo(address) {
			const text = formatAddress(address.bytes);
			asked.push(text);
			const found = own[text];
			return found && { ...found, metric: 1024 };
		},
		staticRouteTo(address) {
			const found = statics[formatAddress(address.bytes)];
			return found && { ...found, metric: 1024 };
		},
	});
	const settle = async () => {
		made.clock.advance(100);
		await tracker.whenIdle();
	};
	return { ...made, tracker, settle, own, statics, asked };
}

test('[C149] over an own route a next hop is reached if foreign routes lead to the next hop of that route: one step', async (t) => {
	const { tracker, asked } = ownBench([link], {
		'10.9.1.1': { length: 32, nextHop: '10.0.1.254' },
		'10.9.2.2': { length: 24, nextHop: '10.9.1.1' },
		'10.9.3.3': { length: 24, nextHop: '10.9.3.3' },
	});
	await tracker.start();
	t.deepEqual([tracker.cost('10.9.1.1'), tracker.device('10.9.1.1')], [1025, 'eth0']);
	t.is(tracker.cost('10.9.2.2'), undefined, 'not over two');
	t.is(tracker.cost('10.9.3.3'), undefined, 'not over itself');
	asked.length = 0;
	t.is(tracker.cost('10.0.1.9'), 0);
	t.deepEqual(asked, [], 'where others lead, ours are not asked');
});

test('[C149] an own route counts only if it is more specific than the unreachable route', async (t) => {
	const { tracker } = ownBench([link, 'unreachable 10.9.0.0/16'], {
		'10.9.1.1': { length: 24, nextHop: '10.0.1.254' },
		'10.9.2.2': { length: 16, nextHop: '10.0.1.254' },
		'10.9.3.3': { length: 0, nextHop: '10.0.1.254' },
	});
	await tracker.start();
	t.deepEqual(
		[tracker.cost('10.9.1.1'), tracker.cost('10.9.2.2'), tracker.cost('10.9.3.3')],
		[1025, undefined, undefined],
	);
});

test('[C149] results from own routes are re-evaluated when these change, and when the route to their next hops does', async (t) => {
	const { kernel, tracker, told, settle, own } = ownBench([link, other], {});
	await tracker.start();
	t.deepEqual([tracker.cost('10.9.1.1'), tracker.cost('10.0.2.9')], [undefined, 0]);
	own['10.9.1.1'] = { length: 32, nextHop: '10.0.1.254' };
	tracker.ownRoutesChanged();
	await settle();
	t.is(tracker.cost('10.9.1.1'), 1025);
	// The link of the next hop of the own route, which is not 10.9.1.1's link.
	const [first] = kernel.routes;
	if (first === undefined) return t.fail();
	kernel.remove(first);
	await settle();
	t.is(tracker.cost('10.9.1.1'), undefined);
	kernel.add(first);
	await settle();
	delete own['10.9.1.1'];
	tracker.ownRoutesChanged();
	await settle();
	t.deepEqual(told, [['10.9.1.1'], ['10.9.1.1'], ['10.9.1.1'], ['10.9.1.1']]);
	return t.is(kernel.reads, 1);
});

test('if foreign routes lead to every next hop, changes of own routes cause no evaluation', async (t) => {
	const { tracker, clock, asked } = ownBench([link], {});
	await tracker.start();
	tracker.cost('10.0.1.9');
	const { pendingCount } = clock;
	tracker.ownRoutesChanged();
	t.is(clock.pendingCount, pendingCount);
	t.deepEqual(asked, []);
});

test('the longer a read takes, the rarer are audits', async (t) => {
	const { kernel, clock, tracker } = bench(link);
	kernel.holding = true;
	const started = tracker.start();
	await turn();
	clock.advance(2000);
	kernel.holding = false;
	kernel.held?.release();
	await started;
	const audit = async (ms: number) => {
		clock.advance(ms);
		await tracker.whenIdle();
		return kernel.reads;
	};
	t.is(await audit(88_000), 2, 'the first one was set before anything was read');
	t.is(await audit(100_000), 2);
	t.is(await audit(100_000), 3);
	await tracker.stop();
});

test('[C149] a static route counts like a foreign one: by its gateway, if it is more specific, and also for the next hop of an own route', async (t) => {
	const { tracker, statics, told, settle } = ownBench(
		[link, other, '10.9.1.1/32 dev eth0', '0.0.0.0/0 via 10.0.1.1 dev eth0', 'unreachable 10.8.0.0/16'],
		{ '10.8.5.5': { length: 24, nextHop: '10.8.1.1' } },
		{
			'10.7.7.7': { length: 32, nextHop: '10.0.2.254' },
			'10.8.1.1': { length: 32, nextHop: '10.0.2.254' },
			'10.8.2.2': { length: 32, nextHop: '10.8.3.3' },
			'10.9.1.1': { length: 32, nextHop: '10.0.2.254' },
		},
	);
	await tracker.start();
	const seen = (nextHop: string) => [tracker.cost(nextHop), tracker.device(nextHop)];
	t.deepEqual(seen('10.7.7.7'), [1025, 'eth1'], 'more specific than the default route');
	t.deepEqual(seen('10.8.1.1'), [1025, 'eth1']);
	t.deepEqual(seen('10.8.2.2'), [undefined, undefined], 'nothing leads to its gateway');
	t.deepEqual(seen('10.9.1.1'), [0, 'eth0'], 'no more specific than the one of others');
	t.deepEqual(seen('10.8.5.5'), [2050, 'eth1'], 'one step over a route of ours, which stands on a static one');
	t.deepEqual(seen('10.6.6.6'), [1, 'eth0']);
	delete statics['10.8.1.1'];
	statics['10.6.6.6'] = { length: 32, nextHop: '10.0.2.254' };
	tracker.ownRoutesChanged(true);
	await settle();
	t.deepEqual(told, [['10.6.6.6', '10.8.1.1', '10.8.5.5']]);
});

test('[C149] the effect of a removed link or route is reported before a slow kernel is read again', async (t) => {
	const { kernel, clock, tracker, told } = bench(link, other, '0.0.0.0/0 via 10.0.2.1 dev eth1');
	kernel.holding = true;
	const started = tracker.start();
	await turn();
	clock.advance(600);
	kernel.holding = false;
	kernel.held?.release();
	await started;
	for (const nextHop of ['10.0.1.9', '10.0.2.9', '10.0.3.9']) tracker.cost(nextHop);
	const pass = async (ms: number) => {
		clock.advance(ms);
		await tracker.whenIdle();
	};
	// Down: its routes are removed, and the default route by the other link is left.
	kernel.tell({ type: 'device', device: 'eth0', state: 'dead' });
	await pass(100);
	t.is(tracker.cost('10.0.1.9'), 1);
	// Without a carrier the kernel keeps the routes.
	kernel.tell({ type: 'device', device: 'eth1', state: 'no-carrier' });
	await pass(100);
	t.deepEqual([tracker.cost('10.0.1.9'), tracker.cost('10.0.2.9')], [undefined, undefined]);
	kernel.tell({ type: 'device', device: 'eth1', state: 'alive' });
	kernel.add(route('10.0.3.0/24 dev eth2'));
	await pass(100);
	t.deepEqual([tracker.cost('10.0.2.9'), tracker.cost('10.0.3.9')], [0, 0]);
	t.deepEqual(told, [['10.0.1.9'], ['10.0.1.9', '10.0.2.9', '10.0.3.9'], ['10.0.1.9', '10.0.2.9', '10.0.3.9']]);
	t.is(kernel.reads, 1, 'ten times as long as the reading took');
	await pass(5700);
	t.is(kernel.reads, 2);
	t.is(tracker.cost('10.0.1.9'), 0, 'the kernel has it still');
	await tracker.stop();
});

test('a next hop that is no longer used is no longer reported, until it is requested again', async (t) => {
	const { kernel, tracker, told, settle } = bench(link, other);
	await tracker.start();
	t.deepEqual([tracker.cost('10.0.2.8'), tracker.cost('10.0.2.9')], [0, 0]);
	tracker.forget('10.0.2.8');
	const [, second] = kernel.routes;
	if (second === undefined) return t.fail();
	kernel.remove(second);
	await settle();
	t.deepEqual(told, [['10.0.2.9']]);
	t.is(tracker.cost('10.0.2.8'), undefined);
	kernel.add(second);
	await settle();
	t.deepEqual(told.at(-1), ['10.0.2.8', '10.0.2.9']);
});

test('over an own route into a tunnel the way to a next hop is that of the route in the kernel', async (t) => {
	const hop = { via: '10.0.1.254', device: 'tunl0', onlink: true };
	const { tracker } = ownBench([link], { '10.9.1.1': { length: 24, nextHop: '10.0.1.254', hop } });
	await tracker.start();
	t.deepEqual(tracker.way('10.9.1.1'), { via: '10.0.1.254', device: 'tunl0', onlink: true });
	t.is(tracker.cost('10.9.1.1'), 1025);
	t.is(tracker.way('10.8.1.1'), undefined);
	t.is(tracker.way('::ffff:10.0.1.9'), undefined, 'the kernel has no such gateway');
});
