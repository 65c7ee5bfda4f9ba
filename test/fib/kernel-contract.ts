import type { ExecutionContext, TestFn } from 'ava';
import { type PrefixKey, prefixKey } from '../../src/core/index.ts';
import { byPrefix } from '../../src/fib/diff.ts';
import {
	diff,
	type KernelEvent,
	type KernelRoute,
	type RouteKernel,
	type RouteOperation,
} from '../../src/fib/index.ts';

/**
 * A kernel, and changes of it by other programs. Interfaces: `left` 10.7.0.1/24 and fd07::1/64,
 * `right` 10.8.0.1/24, both up.
 */
export interface KernelWorld {
	readonly kernel: RouteKernel;
	/** Protocol 4, static. */
	addForeign(prefix: PrefixKey, via: string, metric: number): void;
	/** As `addForeign`, but placed before an existing route with that prefix and metric. */
	prependForeign(prefix: PrefixKey, via: string, metric: number): void;
	/** A route with our protocol that another program added; through `left`. */
	addOurs(prefix: PrefixKey, via: string, metric: number): void;
	remove(prefix: PrefixKey): void;
	setDown(device: string): void;
}

export const ourProtocol = 80;

export const unicast = (
	prefix: string,
	via: string,
	device: string | undefined,
	more: Partial<KernelRoute> = {},
): KernelRoute => ({
	prefix: prefixKey(prefix),
	family: prefix.includes(':') ? 'ipv6' : 'ipv4',
	type: 'unicast',
	via,
	device,
	onlink: false,
	metric: 1024,
	...more,
});

export const blackhole = (prefix: string, metric = 1024): KernelRoute => ({
	prefix: prefixKey(prefix),
	family: prefix.includes(':') ? 'ipv6' : 'ipv4',
	type: 'blackhole',
	via: undefined,
	device: undefined,
	onlink: false,
	metric,
});

const add = (route: KernelRoute): RouteOperation => ({ type: 'add', route });
const remove = (route: KernelRoute): RouteOperation => ({ type: 'remove', route });
const sorted = (routes: readonly KernelRoute[]) =>
	[...routes].sort((left, right) => left.prefix.localeCompare(right.prefix) || left.metric - right.metric);

/** The behaviour of every implementation of `RouteKernel`, real or fake. */
export function testKernelContract(
	test: TestFn,
	make: (t: ExecutionContext) => KernelWorld | Promise<KernelWorld>,
): void {
	const contract = (title: string, body: (t: ExecutionContext, world: KernelWorld) => Promise<void>) =>
		test.serial(title, async (t) => {
			const world = await make(t);
			try {
				await body(t, world);
			} finally {
				world.kernel.close();
			}
		});

	for (const [what, route] of [
		['an IPv4 route by gateway and interface', unicast('192.168.1.0/26', '10.7.0.2', 'left')],
		['a route through an onlink gateway', unicast('192.168.2.0/26', '10.99.0.2', 'right', { onlink: true })],
		['a blackhole', blackhole('192.168.3.0/26')],
		['an IPv6 route', unicast('fd99:1::/64', 'fd07::2', 'left')],
		['an IPv6 blackhole', blackhole('fd99:2::/122')],
		['a route of another metric', unicast('192.168.4.0/26', '10.7.0.2', 'left', { metric: 77 })],
		['a default route', unicast('0.0.0.0/0', '10.7.0.2', 'left')],
		['a route to one address', unicast('192.168.5.5/32', '10.8.0.9', 'right')],
		[
			'a route by two ways (ECMP)',
			unicast('192.168.6.0/26', '10.7.0.2', 'left', { others: [{ via: '10.8.0.9', device: 'right', onlink: false }] }),
		],
		[
			'an IPv6 route by two ways',
			unicast('fd99:6::/64', 'fd07::2', 'left', { others: [{ via: 'fd07::3', device: 'left', onlink: false }] }),
		],
		['a route with a preferred source', unicast('192.168.7.0/26', '10.7.0.2', 'left', { source: '10.7.0.1' })],
		['an IPv6 route with a preferred source', unicast('fd99:7::/64', 'fd07::2', 'left', { source: 'fd07::1' })],
	] as const) {
		contract(`${what} is read back as written, and removed`, async (t, { kernel }) => {
			t.deepEqual(await kernel.apply([add(route)]), []);
			t.deepEqual(await kernel.list(), [route]);
			t.deepEqual(await kernel.apply([remove(route)]), []);
			t.deepEqual(await kernel.list(), []);
		});
	}

	contract('a gateway without interface gets the interface that reaches it', async (t, { kernel }) => {
		await kernel.apply([add(unicast('192.168.1.0/26', '10.8.0.2', undefined))]);
		t.deepEqual(await kernel.list(), [unicast('192.168.1.0/26', '10.8.0.2', 'right')]);
	});

	contract(
		'an unreachable gateway is refused with the reason, and the other operations are applied',
		async (t, { kernel }) => {
			const bad = add(unicast('192.168.2.0/26', '10.99.0.2', undefined));
			const good = [unicast('192.168.1.0/26', '10.7.0.2', 'left'), unicast('192.168.3.0/26', '10.8.0.2', 'right')];
			const failures = await kernel.apply(
				[...good.slice(0, 1), undefined, ...good.slice(1)].map((route) => (route === undefined ? bad : add(route))),
			);
			t.is(failures.length, 1);
			t.is(failures[0]?.operation, bad);
			t.is(failures[0]?.error.code, 'ENETUNREACH');
			t.regex(failures[0]?.error.message ?? '', /gateway/);
			t.deepEqual(sorted(await kernel.list()), good);
		},
	);

	contract('one next hop replaces two, and two replace one, at no moment with none', async (t, { kernel }) => {
		const one = unicast('192.168.6.0/26', '10.7.0.2', 'left');
		const two = { ...one, others: [{ via: '10.8.0.9', device: 'right', onlink: false }] };
		await kernel.apply([add(one)]);
		t.deepEqual(await kernel.apply([{ type: 'replace', route: two, old: one }]), []);
		t.deepEqual(await kernel.list(), [two]);
		t.deepEqual(await kernel.apply([{ type: 'replace', route: one, old: two }]), []);
		t.deepEqual(await kernel.list(), [one]);
	});

	contract('many next hops in one call: routes are read back, replaced and removed', async (t, { kernel }) => {
		const routes = (shift: number) =>
			Array.from({ length: 300 }, (_, index) =>
				unicast(`192.168.${index >> 6}.${(index & 63) << 2}/30`, `10.7.0.${2 + ((index + shift) % 100)}`, 'left'),
			);
		const [before, after] = [routes(0), routes(7)];
		t.deepEqual(await kernel.apply(before.map(add)), []);
		t.deepEqual(sorted(await kernel.list()), sorted(before));
		const replace = after.map(
			(route, index): RouteOperation => ({ type: 'replace', route, old: before[index] ?? route }),
		);
		t.deepEqual(await kernel.apply(replace), []);
		t.deepEqual(sorted(await kernel.list()), sorted(after));
		// Removes one by one; a route that another program removed counts as removed.
		t.deepEqual(await kernel.apply(after.slice(0, 1).map(remove)), []);
		t.deepEqual(await kernel.apply(after.map(remove)), []);
		t.deepEqual(await kernel.list(), []);
	});

	contract('a missing interface is refused', async (t, { kernel }) => {
		const failures = await kernel.apply([add(unicast('192.168.1.0/26', '10.7.0.2', 'nowhere', { onlink: true }))]);
		t.is(failures[0]?.error.code, 'ENODEV');
		t.regex(failures[0]?.error.message ?? '', /nowhere/);
	});

	contract(
		'a route of another owner is neither listed as ours, replaced nor removed',
		async (t, { kernel, addForeign }) => {
			const prefix = prefixKey('192.168.1.0/26');
			addForeign(prefix, '10.8.0.5', 1024);
			t.deepEqual(await kernel.list(), []);
			const ours = unicast(prefix, '10.7.0.2', 'left');
			const failures = await kernel.apply([add(ours)]);
			t.is(failures[0]?.error.code, 'EEXIST');
			t.deepEqual(await kernel.apply([remove(ours), remove(unicast(prefix, '10.8.0.5', 'right'))]), []);
			const foreign = (await kernel.listForeign()).filter((route) => route.prefix === prefix);
			t.deepEqual(foreign, [{ prefix, family: 'ipv4', via: '10.8.0.5', device: 'right', metric: 1024, protocol: 4 }]);
		},
	);

	contract('an own route coexists with a foreign one of another metric', async (t, { kernel, addForeign }) => {
		const prefix = prefixKey('192.168.1.0/26');
		addForeign(prefix, '10.8.0.5', 10);
		const ours = unicast(prefix, '10.7.0.2', 'left');
		t.deepEqual(await kernel.apply([add(ours)]), []);
		t.deepEqual(await kernel.list(), [ours]);
		await kernel.apply([remove(ours)]);
		t.is((await kernel.listForeign()).filter((route) => route.prefix === prefix).length, 1);
	});

	contract('foreign routes show the prefixes on the link', async (t, { kernel }) => {
		const foreign = await kernel.listForeign();
		const left = foreign.find(({ prefix }) => prefix === '10.7.0.0/24');
		t.is(left?.device, 'left');
		t.is(left?.via, undefined);
		t.truthy(foreign.find(({ prefix }) => prefix === 'fd07::/64'));
	});

	for (const [what, before, after] of [
		['another gateway', unicast('192.168.1.0/26', '10.7.0.2', 'left'), unicast('192.168.1.0/26', '10.8.0.2', 'right')],
		['a blackhole', unicast('192.168.1.0/26', '10.7.0.2', 'left'), blackhole('192.168.1.0/26')],
		['a gateway in place of a blackhole', blackhole('192.168.1.0/26'), unicast('192.168.1.0/26', '10.7.0.2', 'left')],
		[
			'the tunnel in place of the wire',
			unicast('192.168.1.0/26', '10.7.0.2', 'left'),
			unicast('192.168.1.0/26', '10.7.0.2', 'right', { onlink: true }),
		],
		['another IPv6 gateway', unicast('fd99:1::/64', 'fd07::2', 'left'), unicast('fd99:1::/64', 'fd07::3', 'left')],
		['an IPv6 blackhole in place of a gateway', unicast('fd99:1::/64', 'fd07::2', 'left'), blackhole('fd99:1::/64')],
	] as const) {
		contract(`a route is replaced by one with ${what}`, async (t, { kernel }) => {
			await kernel.apply([add(before)]);
			t.deepEqual(await kernel.apply([{ type: 'replace', route: after, old: before }]), []);
			t.deepEqual(await kernel.list(), [after]);
		});
	}

	for (const known of ['an event', 'a list'] as const) {
		contract(
			`an own route is replaced after a foreign one of the same prefix and metric was put before it, known by ${known}`,
			async (t, world) => {
				const { kernel } = world;
				const before = unicast('192.168.1.0/26', '10.7.0.2', 'left');
				const after = unicast('192.168.1.0/26', '10.7.0.3', 'left');
				let told = false;
				if (known === 'an event') {
					kernel.watch(({ type }) => {
						told ||= type === 'foreign-route';
					});
				}
				await kernel.apply([add(before)]);
				world.prependForeign(before.prefix, '10.8.0.5', before.metric);
				if (known === 'an event') await until(() => told);
				else await kernel.listForeign();
				t.deepEqual(await kernel.apply([{ type: 'replace', route: after, old: before }]), []);
				t.deepEqual(await kernel.list(), [after]);
				t.deepEqual(
					(await kernel.listForeign()).filter(({ prefix }) => prefix === before.prefix).map(({ via }) => via),
					['10.8.0.5'],
				);
			},
		);
	}

	contract('a route of Felix with our protocol is not ours, until Felix is gone', async (t, { kernel, addOurs }) => {
		const prefix = prefixKey('192.168.1.0/26');
		const ours = unicast(prefix, '10.7.0.2', 'left');
		addOurs(prefix, '10.7.0.9', 0);
		t.deepEqual(await kernel.apply([add(ours)]), []);
		t.deepEqual(await kernel.list(), [ours]);
		const ofFelix = async () => (await kernel.listForeign()).filter(({ protocol }) => protocol === ourProtocol);
		t.deepEqual(
			(await ofFelix()).map(({ via }) => via),
			['10.7.0.9'],
		);
		t.deepEqual(await kernel.apply([remove(ours)]), []);
		t.is((await ofFelix()).length, 1, 'the removal of our route is none of that of Felix');
		kernel.setOwnership({ protocol: ourProtocol, felixFamilies: [] });
		t.deepEqual(await ofFelix(), []);
		t.deepEqual(await kernel.list(), [unicast(prefix, '10.7.0.9', 'left', { metric: 0 })]);
	});

	contract('routes with a former protocol of ours are written again with the present one', async (t, { kernel }) => {
		const [kept, gone, dark] = [
			unicast('192.168.1.0/26', '10.7.0.2', 'left'),
			unicast('192.168.2.0/26', '10.7.0.2', 'left'),
			unicast('fd99:1::/64', 'fd07::2', 'left'),
		];
		t.deepEqual(await kernel.apply([add(kept), add(gone), add(dark)]), []);
		kernel.setOwnership({ protocol: 81, former: ourProtocol, felixFamilies: ['ipv4', 'ipv6'] });
		const before = sorted(await kernel.list());
		t.deepEqual(
			before.map(({ protocol }) => protocol),
			[ourProtocol, ourProtocol, ourProtocol],
		);
		t.deepEqual(
			(await kernel.listForeign()).filter(({ protocol }) => protocol === ourProtocol),
			[],
		);
		const actual = byPrefix(before);
		const wanted = new Map([kept, dark].map((route) => [route.prefix, route]));
		const operations = diff(wanted, actual, true);
		t.deepEqual(
			operations.map(({ type }) => type),
			['replace', 'replace', 'remove'],
		);
		t.deepEqual(await kernel.apply(operations), []);
		t.deepEqual(sorted(await kernel.list()), sorted([kept, dark]));
	});

	contract('a route that is already gone counts as removed', async (t, { kernel }) => {
		t.deepEqual(
			await kernel.apply([remove(unicast('192.168.1.0/26', '10.7.0.2', 'left')), remove(blackhole('fd99:1::/64'))]),
			[],
		);
	});

	contract('one refused route among thousands is found by its position', async (t, { kernel }) => {
		const operations = Array.from({ length: 2500 }, (_, index) =>
			add(unicast(`172.16.${index >> 8}.${index & 255}/32`, index === 1777 ? '10.99.0.1' : '10.7.0.2', 'left')),
		);
		const failures = await kernel.apply(operations);
		t.deepEqual(
			failures.map(({ operation }) => operation),
			operations.slice(1777, 1778),
		);
		t.is((await kernel.list()).length, 2499);
	});

	contract(
		'changes by other programs cause events, own changes do not',
		async (t, { kernel, addForeign, addOurs, remove: removeByOthers }) => {
			const events: KernelEvent[] = [];
			kernel.watch((event) => {
				// Duplicate address detection of the interfaces ends at any time; routes of the kernel follow.
				if (event.type === 'own-route' || (event.type === 'foreign-route' && event.protocol !== 2)) events.push(event);
			});
			const route = unicast('192.168.1.0/26', '10.7.0.2', 'left');
			await kernel.apply([add(route)]);
			removeByOthers(route.prefix);
			addForeign(prefixKey('192.168.2.0/26'), '10.7.0.3', 0);
			addOurs(prefixKey('192.168.3.0/26'), '10.7.0.4', 1024);
			await until(() => events.length >= 3);
			t.deepEqual(events, [
				{ type: 'own-route', change: 'removed', route },
				{ type: 'foreign-route', family: 'ipv4', protocol: 4, device: 'left', metric: 0 },
				{ type: 'own-route', change: 'added', route: unicast('192.168.3.0/26', '10.7.0.4', 'left') },
			]);
		},
	);

	contract('an interface that goes down causes an event, and its routes are gone', async (t, { kernel, setDown }) => {
		const events: KernelEvent[] = [];
		kernel.watch((event) => events.push(event));
		const stays = unicast('192.168.2.0/26', '10.8.0.2', 'right');
		await kernel.apply([add(unicast('192.168.1.0/26', '10.7.0.2', 'left')), add(stays)]);
		setDown('left');
		await until(() => events.some(({ type }) => type === 'interface'));
		t.deepEqual(await kernel.list(), [stays]);
	});
}

/** Waits for an expected event; ava's own time limit ends a wait in vain. */
export async function until(condition: () => boolean): Promise<void> {
	while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}
