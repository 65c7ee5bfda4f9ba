import test from 'ava';
import { silentLogger } from '../../src/core/index.ts';
import { openNetlinkKernel } from '../../src/fib/index.ts';
import { eventually } from '../support/eventually.ts';
import { addInterface, enterNewNamespace, ip, noNamespaces } from '../support/namespace.ts';
import { ourProtocol, testKernelContract, unicast } from './kernel-contract.ts';

if (noNamespaces !== undefined) {
	console.warn(`SKIPPED: the kernel's own routing table: ${noNamespaces}`);
	test.skip('the real kernel keeps the contract', () => {});
} else {
	testKernelContract(test, () => {
		enterNewNamespace();
		addInterface('left', ['10.7.0.1/24', 'fd07::1/64']);
		addInterface('right', ['10.8.0.1/24']);
		return {
			kernel: openNetlinkKernel({ routeProtocol: ourProtocol }, silentLogger),
			addForeign: (prefix, via, metric) => void ip(`route add ${prefix} via ${via} metric ${metric} proto static`),
			prependForeign: (prefix, via, metric) =>
				void ip(`route prepend ${prefix} via ${via} metric ${metric} proto static`),
			addOurs: (prefix, via, metric) => void ip(`route add ${prefix} via ${via} metric ${metric} proto ${ourProtocol}`),
			remove: (prefix) => void ip(`route del ${prefix}`),
			setDown: (device) => void ip(`link set ${device} down`),
		};
	});

	const hop = (index: number) => `10.7.0.${2 + (index % 100)}`;
	const route = (index: number) => unicast(`192.168.${index >> 6}.${(index & 63) << 2}/30`, hop(index), 'left');
	const objects = () =>
		ip('nexthop')
			.split('\n')
			.filter((line) => line.includes(`proto ${ourProtocol}`));

	test.serial('a route of a type that is never written is foreign, with any protocol number', async (t) => {
		enterNewNamespace();
		addInterface('left', ['10.7.0.1/24', 'fd07::1/64']);
		const kernel = openNetlinkKernel({ routeProtocol: ourProtocol }, silentLogger);
		const heard: string[] = [];
		kernel.watch((event) => {
			if (event.type !== 'interface' && event.type !== 'address-added') heard.push(event.type);
		});
		for (const words of ['prohibit 10.1.0.0/24', 'throw 10.2.0.0/24', 'unreachable 10.3.0.0/24'])
			ip(`route add ${words} proto ${ourProtocol} metric 1024`);
		for (const words of ['prohibit fd99:1::/64', 'throw fd99:2::/64']) ip(`-6 route add ${words} proto ${ourProtocol}`);
		t.deepEqual(await kernel.list(), []);
		await kernel.listForeign();
		// The kernel would replace the first route of that prefix and metric, of any owner.
		ip(`route append 10.1.0.0/24 via 10.7.0.3 proto ${ourProtocol} metric 1024`);
		const [old, own] = ['10.7.0.3', '10.7.0.2'].map((via) => unicast('10.1.0.0/24', via, 'left'));
		if (old === undefined || own === undefined) return t.fail();
		t.deepEqual(await kernel.apply([{ type: 'replace', route: own, old }]), []);
		t.deepEqual(await kernel.list(), [own]);
		t.regex(ip('route'), /^prohibit 10\.1\.0\.0\/24 proto \d+ metric 1024/m);
		await eventually('the events are there', () => heard.length >= 5);
		t.deepEqual(new Set(heard.slice(0, 5)), new Set(['foreign-route']));
		kernel.close();
		return undefined;
	});

	test.serial(
		'routes with many next hops share next hop objects, which are removed when no route uses them',
		async (t) => {
			enterNewNamespace();
			addInterface('left', ['10.7.0.1/24']);
			ip('nexthop add id 7 via 10.7.0.250 dev left proto static');
			const kernel = openNetlinkKernel({ routeProtocol: ourProtocol }, silentLogger);
			const routes = Array.from({ length: 300 }, (_, index) => route(index));
			t.deepEqual(await kernel.apply(routes.map((each) => ({ type: 'add', route: each }))), []);
			t.is(objects().length, 100);
			t.regex(ip('route show proto 80'), /192\.168\.0\.0\/30 nhid \d+ via 10\.7\.0\.2 dev left/);
			// An object that another program removed takes its routes with it, and is created
			// again.
			const [id] = /nhid (\d+)/.exec(ip('route show 192.168.0.0/30'))?.slice(1) ?? [];
			ip(`nexthop del id ${id}`);
			const left = await kernel.list();
			t.is(left.length, 297);
			t.deepEqual(
				await kernel.apply(routes.filter((each) => each.via === hop(0)).map((each) => ({ type: 'add', route: each }))),
				[],
			);
			t.is((await kernel.list()).length, 300);
			// A later process finds them, removes the routes, and then the objects.
			kernel.close();
			const next = openNetlinkKernel({ routeProtocol: ourProtocol }, silentLogger);
			t.deepEqual(await next.apply((await next.list()).map((each) => ({ type: 'remove', route: each }))), []);
			t.deepEqual(await next.list(), []);
			t.deepEqual(objects(), []);
			t.regex(ip('nexthop'), /id 7 via 10\.7\.0\.250/, 'that of another program stays');
			next.close();
		},
	);

	test.serial('each of several writes under way reports its own refusals', async (t) => {
		enterNewNamespace();
		addInterface('left', ['10.7.0.1/24']);
		const kernel = openNetlinkKernel({ routeProtocol: ourProtocol }, silentLogger);
		// More than one part each; every 1,500th next hop is unreachable.
		const write = (second: number) =>
			Array.from({ length: 9000 }, (_, index) => ({
				type: 'add' as const,
				route: unicast(
					`100.${second}.${index >> 6}.${(index & 63) << 2}/30`,
					index % 1500 === second ? '10.99.0.1' : '10.7.0.2',
					'left',
				),
			}));
		const writes = [write(1), write(2), write(3)];
		const refused = await Promise.all(writes.map((each) => kernel.apply(each)));
		t.deepEqual(
			refused.map((each) => each.map(({ operation, error }) => [operation.route.prefix, error.code])),
			writes.map((each) =>
				each
					.filter(({ route: { via } }) => via === '10.99.0.1')
					.map(({ route: { prefix } }) => [prefix, 'ENETUNREACH']),
			),
		);
		t.is((await kernel.list()).length, 3 * 9000 - 18);
		kernel.close();
	});

	test.serial('throw and prohibit routes of other owners, and other tables, are never changed', async (t) => {
		enterNewNamespace();
		addInterface('left', ['10.7.0.1/24']);
		ip('route add throw 192.168.1.0/26 metric 1024 proto static');
		ip('route add prohibit 192.168.2.0/26 metric 1024 proto static');
		ip('route add 192.168.3.0/26 via 10.7.0.9 metric 1024 proto 80 table 7');
		const kernel = openNetlinkKernel({ routeProtocol: ourProtocol }, silentLogger);
		t.deepEqual(await kernel.list(), []);
		await kernel.listForeign();
		const ours = unicast('192.168.1.0/26', '10.7.0.2', 'left');
		const [failure] = await kernel.apply([{ type: 'add', route: ours }]);
		t.is(failure?.error.code, 'EEXIST');
		await kernel.apply([{ type: 'remove', route: ours }]);
		t.regex(ip('route show type throw'), /192\.168\.1\.0\/26 proto static metric 1024/);
		t.regex(ip('route show type prohibit'), /192\.168\.2\.0\/26 proto static metric 1024/);
		t.regex(ip('route show table 7'), /192\.168\.3\.0\/26/);
		kernel.close();
	});
}
