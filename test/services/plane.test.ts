import test from 'ava';
import { silentLogger } from '../../src/core/index.ts';
import { ServicesPlane } from '../../src/services/index.ts';
import { FakeClock } from '../fakes/clock.ts';
import { FakeConntrack, FakeServiceKernel } from '../fakes/service-kernel.ts';
import { endpoint, node, nodeAddresses, service, settings, slice } from './fixtures.ts';

function setUp() {
	const clock = new FakeClock();
	const kernel = new FakeServiceKernel();
	const conntrack = new FakeConntrack();
	const plane = new ServicesPlane({ kernel, conntrack, clock, random: () => 0.5, log: silentLogger });
	const settle = async () => {
		// A failed write waits for its retry time.
		clock.advance(100);
		await plane.whenIdle();
	};
	const begin = async () => {
		await plane.start();
		plane.apply({ node, settings, nodeAddresses });
		plane.inSync('services');
		plane.inSync('endpoint-slices');
		await settle();
	};
	return { clock, kernel, conntrack, plane, settle, begin };
}

test('nothing is written before Services and EndpointSlices are complete', async (t) => {
	const { kernel, plane, settle } = setUp();
	await plane.start();
	plane.apply({ node, settings, nodeAddresses });
	plane.setService(service('web'));
	plane.inSync('services');
	await settle();
	t.deepEqual(kernel.calls, []);
	t.deepEqual(plane.view().waitingFor, ['endpoint-slices']);
	plane.setSlice(slice('web-1', 'web', [endpoint('10.0.1.1')]));
	plane.inSync('endpoint-slices');
	await settle();
	t.deepEqual(kernel.calls, ['sync']);
	t.is(kernel.frontends.get('172.30.0.1|tcp|80')?.actions.pod.type, 'dnat');
	t.true(plane.isProgrammed('ns/web'));
});

test('objects that arrive before the state of the node are not lost', async (t) => {
	const { kernel, plane, begin } = setUp();
	plane.setService(service('web'));
	await begin();
	t.deepEqual([...kernel.frontends.keys()], ['172.30.0.1|tcp|80']);
});

test('later changes are differences, many at once are one transaction', async (t) => {
	const { kernel, plane, begin, settle } = setUp();
	await begin();
	for (let index = 1; index <= 5; index++) plane.setService(service(`s${index}`, { clusterIP: `172.30.0.${index}` }));
	await settle();
	t.deepEqual(kernel.calls, ['sync', 'apply']);
	t.is(kernel.frontends.size, 5);
	plane.removeService('ns/s1');
	await settle();
	t.is(kernel.frontends.size, 4);
});

test('a failed write is retried with a read-back, and the Service is not programmed meanwhile', async (t) => {
	const { kernel, plane, clock, begin, settle } = setUp();
	await begin();
	kernel.failures.push(new Error('ENOBUFS'), new Error('ENOBUFS'));
	plane.setService(service('web'));
	await settle();
	t.false(plane.isProgrammed('ns/web'));
	t.deepEqual(plane.view().failures, [{ subject: 'fake', reason: 'ENOBUFS' }]);
	t.is(plane.view().installed, 0);
	for (let turn = 0; turn < 3; turn++) {
		clock.advance(30_000);
		await plane.whenIdle();
	}
	t.deepEqual(kernel.calls, ['sync', 'apply', 'sync', 'sync']);
	t.true(plane.isProgrammed('ns/web'));
	t.deepEqual(plane.view().failures, []);
	t.is(plane.view().installed, 1);
});

test('a restart reuses the numbers in the kernel', async (t) => {
	const first = setUp();
	await first.begin();
	first.plane.setService(service('web'));
	first.plane.setSlice(
		slice(
			'web-1',
			'web',
			['1', '2', '3'].map((last) => endpoint(`10.0.1.${last}`)),
		),
	);
	await first.settle();
	first.plane.setSlice(
		slice(
			'web-1',
			'web',
			['2', '3'].map((last) => endpoint(`10.0.1.${last}`)),
		),
	);
	await first.settle();
	const numbered = first.kernel.pools.get('ns/web:80/tcp@ipv4#cluster')?.backends.map(({ address }) => address);
	t.deepEqual(numbered, ['10.0.1.3', '10.0.1.2']);
	await first.plane.stop();

	const second = setUp();
	for (const [key, pool] of first.kernel.pools) second.kernel.pools.set(key, pool);
	second.plane.setService(service('web'));
	second.plane.setSlice(
		slice(
			'web-1',
			'web',
			['2', '3'].map((last) => endpoint(`10.0.1.${last}`)),
		),
	);
	await second.begin();
	t.deepEqual(
		second.kernel.pools.get('ns/web:80/tcp@ipv4#cluster')?.backends.map(({ address }) => address),
		numbered,
	);
});

test('stale UDP flows are deleted after the rules, those to a draining endpoint stay', async (t) => {
	const { plane, conntrack, begin, settle } = setUp();
	const udp = [{ name: 'p', port: 53, protocol: 'UDP' }];
	const flow = (replySource: string) => ({
		protocol: 'udp' as const,
		originalDestination: '172.30.0.1',
		originalPort: 53,
		replySource,
		replyPort: 53,
	});
	await begin();
	plane.setService(service('dns', { ports: udp }));
	plane.setSlice(slice('dns-1', 'dns', [endpoint('10.0.1.1'), endpoint('10.0.1.2')], { ports: udp }));
	await settle();
	conntrack.flows = ['10.0.1.1', '10.0.1.2', '172.30.0.1'].map(flow);
	const draining = { conditions: { ready: false, serving: true, terminating: true } };
	plane.setSlice(
		slice('dns-1', 'dns', [endpoint('10.0.1.1'), endpoint('10.0.1.2', 'node-b', draining)], { ports: udp }),
	);
	await settle();
	t.deepEqual(
		conntrack.flows.map(({ replySource }) => replySource),
		['10.0.1.1', '10.0.1.2'],
	);
	plane.setSlice(slice('dns-1', 'dns', [endpoint('10.0.1.1')], { ports: udp }));
	await settle();
	t.deepEqual(
		conntrack.flows.map(({ replySource }) => replySource),
		['10.0.1.1'],
	);
	plane.removeSlice('ns/dns-1');
	await settle();
	t.deepEqual(conntrack.flows, [], 'scaled to zero');
	t.is(plane.totals.flowsRemoved, 3);
});
