import type { ExecutionContext, TestFn } from 'ava';
import { type PrefixKey, prefixKey } from '../../src/core/index.ts';
import type { KernelEvent, KernelRoute, RouteKernel, RouteOperation } from '../../src/fib/index.ts';

/** A kernel and the hands of others on it. Interfaces: `left` 10.7.0.1/24 and fd07::1/64, `right` 10.8.0.1/24, both up. */
export interface KernelWorld {
	readonly kernel: RouteKernel;
	/** Protocol 4, static. */
	addForeign(prefix: PrefixKey, via: string, metric: number): void;
	/** As `addForeign`, but put before a route with that prefix and metric. */
	prependForeign(prefix: PrefixKey, via: string, metric: number): void;
	/** With our protocol, by other hands; through `left`. */
	addOurs(prefix: PrefixKey, via: string, metric: number): void;
	remove(prefix: PrefixKey): void;
	setDown(device: string): void;
}

export const ourProtocol = 80;

export const unicast = (prefix: string, via: string, device: string | undefined, more: Partial<KernelRoute> = {}): KernelRoute => ({
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
const sorted = (routes: readonly KernelRoute[]) => [...routes].sort((left, right) => left.prefix.localeCompare(right.prefix) || left.metric - right.metric);

/** What every implementation of `RouteKernel` does, real or fake. */
export function testKernelContract(test: TestFn, make: (t: ExecutionContext) => KernelWorld | Promise<KernelWorld>): void {
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
		['a route through a gateway that is on the link by our word alone', unicast('192.168.2.0/26', '10.99.0.2', 'right', { onlink: true })],
		['a blackhole', blackhole('192.168.3.0/26')],
		['an IPv6 route', unicast('fd99:1::/64', 'fd07::2', 'left')],
		['an IPv6 blackhole', blackhole('fd99:2::/122')],
		['a route of another metric', unicast('192.168.4.0/26', '10.7.0.2', 'left', { metric: 77 })],
		['a default route', unicast('0.0.0.0/0', '10.7.0.2', 'left')],
		['a route to one address', unicast('192.168.5.5/32', '10.8.0.9', 'right')],
	] as const) {
		contract(`${what} is read back as it was written, and removed`, async (t, { kernel }) => {
			t.deepEqual(await kernel.apply([add(route)]), []);
			t.deepEqual(await kernel.list(), [route]);
			t.deepEqual(await kernel.apply([remove(route)]), []);
			t.deepEqual(await kernel.list(), []);
		});
	}

	contract('a gateway without interface gets the one that reaches it', async (t, { kernel }) => {
		await kernel.apply([add(unicast('192.168.1.0/26', '10.8.0.2', undefined))]);
		t.deepEqual(await kernel.list(), [unicast('192.168.1.0/26', '10.8.0.2', 'right')]);
	});

	contract('an unreachable gateway is refused with the reason, and the others are carried out', async (t, { kernel }) => {
		const bad = add(unicast('192.168.2.0/26', '10.99.0.2', undefined));
		const good = [unicast('192.168.1.0/26', '10.7.0.2', 'left'), unicast('192.168.3.0/26', '10.8.0.2', 'right')];
		const failures = await kernel.apply([...good.slice(0, 1), undefined, ...good.slice(1)].map((route) => (route === undefined ? bad : add(route))));
		t.is(failures.length, 1);
		t.is(failures[0]?.operation, bad);
		t.is(failures[0]?.error.code, 'ENETUNREACH');
		t.regex(failures[0]?.error.message ?? '', /gateway/);
		t.deepEqual(sorted(await kernel.list()), good);
	});

	contract('an interface that is not there is refused', async (t, { kernel }) => {
		const failures = await kernel.apply([add(unicast('192.168.1.0/26', '10.7.0.2', 'nowhere', { onlink: true }))]);
		t.is(failures[0]?.error.code, 'ENODEV');
		t.regex(failures[0]?.error.message ?? '', /nowhere/);
	});

	contract('a route of somebody else is neither listed as ours, replaced nor removed', async (t, { kernel, addForeign }) => {
		const prefix = prefixKey('192.168.1.0/26');
		addForeign(prefix, '10.8.0.5', 1024);
		t.deepEqual(await kernel.list(), []);
		const ours = unicast(prefix, '10.7.0.2', 'left');
		const failures = await kernel.apply([add(ours)]);
		t.is(failures[0]?.error.code, 'EEXIST');
		t.deepEqual(await kernel.apply([remove(ours), remove(unicast(prefix, '10.8.0.5', 'right'))]), []);
		const foreign = (await kernel.listForeign()).filter((route) => route.prefix === prefix);
		t.deepEqual(foreign, [{ prefix, family: 'ipv4', via: '10.8.0.5', device: 'right', metric: 1024, protocol: 4 }]);
	});

	contract('a route of ours stands beside one of somebody else with another metric', async (t, { kernel, addForeign }) => {
		const prefix = prefixKey('192.168.1.0/26');
		addForeign(prefix, '10.8.0.5', 10);
		const ours = unicast(prefix, '10.7.0.2', 'left');
		t.deepEqual(await kernel.apply([add(ours)]), []);
		t.deepEqual(await kernel.list(), [ours]);
		await kernel.apply([remove(ours)]);
		t.is((await kernel.listForeign()).filter((route) => route.prefix === prefix).length, 1);
	});

	contract('the routes of others tell what is on the link', async (t, { kernel }) => {
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
		['the tunnel in place of the wire', unicast('192.168.1.0/26', '10.7.0.2', 'left'), unicast('192.168.1.0/26', '10.7.0.2', 'right', { onlink: true })],
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
		contract(`a route of ours is replaced where somebody put one of the same prefix and metric before it, known by ${known}`, async (t, world) => {
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
		});
	}

	contract('what is gone counts as removed', async (t, { kernel }) => {
		t.deepEqual(await kernel.apply([remove(unicast('192.168.1.0/26', '10.7.0.2', 'left')), remove(blackhole('fd99:1::/64'))]), []);
	});

	contract('one refused route among thousands is found by its place', async (t, { kernel }) => {
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

	contract('what others do is told, what we do is not', async (t, { kernel, addForeign, addOurs, remove: removeByOthers }) => {
		const events: KernelEvent[] = [];
		kernel.watch((event) => events.push(event));
		const route = unicast('192.168.1.0/26', '10.7.0.2', 'left');
		await kernel.apply([add(route)]);
		removeByOthers(route.prefix);
		addForeign(prefixKey('192.168.2.0/26'), '10.7.0.3', 0);
		addOurs(prefixKey('192.168.3.0/26'), '10.7.0.4', 1024);
		await until(() => events.length >= 3);
		t.deepEqual(events, [
			{ type: 'own-route', change: 'removed', route },
			{ type: 'foreign-route', protocol: 4, device: 'left' },
			{ type: 'own-route', change: 'added', route: unicast('192.168.3.0/26', '10.7.0.4', 'left') },
		]);
	});

	contract('an interface that goes down is told, and its routes are gone', async (t, { kernel, setDown }) => {
		const events: KernelEvent[] = [];
		kernel.watch((event) => events.push(event));
		const stays = unicast('192.168.2.0/26', '10.8.0.2', 'right');
		await kernel.apply([add(unicast('192.168.1.0/26', '10.7.0.2', 'left')), add(stays)]);
		setDown('left');
		await until(() => events.some(({ type }) => type === 'interface'));
		t.deepEqual(await kernel.list(), [stays]);
	});
}

/** Waits for something that must come; ava's own time limit ends a wait in vain. */
export async function until(condition: () => boolean): Promise<void> {
	while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}
