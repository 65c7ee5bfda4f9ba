import test from 'ava';
import { hostPrefix, type PrefixKey, prefixKey } from '../../src/core/index.ts';
import { Elevated, findElevated } from '../../src/fib/elevated.ts';
import type { ForeignRoute } from '../../src/fib/kernel.ts';

const route = (changed: Partial<ForeignRoute> = {}): ForeignRoute => ({
	prefix: hostPrefix('192.168.1.5'),
	family: 'ipv4',
	via: undefined,
	device: 'cali0123456789a',
	metric: 512,
	protocol: 3,
	...changed,
});

const normal = { ipv4: 1024, ipv6: 1024 };

for (const { title, foreign, found } of [
	{ title: 'a host route of metric 512 to a workload is elevated', foreign: route(), found: 512 },
	{ title: 'a route of normal metric is not', foreign: route({ metric: 1024 }), found: undefined },
	{ title: 'a route without a metric is not', foreign: route({ metric: 0 }), found: undefined },
	{ title: 'a route through a gateway is not', foreign: route({ via: '10.0.1.3', device: 'eth0' }), found: undefined },
	{ title: 'a route to another interface is not', foreign: route({ device: 'eth0' }), found: undefined },
	{ title: 'a block is not', foreign: route({ prefix: prefixKey('192.168.1.0/26') }), found: undefined },
])
	test(title, (t) => t.is([...findElevated([foreign], normal).values()][0], found));

test('a host route of IPv6 is elevated', (t) => {
	const foreign = route({ prefix: hostPrefix('fd00::5'), family: 'ipv6' });
	t.deepEqual([...findElevated([foreign], normal)], [[foreign.prefix, 512]]);
});

test('each family has its own normal metric, and a change of it is seen', (t) => {
	const six = route({ prefix: hostPrefix('fd00::5'), family: 'ipv6', metric: 700 });
	t.deepEqual([...findElevated([route({ metric: 700 }), six], { ipv4: 600, ipv6: 1024 }).keys()], [six.prefix]);
	const reports: PrefixKey[][] = [];
	const elevated = new Elevated(normal, (metrics) => reports.push([...metrics.keys()]));
	elevated.look([six]);
	t.false(elevated.setNormal({ ...normal }));
	t.true(elevated.setNormal({ ipv4: 1024, ipv6: 700 }));
	elevated.look([six]);
	t.deepEqual(reports, [[six.prefix], []]);
});

test('the routes are reported when they change, and when the last one goes', (t) => {
	const reports: (readonly [string, number])[][] = [];
	const elevated = new Elevated(normal, (metrics) => reports.push([...metrics]));
	elevated.look([]);
	elevated.look([route(), route({ metric: 1024 })]);
	elevated.look([route({ metric: 1024 }), route()]);
	elevated.look([route({ metric: 1024 })]);
	t.deepEqual(reports, [[['192.168.1.5/32', 512]], []]);
	t.true(elevated.concerns({ family: 'ipv4', device: 'cali1', metric: 512 }));
	t.false(elevated.concerns({ family: 'ipv4', device: 'cali1', metric: 1024 }));
});
