import test from 'ava';
import { type BestRoute, type PrefixKey, prefixKey, silentLogger } from '../../src/core/index.ts';
import {
	Fib,
	type KernelEvent,
	type KernelRoute,
	RouteError,
	type RouteFailure,
	type RouteKernel,
	type RouteOperation,
} from '../../src/fib/index.ts';
import { FakeClock } from '../fakes/clock.ts';
import { ourProtocol } from './kernel-contract.ts';

const count = 20_000;
const prefixes = Array.from({ length: count }, (_, index) => prefixKey(`100.${index >> 8}.${index & 255}.0/24`));

/**
 * A table without rules, quick enough for many routes; it holds how often it was read and how much
 * was written at a time.
 */
class QuickKernel implements RouteKernel {
	readonly enabled = true;
	readonly table = 254;
	readonly routes = new Map<PrefixKey, KernelRoute>();
	readonly writes: number[] = [];
	lists = 0;
	refuses = false;
	tell: (event: KernelEvent) => void = () => {};

	async list(): Promise<readonly KernelRoute[]> {
		this.lists++;
		return [...this.routes.values()];
	}

	listForeign = async () => [];
	setOwnership(): void {}

	async apply(operations: readonly RouteOperation[]): Promise<readonly RouteFailure[]> {
		this.writes.push(operations.length);
		if (this.refuses) return operations.map((operation) => ({ operation, error: new RouteError('ENETUNREACH') }));
		for (const { type, route } of operations) {
			if (type === 'remove') this.routes.delete(route.prefix);
			else this.routes.set(route.prefix, route);
		}
		return [];
	}

	watch(onEvent: (event: KernelEvent) => void): void {
		this.tell = onEvent;
	}

	close(): void {}
}

const route = (prefix: PrefixKey): BestRoute => ({
	prefix,
	family: 'ipv4',
	nextHop: '10.0.1.3',
	source: 'internal',
	peer: 'node-b',
	localPref: 100,
});

async function setUp() {
	const kernel = new QuickKernel();
	const clock = new FakeClock();
	const fib = new Fib(
		{ routeProtocol: ourProtocol },
		{
			kernel,
			encapsulate: () => ({ type: 'direct', device: 'eth0' }),
			clock,
			random: () => 0.5,
			log: silentLogger,
		},
	);
	await fib.start();
	fib.apply(prefixes.map((prefix) => ({ type: 'install', route: route(prefix) })));
	await fib.whenIdle();
	return { kernel, clock, fib };
}

/** Turns of the event loop that others get while the work runs. */
async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
	let turns = 0;
	let running = true;
	const next = () => {
		if (!running) return;
		turns++;
		setImmediate(next);
	};
	setImmediate(next);
	await work();
	running = false;
	return turns;
}

test('a change that concerns all routes is compared in many turns, and written in few parts', async (t) => {
	const { kernel, fib } = await setUp();
	t.is(kernel.routes.size, count);
	kernel.writes.length = 0;
	const turns = await turnsDuring(() => {
		fib.setEncapsulate(() => ({ type: 'ipip', device: 'tunl0' }));
		return fib.whenIdle();
	});
	t.true(
		[...kernel.routes.values()].every(({ device }) => device === 'tunl0'),
		'all are rewritten',
	);
	t.true(turns >= count / 500, `${turns} turns`);
	t.is(
		kernel.writes.reduce((sum, length) => sum + length, 0),
		count,
	);
	t.true(kernel.writes.length <= count / 4000 + 1, `${kernel.writes.length} writes`);
	await fib.stop();
});

test('while the kernel is read back others get their turns, and one route among many that is gone comes back', async (t) => {
	const { kernel, clock, fib } = await setUp();
	const [gone] = prefixes.slice(12_345);
	kernel.routes.delete(gone as PrefixKey);
	kernel.writes.length = 0;
	const turns = await turnsDuring(() => {
		kernel.tell({ type: 'resync' });
		clock.advance(100);
		return fib.whenIdle();
	});
	t.is(kernel.routes.size, count);
	t.deepEqual(kernel.writes, [1]);
	t.true(turns >= count / 500, `${turns} turns`);
	await fib.stop();
});

test('a new address does not set off a reading of our routes, unless one of them was refused', async (t) => {
	const { kernel, clock, fib } = await setUp();
	const before = kernel.lists;
	const tellAddress = async () => {
		kernel.tell({ type: 'address-added' });
		clock.advance(100);
		await fib.whenIdle();
	};
	await tellAddress();
	t.is(kernel.lists, before);
	kernel.refuses = true;
	const refused = prefixKey('200.0.0.0/24');
	fib.apply([{ type: 'install', route: route(refused) }]);
	await fib.whenIdle();
	t.is(fib.stats().failing, 1);
	kernel.refuses = false;
	await tellAddress();
	t.is(kernel.lists, before + 1);
	t.true(kernel.routes.has(refused));
	await fib.stop();
});
