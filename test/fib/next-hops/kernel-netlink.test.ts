import { writeFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { parseAddress, silentLogger, systemClock } from '../../../src/core/index.ts';
import { type NeighbouringEvent, NextHopTracker, openNeighbouringKernel } from '../../../src/fib/index.ts';
import { RouteMap } from '../../../src/fib/next-hops/route-map.ts';
import { eventually } from '../../support/eventually.ts';
import { addInterface, enterNewNamespace, ip, noNamespaces } from '../../support/namespace.ts';

const kernelTest = noNamespaces === undefined ? test.serial : test.serial.skip;
const note = noNamespaces === undefined ? '' : ` (skipped: ${noNamespaces})`;
const ours = 80;

/** Two links and a gateway on each. */
function enterWorld() {
	enterNewNamespace();
	addInterface('left', ['10.7.0.1/24', 'fd07::1/64']);
	addInterface('right', ['10.8.0.1/24']);
}

/** Cost and interface of addresses, by the routes that were read. */
async function read(t: ExecutionContext, ...addresses: string[]): Promise<string[]> {
	const kernel = openNeighbouringKernel({ exceptProtocols: [ours] }, silentLogger);
	t.teardown(() => kernel.close());
	const map = new RouteMap(await kernel.list());
	return addresses.map((address) => {
		const reach = map.find(parseAddress(address));
		return reach === undefined ? 'none' : `${reach.cost} ${reach.device}`;
	});
}

kernelTest(`[C149] foreign routes are read with the kernel's meaning, own routes are not${note}`, async (t) => {
	enterWorld();
	for (const route of [
		'172.16.1.0/24 via 10.7.0.2 metric 20',
		`172.16.2.0/24 via 10.7.0.2 proto ${ours}`,
		'172.16.3.0/24 nexthop via 10.7.0.2 nexthop via 10.8.0.2',
		'172.16.4.0/24 via 10.7.0.2 table 100',
		'fd99::/64 via fd07::2 metric 30',
		'default via 10.8.0.2',
		'unreachable 172.16.5.0/24',
		'blackhole 172.16.6.0/24',
	])
		ip(`route add ${route}`);
	t.deepEqual(
		await read(
			t,
			'10.7.0.9',
			'10.7.0.1',
			'172.16.1.1',
			'172.16.2.1',
			'172.16.3.1',
			'172.16.4.1',
			'172.16.5.1',
			'172.16.6.1',
			'fd07::9',
			'fd99::1',
			'fd98::1',
		),
		['0 left', '0 left', '21 left', '1 right', '1 left', '1 right', 'none', 'none', '0 left', '31 left', 'none'],
	);
});

for (const compatible of [1, 0]) {
	kernelTest(
		`a route by a next hop object leads to its gateways, with and without them in the message (nexthop_compat_mode ${compatible})${note}`,
		async (t) => {
			enterWorld();
			writeFileSync('/proc/sys/net/ipv4/nexthop_compat_mode', `${compatible}`);
			ip('nexthop add id 7 via 10.7.0.2 dev left');
			ip('route add 172.16.1.0/24 nhid 7');
			t.deepEqual(await read(t, '172.16.1.1'), [compatible === 1 ? '1 left' : '0 undefined']);
		},
	);
}

kernelTest(`the fe80::/64 of every interface is skipped${note}`, async (t) => {
	enterWorld();
	const kernel = openNeighbouringKernel({ exceptProtocols: [ours] }, silentLogger);
	t.teardown(() => kernel.close());
	t.deepEqual(
		(await kernel.list()).filter(({ prefix }) => prefix.startsWith('fe80:')),
		[],
	);
});

kernelTest(
	`[C149] changes of routes, addresses and links are followed; changes by this process cause no event${note}`,
	async (t) => {
		enterWorld();
		ip('route add 172.16.1.0/24 via 10.8.0.2');
		ip('route add 172.16.2.0/24 via 10.8.0.2 dev right metric 9');
		const events: NeighbouringEvent['type'][] = [];
		const kernel = openNeighbouringKernel({ exceptProtocols: [ours] }, silentLogger);
		const tracker = new NextHopTracker({
			kernel: {
				list: () => kernel.list(),
				watch: (onEvent) =>
					kernel.watch((event) => {
						events.push(event.type);
						onEvent(event);
					}),
				deviceState: (device) => kernel.deviceState(device),
				close: () => kernel.close(),
			},
			clock: systemClock,
			log: silentLogger,
		});
		t.teardown(() => tracker.stop());
		await tracker.start();
		const reaches = (nextHop: string, cost: number | undefined) =>
			eventually(`${nextHop} costs ${cost}`, () => tracker.cost(nextHop) === cost, 20);
		t.deepEqual(
			['10.7.0.2', '10.8.0.2', '172.16.1.1', '172.16.2.1', 'fd07::2'].map((address) => tracker.cost(address)),
			[0, 0, 1, 10, 0],
		);

		for (let octet = 0; octet < 50; octet++) ip(`route add 172.17.${octet}.0/24 via 10.7.0.2 proto ${ours}`);
		ip(`route flush proto ${ours}`);
		ip('route del 172.16.1.0/24');
		await reaches('172.16.1.1', undefined);
		// The kernel may report the carriers of the new links only now.
		t.deepEqual(
			events.filter((type) => type !== 'device'),
			['route'],
			'fifty routes of ours caused no event',
		);

		ip('route replace 172.16.2.0/24 via 10.7.0.2 metric 9');
		await eventually('it leads to the left', () => tracker.device('172.16.2.1') === 'left', 20);
		// Without a carrier the kernel keeps the routes, and packets are dropped.
		ip('link set right-end down');
		await reaches('10.8.0.2', undefined);
		t.is(tracker.cost('10.7.0.2'), 0);
		ip('link set right-end up');
		await reaches('10.8.0.2', 0);
		// Down: the kernel removes the IPv4 routes without an event.
		ip('link set left down');
		await reaches('10.7.0.2', undefined);
		await reaches('172.16.2.1', undefined);
		await reaches('fd07::2', undefined);
		ip('link set left up');
		await reaches('10.7.0.2', 0);
		// A route is removed with the address that is its source, in older kernels without an
		// event.
		ip('addr add 10.99.0.7/32 dev right');
		ip('route add 172.16.9.0/24 via 10.8.0.2 src 10.99.0.7');
		await reaches('172.16.9.1', 1);
		ip('addr del 10.99.0.7/32 dev right');
		await reaches('172.16.9.1', undefined);
		ip('addr del 10.8.0.1/24 dev right');
		await reaches('10.8.0.2', undefined);
		addInterface('gone', []);
		ip('route add 172.16.8.0/24 dev gone');
		await reaches('172.16.8.1', 0);
		ip('link del gone');
		await reaches('172.16.8.1', undefined);
	},
);

kernelTest(
	`the default route of another owner leads to next hops in other subnets, until it is removed${note}`,
	async (t) => {
		enterWorld();
		ip('route add default via 10.7.0.254');
		const changes: string[] = [];
		const tracker = new NextHopTracker({
			kernel: openNeighbouringKernel({ exceptProtocols: [ours] }, silentLogger),
			clock: systemClock,
			log: silentLogger,
		});
		tracker.onChanges((nextHops) => changes.push(...nextHops));
		t.teardown(() => tracker.stop());
		await tracker.start();
		t.deepEqual([tracker.cost('10.99.0.1'), tracker.cost('10.7.0.2')], [1, 0]);
		ip('route del default');
		await eventually('there is no way', () => tracker.cost('10.99.0.1') === undefined, 20);
		t.deepEqual(changes, ['10.99.0.1']);
	},
);
