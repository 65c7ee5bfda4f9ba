import test from 'ava';
import { silentLogger } from '../../../src/core/index.ts';
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
	kernel.tell({ type: 'device', device: 'veth1234' });
	await settle();
	t.is(kernel.reads, 1);
	kernel.routes = [route(`${link} no-carrier`)];
	kernel.tell({ type: 'device', device: 'eth0' });
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
