import test from 'ava';
import { type FibRefusal, prefixKey } from '../../src/core/index.ts';
import { type ForeignRoute, findOthers, type Territory } from '../../src/fib/index.ts';

const foreign = (prefix: string, protocol: number, more: Partial<ForeignRoute> = {}): ForeignRoute => ({
	prefix: prefixKey(prefix),
	family: prefix.includes(':') ? 'ipv6' : 'ipv4',
	via: prefix.includes(':') ? 'fd07::3' : '10.0.1.3',
	device: 'eth0',
	metric: 1024,
	protocol,
	...more,
});
const pools: Territory = { pools: [prefixKey('192.168.0.0/16'), prefixKey('fd10::/48')], tunnelDevice: 'tunl0' };
const resources: FibRefusal = {
	seen: 'resources',
	reason: 'Felix runs on this node',
	hint: 'let one of the two do it',
};

const rows: readonly {
	readonly title: string;
	readonly territory?: Territory;
	readonly routes: readonly ForeignRoute[];
	readonly finds: RegExp | undefined;
}[] = [
	{ title: 'no other route owner', routes: [], finds: undefined },
	{
		title: 'a route of BIRD in a pool',
		routes: [foreign('192.168.5.0/26', 12)],
		finds: /^kernel: BIRD programs .*192\.168\.5\.0\/26 via 10\.0\.1\.3.*ip route flush proto bird/,
	},
	{
		title: 'an IPv6 route of BIRD in a pool',
		routes: [foreign('fd10:0:0:1::/64', 12)],
		finds: /^kernel: BIRD programs .*fd10:0:0:1::\/64/,
	},
	{ title: 'a route of BIRD that equals the pool', routes: [foreign('192.168.0.0/16', 12)], finds: /^kernel: BIRD/ },
	{
		title: 'a route of Felix in a pool, with another protocol than ours',
		routes: [foreign('192.168.5.0/26', 80)],
		finds: /^kernel: Felix .*programClusterRoutes/,
	},
	{
		title: 'a route of BIRD outside the pools',
		routes: [foreign('10.9.0.0/16', 12), foreign('0.0.0.0/0', 12)],
		finds: undefined,
	},
	{
		title: 'the route of a pod of this node',
		routes: [foreign('192.168.5.7/32', 80, { via: undefined, device: 'cali123' })],
		finds: undefined,
	},
	{ title: 'a static route in a pool', routes: [foreign('192.168.5.0/26', 4)], finds: undefined },
	{
		title: 'a static route through the tunnel',
		routes: [foreign('10.9.0.0/16', 4, { device: 'tunl0' })],
		finds: /^kernel: tunl0 is in use by another program: 10\.9\.0\.0\/16, route protocol 4/,
	},
	{
		title: 'the connected route of the tunnel address',
		routes: [foreign('192.168.7.1/32', 2, { via: undefined, device: 'tunl0' })],
		finds: undefined,
	},
	{
		title: 'a route through a tunnel that no pool uses',
		territory: { ...pools, tunnelDevice: undefined },
		routes: [foreign('10.9.0.0/16', 4, { device: 'tunl0' })],
		finds: undefined,
	},
	{
		title: 'a node without pools',
		territory: { pools: [], tunnelDevice: undefined, resources },
		routes: [foreign('192.168.5.0/26', 12)],
		finds: /^resources: /,
	},
	{
		title: 'a configuration that assigns the routes to Felix',
		territory: { ...pools, resources },
		routes: [],
		finds: /^resources: Felix runs on this node; let one/,
	},
	{
		title: "both: the kernel's state precedes the configuration",
		territory: { ...pools, resources },
		routes: [foreign('192.168.5.0/26', 12)],
		finds: /^kernel: BIRD/,
	},
];
for (const { title, territory = pools, routes, finds } of rows) {
	test(`other programmers of our routes: ${title}`, (t) => {
		const found = findOthers(territory, routes);
		const text = found && `${found.seen}: ${found.reason}; ${found.hint}`;
		if (finds === undefined) t.is(text, undefined);
		else t.regex(text ?? 'none', finds);
	});
}
