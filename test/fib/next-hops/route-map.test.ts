import test from 'ava';
import fc from 'fast-check';
import { formatAddress, parseAddress, parsePrefix, prefixContains, prefixKey } from '../../../src/core/index.ts';
import type { NeighbouringRoute } from '../../../src/fib/index.ts';
import { RouteMap } from '../../../src/fib/next-hops/route-map.ts';
import { route } from './routes.ts';

const find = (routes: readonly string[], address: string) =>
	new RouteMap(routes.map(route)).find(parseAddress(address));
const shown = (routes: readonly string[], address: string): string => {
	const reach = find(routes, address);
	return reach === undefined ? 'none' : `${reach.cost} ${reach.via ?? 'on the link'} ${reach.device}`;
};

const connected = '10.0.1.0/24 dev eth0';
const rows: readonly {
	readonly title: string;
	readonly routes: readonly string[];
	readonly address: string;
	readonly reach: string;
}[] = [
	{
		title: 'on the link at cost 0, with any metric',
		routes: ['10.0.1.0/24 dev eth0 metric 100'],
		address: '10.0.1.9',
		reach: '0 on the link eth0',
	},
	{
		title: 'through a gateway at the metric plus one',
		routes: ['10.0.0.0/8 via 10.0.1.1 dev eth0 metric 20'],
		address: '10.9.9.9',
		reach: '21 10.0.1.1 eth0',
	},
	{
		title: 'by the default route',
		routes: [connected, '0.0.0.0/0 via 10.0.1.1 dev eth0'],
		address: '192.0.2.1',
		reach: '1 10.0.1.1 eth0',
	},
	{
		title: 'by the longest prefix, not the lowest metric',
		routes: ['10.9.0.0/16 dev eth1 metric 500', '0.0.0.0/0 via 10.0.1.1 dev eth0'],
		address: '10.9.1.1',
		reach: '0 on the link eth1',
	},
	{
		title: 'of equal prefixes by the lowest metric',
		routes: ['10.9.0.0/16 via 10.0.1.2 dev eth0 metric 200', '10.9.0.0/16 via 10.0.1.1 dev eth0 metric 100'],
		address: '10.9.1.1',
		reach: '101 10.0.1.1 eth0',
	},
	{
		title: 'an address of this node',
		routes: ['local 10.7.7.7/32 dev lo', connected],
		address: '10.7.7.7',
		reach: '0 on the link lo',
	},
	{
		title: 'the loopback network',
		routes: ['local 127.0.0.0/8 dev lo'],
		address: '127.0.0.3',
		reach: '0 on the link lo',
	},
	{ title: 'not without a route', routes: [connected], address: '10.0.2.9', reach: 'none' },
	{
		title: 'not if a more specific route is unreachable',
		routes: ['unreachable 10.9.0.0/16', '0.0.0.0/0 via 10.0.1.1 dev eth0'],
		address: '10.9.1.1',
		reach: 'none',
	},
	{
		title: 'by a shorter prefix if the next hops of the longer one are dead, as in the kernel',
		routes: ['10.9.0.0/16 via 10.0.1.2 dev eth1 dead', '0.0.0.0/0 via 10.0.1.1 dev eth0'],
		address: '10.9.1.1',
		reach: '1 10.0.1.1 eth0',
	},
	{
		title: 'not through a link without a carrier, which the kernel would use',
		routes: ['10.9.0.0/16 dev eth1 no-carrier', '0.0.0.0/0 via 10.0.1.1 dev eth0'],
		address: '10.9.1.1',
		reach: 'none',
	},
	{
		title: 'by the usable one of several next hops',
		routes: ['10.9.0.0/16 metric 5 nexthop via 10.0.1.1 dev eth0 dead nexthop via 10.0.2.1 dev eth1'],
		address: '10.9.1.1',
		reach: '6 10.0.2.1 eth1',
	},
	{
		title: 'over IPv6, too',
		routes: ['fd00:1::/64 dev eth0 metric 256', '::/0 via fe80::1 dev eth1 metric 1024'],
		address: 'fd00:2::1',
		reach: '1025 fe80::1 eth1',
	},
	{
		title: 'not over IPv6 by an IPv4 route',
		routes: ['0.0.0.0/0 via 10.0.1.1 dev eth0'],
		address: 'fd00::1',
		reach: 'none',
	},
	{
		title: 'at a cost that fits a column',
		routes: ['10.9.0.0/16 via 10.0.1.1 dev eth0 metric 4294967295'],
		address: '10.9.1.1',
		reach: '2147483645 10.0.1.1 eth0',
	},
];
for (const { title, routes, address, reach } of rows)
	test(`[C149] an address is reached ${title}`, (t) => t.is(shown(routes, address), reach));

test('a change is applied, and undone by its opposite', (t) => {
	const map = new RouteMap([route(connected)]);
	const far = route('10.9.0.0/16 via 10.0.1.1 dev eth0');
	t.true(map.change('added', far));
	t.is(map.find(parseAddress('10.9.1.1'))?.via, '10.0.1.1');
	t.true(map.mark('eth0', 'alive'));
	t.true(map.change('added', { ...far }), 'a known route is no change');
	t.true(map.change('removed', { ...far }));
	t.is(map.find(parseAddress('10.9.1.1')), undefined);
	t.true(map.change('removed', far), 'what is gone is gone');
	t.false(map.mark('eth1', 'dead'));
});

test('if the meant route is ambiguous, the kernel must be read', (t) => {
	const map = new RouteMap([route('10.9.0.0/16 via 10.0.1.1 dev eth0')]);
	t.false(map.change('added', route('10.9.0.0/16 via 10.0.1.2 dev eth0')), 'replaced or appended?');
	const two = new RouteMap([route('10.9.0.0/16 via 10.0.1.1 dev eth0'), route('10.9.0.0/16 via 10.0.1.2 dev eth0')]);
	t.false(two.change('removed', route('10.9.0.0/16 via 10.0.1.2 dev eth0')));
});

// Few networks, so that they overlap.
const anyRoute: fc.Arbitrary<NeighbouringRoute> = fc
	.tuple(
		fc.integer({ min: 0, max: 255 }),
		fc.integer({ min: 0, max: 32 }),
		fc.integer({ min: 0, max: 3 }),
		fc.constantFrom('alive', 'dead'),
		fc.boolean(),
	)
	.map(([octet, length, metric, state, near]) => {
		const { bytes } = parsePrefix(`10.0.${octet}.0/${length}`, 'clear');
		return {
			...route(
				`${prefixKey(`${formatAddress(bytes)}/${length}`)} ${near ? '' : 'via 10.0.0.1 '}dev d${octet} metric ${metric}`,
			),
			ways: [{ via: near ? undefined : '10.0.0.1', device: `d${octet}`, state: state as 'alive' | 'dead' }],
		};
	});

test('for any routes, the longest usable prefix and the lowest metric win', (t) => {
	fc.assert(
		fc.property(fc.array(anyRoute, { maxLength: 20 }), fc.integer({ min: 0, max: 255 }), (routes, octet) => {
			const address = parseAddress(`10.0.${octet}.7`);
			const usable = routes.filter(
				({ prefix, ways }) => prefixContains(parsePrefix(prefix), address) && ways[0]?.state === 'alive',
			);
			const best = Math.max(-1, ...usable.map(({ prefix }) => parsePrefix(prefix).length));
			const metric = Math.min(
				...usable.filter(({ prefix }) => parsePrefix(prefix).length === best).map((candidate) => candidate.metric),
			);
			const expected = usable.find(
				(candidate) => parsePrefix(candidate.prefix).length === best && candidate.metric === metric,
			);
			const found = new RouteMap(routes).find(address);
			t.is(found === undefined, expected === undefined);
			if (found !== undefined)
				t.true(
					usable.some(
						(candidate) =>
							parsePrefix(candidate.prefix).length === best &&
							candidate.metric === metric &&
							candidate.ways[0]?.device === found.device,
					),
				);
		}),
		{ numRuns: 500 },
	);
});

test('an unreachable address reports the length of the rejecting prefix', (t) => {
	const map = new RouteMap(['unreachable 10.9.0.0/16', '10.8.0.0/24 dev eth1 no-carrier'].map(route));
	t.deepEqual(map.lookUp(parseAddress('10.9.1.1')), { reach: undefined, length: 16 });
	t.deepEqual(map.lookUp(parseAddress('10.8.0.1')), { reach: undefined, length: 24 });
	t.deepEqual(map.lookUp(parseAddress('10.7.0.1')), { reach: undefined, length: -1 });
});
