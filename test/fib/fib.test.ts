import test, { type ExecutionContext } from 'ava';
import {
	type BestRoute,
	type Encapsulate,
	type PrefixKey,
	parseAddress,
	prefixKey,
	type RouteChange,
} from '../../src/core/index.ts';
import {
	Fib,
	type FibDependencies,
	type FibOptions,
	ownRouteTo,
	type RouteKernel,
	staticRouteTo,
	untouchedKernel,
	type Way,
} from '../../src/fib/index.ts';
import { FakeClock } from '../fakes/clock.ts';
import { recordingLogger } from '../fakes/log.ts';
import { FakeRouteKernel } from '../fakes/route-kernel.ts';
import { blackhole, ourProtocol, unicast } from './kernel-contract.ts';

const route = (prefix: string, nextHop: string): BestRoute => ({
	prefix: prefixKey(prefix),
	family: 'ipv4',
	nextHop,
	source: 'internal',
	peer: 'node-b',
	localPref: 100,
});
const install = (prefix: string, nextHop: string): RouteChange => ({ type: 'install', route: route(prefix, nextHop) });
const withdraw = (prefix: string): RouteChange => ({ type: 'remove', prefix: prefixKey(prefix) });

/**
 * 10.0.1.0/24 is a local subnet, 10.0.2.0/24 is behind the tunnel, all other addresses follow the
 * kernel's routes.
 */
const encapsulate: Encapsulate = (_, nextHop) => {
	if (nextHop.startsWith('10.0.1.')) return { type: 'direct', device: 'eth0' };
	return nextHop.startsWith('10.0.2.') ? { type: 'ipip', device: 'tunl0' } : { type: 'direct' };
};

function setUp(t: ExecutionContext, more: Partial<FibDependencies> = {}, options: Partial<FibOptions> = {}) {
	const kernel = new FakeRouteKernel(ourProtocol);
	kernel.setInterface('eth0', ['10.0.1.2/24']);
	kernel.setInterface('tunl0', ['192.168.1.1/32']);
	const clock = new FakeClock();
	const log = recordingLogger();
	const fib = new Fib(
		{ routeProtocol: ourProtocol, ...options },
		{ kernel, encapsulate, clock, random: () => 0.5, log, ...more },
	);
	t.teardown(() => fib.stop());
	/** Advances the clock and waits until the triggered work ends. */
	const pass = async (ms: number) => {
		clock.advance(ms);
		await fib.whenIdle();
	};
	return { kernel, clock, log, fib, pass };
}

const listed = async (kernel: RouteKernel) =>
	(await kernel.list()).map(({ prefix, via, device }) => `${prefix} ${via} ${device}`).sort();

test('best routes reach the kernel: direct in the subnet, through the tunnel elsewhere, a blackhole for the own block', async (t) => {
	const { fib, kernel } = setUp(t);
	await fib.start();
	fib.setOrigins([prefixKey('192.168.1.0/26')]);
	fib.apply([install('192.168.2.0/26', '10.0.1.3'), install('192.168.3.0/26', '10.0.2.2')]);
	await fib.whenIdle();
	t.deepEqual(await kernel.list(), [
		blackhole('192.168.1.0/26'),
		unicast('192.168.2.0/26', '10.0.1.3', 'eth0'),
		unicast('192.168.3.0/26', '10.0.2.2', 'tunl0', { onlink: true }),
	]);
});

test('routes received before the start are written at the start, not earlier', async (t) => {
	const { fib, kernel } = setUp(t);
	fib.apply([install('192.168.2.0/26', '10.0.1.3')]);
	fib.setEncapsulate(encapsulate);
	await fib.whenIdle();
	t.deepEqual(kernel.operations, []);
	await fib.start();
	t.deepEqual(await listed(kernel), ['192.168.2.0/26 10.0.1.3 eth0']);
});

test('a withdrawn prefix leaves the kernel', async (t) => {
	const { fib, kernel } = setUp(t);
	await fib.start();
	fib.apply([install('192.168.2.0/26', '10.0.1.3'), install('192.168.3.0/26', '10.0.1.4')]);
	await fib.whenIdle();
	fib.apply([withdraw('192.168.2.0/26')]);
	await fib.whenIdle();
	t.deepEqual(await listed(kernel), ['192.168.3.0/26 10.0.1.4 eth0']);
});

test('nothing is kept of a prefix that is withdrawn, whether its route was installed or refused', async (t) => {
	const { fib, kernel } = setUp(t);
	await fib.start();
	fib.setOrigins([prefixKey('192.168.1.0/26')]);
	fib.apply([install('192.168.2.0/26', '10.0.1.3')]);
	await fib.whenIdle();
	kernel.setInterface('tunl0', ['192.168.1.1/32'], false);
	fib.apply([install('192.168.3.0/26', '10.0.2.2')]);
	await fib.whenIdle();
	t.like(fib.stats(), { prefixes: 2, failing: 1 });
	fib.apply([withdraw('192.168.2.0/26'), withdraw('192.168.3.0/26')]);
	await fib.whenIdle();
	const { table } = fib.ownRoutes;
	t.deepEqual(
		['192.168.1.0/26', '192.168.2.0/26', '192.168.3.0/26'].map((text) => table.get(prefixKey(text)) !== undefined),
		[true, false, false],
	);
	t.like(fib.stats(), { prefixes: 1, failing: 0 });
});

test('a prefix that changes while it is removed, and while the kernel is read, is not lost', async (t) => {
	const { fib, kernel } = setUp(t);
	await fib.start();
	const prefix = '192.168.2.0/26';
	fib.apply([install(prefix, '10.0.1.3')]);
	await fib.whenIdle();
	const write = kernel.apply.bind(kernel);
	kernel.apply = async (operations) => {
		kernel.apply = write;
		const read = kernel.list.bind(kernel);
		kernel.list = async () => {
			kernel.list = read;
			fib.apply([install(prefix, '10.0.1.4')]);
			return read();
		};
		// Another comparison of the prefix is due, after a read, and there is nothing to install yet.
		fib.apply([install(prefix, '10.0.1.4'), withdraw(prefix)]);
		kernel.setInterface('eth1', []);
		return write(operations);
	};
	fib.apply([withdraw(prefix)]);
	await fib.whenIdle();
	t.deepEqual(await listed(kernel), [`${prefix} 10.0.1.4 eth0`]);
	t.like(fib.stats(), { prefixes: 1, failing: 0, dirty: 0 });
	fib.apply([withdraw(prefix)]);
	await fib.whenIdle();
	t.deepEqual(await listed(kernel), []);
	t.is(fib.ownRoutes.table.get(prefixKey(prefix)), undefined);
});

test('of several changes of one prefix the last one is applied', async (t) => {
	const { fib, kernel } = setUp(t);
	await fib.start();
	fib.apply([install('192.168.2.0/26', '10.0.1.3'), withdraw('192.168.2.0/26'), install('192.168.2.0/26', '10.0.1.4')]);
	fib.apply([install('192.168.3.0/26', '10.0.1.4'), withdraw('192.168.3.0/26')]);
	await fib.whenIdle();
	t.deepEqual(await listed(kernel), ['192.168.2.0/26 10.0.1.4 eth0']);
	t.is(kernel.operations.length, 1);
});

test('after a restart correct routes are not written again', async (t) => {
	const { fib, kernel } = setUp(t);
	kernel.addByOthers(unicast('192.168.2.0/26', '10.0.1.3', 'eth0'), ourProtocol);
	fib.waitFor(['bgp']);
	await fib.start();
	fib.apply([install('192.168.2.0/26', '10.0.1.3')]);
	fib.setInSync('bgp');
	await fib.whenIdle();
	t.deepEqual(kernel.operations, []);
});

test('stale routes are removed only after every source is in sync', async (t) => {
	const { fib, kernel } = setUp(t);
	kernel.addByOthers(unicast('192.168.9.0/26', '10.0.1.9', 'eth0'), ourProtocol);
	fib.waitFor(['bgp', 'blocks']);
	await fib.start();
	fib.apply([install('192.168.2.0/26', '10.0.1.3')]);
	fib.setInSync('bgp');
	await fib.whenIdle();
	t.deepEqual(await listed(kernel), ['192.168.2.0/26 10.0.1.3 eth0', '192.168.9.0/26 10.0.1.9 eth0']);
	t.deepEqual(fib.view().waitingFor, ['blocks']);
	t.is(fib.view().routes.find(({ prefix }) => prefix === '192.168.9.0/26')?.state, 'extra');
	fib.setInSync('blocks');
	await fib.whenIdle();
	t.deepEqual(await listed(kernel), ['192.168.2.0/26 10.0.1.3 eth0']);
	t.true(fib.view().inSync);
});

test('a route that was announced and withdrawn is removed at once, in sync or not', async (t) => {
	const { fib, kernel } = setUp(t);
	fib.waitFor(['bgp']);
	await fib.start();
	fib.apply([install('192.168.2.0/26', '10.0.1.3')]);
	await fib.whenIdle();
	fib.apply([withdraw('192.168.2.0/26')]);
	await fib.whenIdle();
	t.deepEqual(await listed(kernel), []);
});

test('stopping leaves the routes as they are', async (t) => {
	const { fib, kernel } = setUp(t);
	await fib.start();
	fib.apply([install('192.168.2.0/26', '10.0.1.3')]);
	await fib.whenIdle();
	await fib.stop();
	fib.apply([withdraw('192.168.2.0/26')]);
	t.deepEqual(await listed(kernel), ['192.168.2.0/26 10.0.1.3 eth0']);
});

test('foreign routes are left unchanged, also where they conflict', async (t) => {
	const { fib, kernel } = setUp(t);
	kernel.addByOthers(unicast('192.168.2.0/26', '10.0.1.77', 'eth0'), 4);
	await fib.start();
	fib.apply([install('192.168.2.0/26', '10.0.1.3')]);
	await fib.whenIdle();
	const [view] = fib.view().routes;
	t.is(view?.state, 'failed');
	t.regex(view?.reason ?? '', /another owner/);
	fib.apply([withdraw('192.168.2.0/26')]);
	await fib.whenIdle();
	t.deepEqual(
		(await kernel.listForeign()).filter(({ protocol }) => protocol === 4).map(({ via }) => via),
		['10.0.1.77'],
	);
});

test('a refused route does not block the others, and is retried with growing delay until it succeeds', async (t) => {
	const { fib, kernel, pass, log } = setUp(t);
	kernel.addByOthers(unicast('192.168.2.0/26', '10.0.1.77', 'eth0'), 4);
	await fib.start();
	fib.apply([install('192.168.2.0/26', '10.0.1.3'), install('192.168.3.0/26', '10.0.1.3')]);
	await fib.whenIdle();
	t.deepEqual(await listed(kernel), ['192.168.3.0/26 10.0.1.3 eth0']);
	const attempts = () => kernel.operations.filter(({ route: { prefix } }) => prefix === '192.168.2.0/26').length;
	await pass(149);
	t.is(attempts(), 1);
	await pass(1);
	t.is(attempts(), 2);
	await pass(299);
	t.is(attempts(), 2);
	await pass(1);
	t.is(attempts(), 3);
	kernel.removeByOthers(prefixKey('192.168.2.0/26'));
	await pass(600);
	t.deepEqual(await listed(kernel), ['192.168.2.0/26 10.0.1.3 eth0', '192.168.3.0/26 10.0.1.3 eth0']);
	t.deepEqual([...new Set(fib.view().routes.map(({ state }) => state))], ['installed']);
	t.is(log.lines.filter(({ message }) => message === 'the kernel refused a route').length, 1, 'logged once');
});

test('a removed route of this daemon is restored, and a route added with its protocol is removed', async (t) => {
	const { fib, kernel } = setUp(t);
	await fib.start();
	fib.apply([install('192.168.2.0/26', '10.0.1.3')]);
	await fib.whenIdle();
	kernel.removeByOthers(prefixKey('192.168.2.0/26'));
	kernel.addByOthers(unicast('192.168.8.0/26', '10.0.1.8', 'eth0'), ourProtocol);
	await fib.whenIdle();
	t.deepEqual(await listed(kernel), ['192.168.2.0/26 10.0.1.3 eth0']);
});

test('routes that vanished with their interface are restored with it', async (t) => {
	const { fib, kernel, pass } = setUp(t);
	await fib.start();
	fib.apply([install('192.168.2.0/26', '10.0.1.3')]);
	await fib.whenIdle();
	kernel.setUp('eth0', false);
	await pass(100);
	t.is(fib.view().routes[0]?.state, 'failed');
	kernel.setUp('eth0', true);
	await pass(100);
	t.deepEqual(await listed(kernel), ['192.168.2.0/26 10.0.1.3 eth0']);
});

test('after lost events the kernel is read again', async (t) => {
	const { fib, kernel, pass } = setUp(t);
	await fib.start();
	fib.apply([install('192.168.2.0/26', '10.0.1.3')]);
	await fib.whenIdle();
	kernel.close();
	kernel.removeByOthers(prefixKey('192.168.2.0/26'));
	t.deepEqual(await listed(kernel), []);
	await pass(89_999);
	t.deepEqual(await listed(kernel), [], 'no call');
	await pass(1);
	t.deepEqual(await listed(kernel), ['192.168.2.0/26 10.0.1.3 eth0'], 'the slow audit finds it');
});

test('a next hop beyond a gateway follows foreign routes', async (t) => {
	const { fib, kernel, pass } = setUp(t);
	await fib.start();
	fib.apply([install('192.168.2.0/26', '172.31.0.9')]);
	await fib.whenIdle();
	t.is(fib.view().routes[0]?.state, 'skipped');
	kernel.addByOthers(unicast('0.0.0.0/0', '10.0.1.1', 'eth0'), 4);
	await pass(100);
	t.deepEqual(await listed(kernel), ['192.168.2.0/26 10.0.1.1 eth0']);
	kernel.removeByOthers(prefixKey('0.0.0.0/0'));
	kernel.addByOthers(unicast('172.31.0.0/16', '10.0.1.254', 'eth0'), 4);
	await pass(100);
	t.deepEqual(await listed(kernel), ['192.168.2.0/26 10.0.1.254 eth0']);
});

test('a changed encapsulation rewrites the affected routes', async (t) => {
	const { fib, kernel } = setUp(t);
	await fib.start();
	fib.apply([install('192.168.2.0/26', '10.0.1.3'), install('192.168.3.0/26', '10.0.2.2')]);
	await fib.whenIdle();
	fib.setEncapsulate(() => ({ type: 'ipip', device: 'tunl0' }));
	await fib.whenIdle();
	t.deepEqual(await listed(kernel), ['192.168.2.0/26 10.0.1.3 tunl0', '192.168.3.0/26 10.0.2.2 tunl0']);
	t.is(kernel.operations.length, 3);
});

test('while the new next hop of a route is pending the old route stays; without a prospect it is removed', async (t) => {
	const { fib, kernel } = setUp(t);
	await fib.start();
	fib.setInSync('bgp');
	fib.apply([install('192.168.2.0/26', '10.0.1.3')]);
	await fib.whenIdle();
	const before = await listed(kernel);
	t.is(before.length, 1);
	fib.setEncapsulate(() => ({ type: 'none', reason: 'tunnel address unknown', pending: true }));
	fib.apply([install('192.168.4.0/26', '10.0.1.3')]);
	await fib.whenIdle();
	t.deepEqual(await listed(kernel), before, 'a new route is withheld');
	fib.setEncapsulate(() => ({ type: 'none', reason: 'another program owns the pool' }));
	await fib.whenIdle();
	t.deepEqual(await listed(kernel), []);
});

test('a kernel that does not respond is retried, and no change is lost', async (t) => {
	const { fib, kernel, pass, log } = setUp(t);
	kernel.broken = new Error('ENOBUFS');
	await fib.start();
	fib.apply([install('192.168.2.0/26', '10.0.1.3')]);
	await fib.whenIdle();
	t.true(log.lines.some(({ level, fields }) => level === 'warn' && fields['error'] === 'ENOBUFS'));
	kernel.broken = undefined;
	await pass(30_000);
	t.deepEqual(await listed(kernel), ['192.168.2.0/26 10.0.1.3 eth0']);
});

test('tunnel endpoints are published, including those of an earlier run until all sources are in sync', async (t) => {
	const told: string[][] = [];
	const { fib, kernel } = setUp(t, { onTunnelEnds: (addresses) => void told.push([...addresses].sort()) });
	kernel.addByOthers(unicast('192.168.9.0/26', '10.0.2.9', 'tunl0', { onlink: true }), ourProtocol);
	fib.waitFor(['bgp']);
	await fib.start();
	fib.apply([
		install('192.168.3.0/26', '10.0.2.2'),
		install('192.168.4.0/26', '10.0.2.2'),
		install('192.168.2.0/26', '10.0.1.3'),
	]);
	await fib.whenIdle();
	fib.setInSync('bgp');
	await fib.whenIdle();
	fib.apply([withdraw('192.168.3.0/26')]);
	await fib.whenIdle();
	fib.apply([withdraw('192.168.4.0/26')]);
	await fib.whenIdle();
	t.deepEqual(told, [['10.0.2.9'], ['10.0.2.2', '10.0.2.9'], ['10.0.2.2'], []]);
});

test('with the FIB disabled the kernel is not changed, and the view shows it', async (t) => {
	const touched = (): never => t.fail('the kernel was touched') as never;
	const kernel: RouteKernel = {
		...untouchedKernel,
		list: touched,
		listForeign: touched,
		apply: touched,
		watch: touched,
	};
	const { fib } = setUp(t, { kernel });
	fib.waitFor(['bgp']);
	await fib.start();
	fib.apply([install('192.168.2.0/26', '10.0.1.3')]);
	fib.setOrigins([prefixKey('192.168.1.0/26')]);
	fib.setEncapsulate(encapsulate);
	fib.setInSync('bgp');
	await fib.whenIdle();
	t.deepEqual(fib.view(), {
		enabled: false,
		inSync: true,
		waitingFor: [],
		routeProtocol: 80,
		table: 254,
		metric: 1024,
		routes: [],
	});
});

test('the metrics count operations and installed routes', async (t) => {
	const { fib, kernel } = setUp(t);
	kernel.addByOthers(unicast('192.168.2.0/26', '10.0.1.77', 'eth0'), 4);
	await fib.start();
	fib.apply([install('192.168.2.0/26', '10.0.1.3'), install('192.168.3.0/26', '10.0.1.3')]);
	await fib.whenIdle();
	t.deepEqual(fib.stats(), { applied: 1, refused: 1, audits: 1, prefixes: 1, failing: 1, dirty: 0, inSync: true });
});

test('an own block that is released leaves the kernel', async (t) => {
	const { fib, kernel } = setUp(t);
	await fib.start();
	const blocks: readonly PrefixKey[] = [prefixKey('192.168.1.0/26'), prefixKey('192.168.1.64/26')];
	fib.setOrigins(blocks);
	await fib.whenIdle();
	fib.setOrigins(blocks.slice(1));
	await fib.whenIdle();
	t.deepEqual(await kernel.list(), [blackhole('192.168.1.64/26')]);
});

const territory = { pools: [prefixKey('192.168.0.0/16')], tunnelDevice: 'tunl0' };
const ofBird = unicast('192.168.9.0/26', '10.0.1.9', 'eth0', { metric: 32 });

test("while BIRD programs routes of a pool no route is written, and all routes are written once BIRD's are gone", async (t) => {
	const told: (string | undefined)[] = [];
	const { fib, kernel, log, pass } = setUp(t, { onRefusal: (refusal) => told.push(refusal?.seen) });
	kernel.addByOthers(ofBird, 12);
	await fib.setTerritory(territory);
	t.is(fib.refusal?.seen, 'kernel', 'it is seen before anything is written');
	await fib.start();
	fib.setOrigins([prefixKey('192.168.1.0/26')]);
	fib.apply([install('192.168.2.0/26', '10.0.1.3')]);
	await pass(60_000);
	t.deepEqual(kernel.operations, []);
	t.regex(fib.view().refusal?.reason ?? '', /BIRD/);
	t.deepEqual(
		fib.view().routes.map(({ state }) => state),
		['missing', 'missing'],
	);
	kernel.removeByOthers(ofBird.prefix);
	await pass(1000);
	t.is(fib.view().refusal, undefined);
	t.deepEqual(await listed(kernel), ['192.168.1.0/26 undefined undefined', '192.168.2.0/26 10.0.1.3 eth0']);
	t.deepEqual(told, ['kernel', undefined]);
	t.deepEqual(
		log.lines.filter(({ message }) => message.includes('another program owns')).map(({ level }) => level),
		['error'],
		'logged once',
	);
});

test('when BIRD starts later, installed routes stay, and no route is written', async (t) => {
	const { fib, kernel, pass } = setUp(t);
	await fib.setTerritory(territory);
	await fib.start();
	fib.apply([install('192.168.2.0/26', '10.0.1.3')]);
	await fib.whenIdle();
	kernel.addByOthers(ofBird, 12);
	await pass(1000);
	fib.apply([withdraw('192.168.2.0/26'), install('192.168.3.0/26', '10.0.1.3')]);
	await pass(60_000);
	t.deepEqual(await kernel.list(), [unicast('192.168.2.0/26', '10.0.1.3', 'eth0')]);
	kernel.removeByOthers(ofBird.prefix);
	await pass(1000);
	t.deepEqual(await kernel.list(), [unicast('192.168.3.0/26', '10.0.1.3', 'eth0')]);
});

test('a pending retry of a refused route pauses while another route owner is present', async (t) => {
	const { fib, kernel, pass } = setUp(t);
	await fib.setTerritory(territory);
	await fib.start();
	kernel.addByOthers(unicast('192.168.2.0/26', '10.0.1.77', 'eth0'), 4);
	fib.apply([install('192.168.2.0/26', '10.0.1.3')]);
	await fib.whenIdle();
	t.is(fib.stats().failing, 1);
	kernel.addByOthers(ofBird, 12);
	await pass(1000);
	t.is(fib.stats().failing, 0);
	const { refused } = fib.stats();
	await pass(60_000);
	t.is(fib.stats().refused, refused);
});

test('a configuration that assigns the routes to another owner pauses the writing, and the reverse resumes it', async (t) => {
	const { fib, kernel } = setUp(t);
	const resources = { seen: 'resources', reason: 'Felix runs here', hint: 'choose' } as const;
	await fib.setTerritory({ ...territory, resources });
	await fib.start();
	fib.apply([install('192.168.2.0/26', '10.0.1.3')]);
	await fib.whenIdle();
	t.deepEqual(kernel.operations, []);
	await fib.setTerritory(territory);
	await fib.whenIdle();
	t.deepEqual(await listed(kernel), ['192.168.2.0/26 10.0.1.3 eth0']);
});

test('with besideOthers routes are written despite another owner', async (t) => {
	const { fib, kernel, log } = setUp(t, {}, { besideOthers: true });
	kernel.addByOthers(ofBird, 12);
	await fib.setTerritory(territory);
	await fib.start();
	fib.apply([install('192.168.2.0/26', '10.0.1.3')]);
	await fib.whenIdle();
	t.deepEqual(await listed(kernel), ['192.168.2.0/26 10.0.1.3 eth0']);
	t.is(fib.view().refusal, undefined);
	t.true(log.lines.some(({ message }) => message.includes('writing beside it')));
});

test('our route to an address is reported once it is in the kernel, and re-evaluated after every pass', async (t) => {
	let told = 0;
	let moved = 0;
	const { fib, kernel } = setUp(t, {
		onRoutes: (staticsMoved) => {
			told++;
			if (staticsMoved) moved++;
		},
	});
	kernel.addByOthers(unicast('192.168.9.0/26', '10.0.1.9', 'eth0'), ourProtocol);
	const to = (address: string) => ownRouteTo(parseAddress(address), fib.ownRoutes);
	fib.waitFor(['bgp']);
	t.is(to('192.168.9.1'), undefined);
	await fib.start();
	t.like(to('192.168.9.1'), { length: 26, nextHop: '10.0.1.9', metric: 1024 }, 'held from an earlier life');
	t.is(told, 1);
	fib.apply([install('192.168.2.0/26', '10.0.1.3')]);
	t.is(to('192.168.2.7'), undefined);
	await fib.whenIdle();
	t.deepEqual(to('192.168.2.7'), {
		length: 26,
		nextHop: '10.0.1.3',
		metric: 1024,
		hop: { via: '10.0.1.3', device: 'eth0', onlink: false },
	});
	t.is(told, 2);
	fib.setInSync('bgp');
	await fib.whenIdle();
	t.deepEqual([to('192.168.9.1'), told], [undefined, 3]);
	fib.apply([withdraw('192.168.2.0/26')]);
	await fib.whenIdle();
	t.deepEqual([to('192.168.2.7'), told], [undefined, 4]);
	t.is(moved, 0);
	await fib.setStatics([{ prefix: prefixKey('10.7.7.7/32'), via: '10.0.1.254', reason: 'a test' }]);
	t.deepEqual(staticRouteTo(parseAddress('10.7.7.7'), fib.ownRoutes), {
		length: 32,
		nextHop: '10.0.1.254',
		metric: 1024,
	});
	t.is(moved, 1);
	await fib.setStatics([]);
	t.is(staticRouteTo(parseAddress('10.7.7.7'), fib.ownRoutes), undefined);
	t.is(moved, 2);
});

test('with a tracker the ways to next hops are the tracker’s, and routes follow their changes', async (t) => {
	const ways = new Map<string, Way>([['10.7.0.9', { via: '10.0.1.9', device: 'eth0' }]]);
	const { fib, kernel } = setUp(t, { resolve: (nextHop) => ways.get(nextHop) });
	kernel.addByOthers(unicast('10.7.0.0/24', '10.0.1.77', 'eth0'), 4);
	await fib.start();
	fib.apply([install('192.168.2.0/26', '10.7.0.9')]);
	await fib.whenIdle();
	t.true((await listed(kernel)).includes('192.168.2.0/26 10.0.1.9 eth0'));
	ways.set('10.7.0.9', { via: '10.0.2.2', device: 'tunl0', onlink: true });
	fib.nextHopsChanged(new Set(['10.7.0.9']));
	await fib.whenIdle();
	t.true((await listed(kernel)).includes('192.168.2.0/26 10.0.2.2 tunl0'));
	ways.delete('10.7.0.9');
	fib.nextHopsChanged(new Set(['10.7.0.9']));
	await fib.whenIdle();
	t.false((await listed(kernel)).some((line) => line.startsWith('192.168.2.0/26')));
	t.is(fib.routesOf(prefixKey('192.168.2.0/26'))[0]?.reason, 'no route leads to the next hop 10.7.0.9');
});
