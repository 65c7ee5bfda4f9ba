import test from 'ava';
import { formatAddress, silentLogger } from '../../../src/core/index.ts';
import { NextHopTracker } from '../../../src/fib/index.ts';
import { FakeClock } from '../../fakes/clock.ts';
import { FakeNeighbouringKernel } from '../../fakes/neighbouring-kernel.ts';
import { route } from './routes.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A tracker over a fake kernel, and what it told. */
function bench(...routes: string[]) {
	const kernel = new FakeNeighbouringKernel();
	kernel.routes = routes.map(route);
	const clock = new FakeClock();
	const told: string[][] = [];
	const tracker = new NextHopTracker({ kernel, clock, log: silentLogger, onChange: (nextHops) => told.push([...nextHops].sort()) });
	/** Lets events settle. */
	const settle = async (ms = 100) => {
		clock.advance(ms);
		await tracker.whenIdle();
		await turn();
	};
	return { kernel, clock, tracker, told, settle };
}

const link = '10.0.1.0/24 dev eth0';
const other = '10.0.2.0/24 dev eth1';

test('[C149] until the kernel was read every next hop is reachable; then those that are not are told', async (t) => {
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

test('a kernel that can not be read changes nothing, and is read again', async (t) => {
	const { kernel, tracker, told, settle } = bench(link);
	kernel.broken = new Error('no answer');
	t.is(tracker.cost('10.0.9.1'), 0);
	await tracker.start();
	t.is(tracker.cost('10.0.9.1'), 0);
	t.deepEqual(told, []);
	kernel.broken = undefined;
	await settle(1000);
	t.is(tracker.cost('10.0.9.1'), undefined);
	// Later failures leave what was known.
	kernel.broken = new Error('no answer');
	kernel.tell({ type: 'unknown' });
	await settle();
	t.is(tracker.cost('10.0.1.9'), 0);
	t.deepEqual(told, [['10.0.9.1']]);
});

test('[C149] a route that goes takes its next hops with it, and no other is told or asked', async (t) => {
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

test('a route that goes and comes back within a moment was never away', async (t) => {
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

test('another cost, and another device, are told; the same by another gateway is not', async (t) => {
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
	await change('10.9.0.0/16 via 10.0.1.2 dev eth1 metric 20');
	t.is(tracker.device('10.9.1.1'), 'eth1');
	t.deepEqual(told, [['10.9.1.1'], ['10.9.1.1']]);
});

test('devices that nothing leads through are passed over, others are looked after', async (t) => {
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

test('what is told while the kernel is being read is not lost, whether the list has it or not', async (t) => {
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

test('what events missed is found by the next audit', async (t) => {
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

for (const nextHop of ['fe80::1', 'febf::7', '0.0.0.0', '::']) {
	test(`${nextHop} is not looked for among routes`, async (t) => {
		const { tracker } = bench();
		await tracker.start();
		t.is(tracker.cost(nextHop), 0);
		t.is(tracker.device(nextHop), undefined);
		t.is(tracker.cost('fec0::1'), undefined);
		t.is(tracker.cost('10.0.1.9'), undefined);
	});
}

test('an IPv4-mapped next hop is reached by routes of IPv4', async (t) => {
	const { kernel, tracker, told, settle } = bench(link);
	await tracker.start();
	t.is(tracker.device('::ffff:10.0.1.9'), 'eth0');
	const [first] = kernel.routes;
	if (first === undefined) return t.fail();
	kernel.remove(first);
	await settle();
	return t.deepEqual(told, [['::ffff:10.0.1.9']]);
});

/** A tracker that also knows routes of this node's own: by address, prefix length and next hop. */
function ownBench(routes: readonly string[], own: Record<string, { length: number; nextHop: string }>, statics: typeof own = {}) {
	const asked: string[] = [];
	const made = bench(...routes);
	const tracker = new NextHopTracker({
		kernel: made.kernel,
		clock: made.clock,
		log: silentLogger,
		onChange: (nextHops) => made.told.push([...nextHops].sort()),
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

test('[C149] over a route of ours a next hop is reached if others lead to the next hop of that route: one step', async (t) => {
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

test('[C149] a route of ours counts only where it is more specific than the route that leads nowhere', async (t) => {
	const { tracker } = ownBench([link, 'unreachable 10.9.0.0/16'], {
		'10.9.1.1': { length: 24, nextHop: '10.0.1.254' },
		'10.9.2.2': { length: 16, nextHop: '10.0.1.254' },
		'10.9.3.3': { length: 0, nextHop: '10.0.1.254' },
	});
	await tracker.start();
	t.deepEqual([tracker.cost('10.9.1.1'), tracker.cost('10.9.2.2'), tracker.cost('10.9.3.3')], [1025, undefined, undefined]);
});

test('[C149] what follows from our routes is asked again when they change, and when the way to their next hops does', async (t) => {
	const { kernel, tracker, told, settle, own } = ownBench([link, other], {});
	await tracker.start();
	t.deepEqual([tracker.cost('10.9.1.1'), tracker.cost('10.0.2.9')], [undefined, 0]);
	own['10.9.1.1'] = { length: 32, nextHop: '10.0.1.254' };
	tracker.ownRoutesChanged();
	await settle();
	t.is(tracker.cost('10.9.1.1'), 1025);
	// The link of the next hop of our route, which is none of 10.9.1.1's own.
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

test('where others lead to every next hop, our routes may change as often as they like', async (t) => {
	const { tracker, clock, asked } = ownBench([link], {});
	await tracker.start();
	tracker.cost('10.0.1.9');
	const { pendingCount } = clock;
	tracker.ownRoutesChanged();
	t.is(clock.pendingCount, pendingCount);
	t.deepEqual(asked, []);
});

test('the more a reading takes, the rarer are audits', async (t) => {
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

test('[C149] a static route counts like one of others: by its gateway, where it is more specific, and also for the next hop of a route of ours', async (t) => {
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

test('[C149] what a link that goes means is told before a slow kernel is read again, and so are routes', async (t) => {
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
	// Down: its routes go, and the default route by the other link is left.
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

test('a next hop that nobody needs any more is told no more, until it is asked for again', async (t) => {
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
