import test from 'ava';
import type { RouteQuery } from '../../src/bgp/index.ts';
import { ControlError } from '../../src/control/index.ts';
import { type PeerView, prefixKey, type RouteView } from '../../src/core/index.ts';
import { createHandlers } from '../../src/daemon/handlers.ts';
import { MonitorHub } from '../../src/daemon/monitor.ts';
import type { Rooms } from '../../src/daemon/rooms.ts';
import { routes as someRoutes, tor } from '../cli/views.ts';

const peers: readonly PeerView[] = [tor, { ...tor, name: 'six', address: 'fd00::1', state: 'idle' }];

/** Rooms that answer from the views of the screens, and record what they are asked and told. */
function rooms(options: { readonly refreshes?: boolean; readonly disabled?: boolean } = {}) {
	const asked: unknown[] = [];
	const speaker = {
		peers: () => peers,
		peer: (name: string) => {
			const found = peers.find((peer) => peer.name === name);
			return found && options.disabled === true ? { ...found, enabled: false } : found;
		},
		enable: (name: string) => void asked.push(['enable', name]),
		disable: (name: string, text?: string) => void asked.push(['disable', name, text]),
		reset: (name: string, how: string, text?: string) => void asked.push(['reset', name, how, text]),
		refresh: () => options.refreshes ?? true,
	};
	const rib = {
		routes: (query: RouteQuery): RouteView[] => {
			asked.push(query);
			return query.address === '10.9.9.9' ? [] : someRoutes.slice(0, query.limit);
		},
		explain: (prefix: string) => ({ prefix, paths: [] }),
	};
	// The handlers use no more than this of the rooms.
	const here = { speaker, rib, kernel: undefined, cluster: undefined, follower: undefined } as unknown as Rooms;
	const unasked = (): never => {
		throw new Error('not asked here');
	};
	return { handlers: createHandlers({ rooms: () => here, hub: new MonitorHub(), status: unasked, config: unasked, reload: unasked }), asked };
}

test('a limit is kept, and what is beyond it is said to be there', async (t) => {
	const { handlers } = rooms();
	t.like(await handlers.routes({ limit: 2 }), { truncated: true, routes: { length: 2 } });
	t.like(await handlers.routes({ limit: someRoutes.length }), { truncated: false, routes: { length: someRoutes.length } });
	t.like(await handlers.routes({ limit: 0 }), { truncated: false, routes: { length: someRoutes.length } });
});

test('what is asked of the tables is canonical', async (t) => {
	const { handlers, asked } = rooms();
	await handlers.routes({ prefix: '10.0.0.7/8', covered: true, received: 'FD00:0::1', limit: 1 });
	await handlers.routes({ address: 'FD00::0:2', family: 'ipv6', advertised: 'tor', limit: 1 });
	t.deepEqual(asked, [
		{ prefix: prefixKey('10.0.0.0/8'), covered: true, received: 'six', limit: 2 },
		{ address: 'fd00::2', family: 'ipv6', advertised: 'tor', limit: 2 },
	]);
});

test('an address is explained by the prefix that its packets follow', async (t) => {
	const { handlers } = rooms();
	t.is((await handlers.explanation({ target: '10.0.0.1' })).prefix, someRoutes[0]?.prefix as never);
	t.is((await handlers.explanation({ target: '10.1.0.0/16' })).prefix, prefixKey('10.1.0.0/16'));
});

const refusals: readonly { title: string; ask: (handlers: ReturnType<typeof rooms>['handlers']) => unknown; status: number; code: string }[] = [
	{ title: 'a peer that nobody knows', ask: (handlers) => handlers.peer({ peer: 'nobody' }), status: 404, code: 'no-such-peer' },
	{ title: 'routes of a peer that nobody knows', ask: (handlers) => handlers.routes({ received: 'nobody' }), status: 404, code: 'no-such-peer' },
	{ title: 'both directions at once', ask: (handlers) => handlers.routes({ received: 'tor', advertised: 'tor' }), status: 400, code: 'bad-request' },
	{ title: 'a prefix with host bits', ask: (handlers) => handlers.routes({ prefix: '10.0.0.1/8' }), status: 400, code: 'bad-request' },
	{ title: 'an address that is none', ask: (handlers) => handlers.explanation({ target: '10.0.0' }), status: 400, code: 'bad-request' },
	{ title: 'an explanation of nothing', ask: (handlers) => handlers.explanation({}), status: 400, code: 'bad-request' },
	{ title: 'an address without a route', ask: (handlers) => handlers.explanation({ target: '10.9.9.9' }), status: 404, code: 'no-route' },
	{ title: 'a family that is none', ask: (handlers) => handlers.routes({ family: 'ipx' }), status: 400, code: 'bad-request' },
	{ title: 'a text that does not fit', ask: (handlers) => handlers.peerDisable({ peer: 'tor', text: 'ü'.repeat(128) }), status: 400, code: 'bad-request' },
];
for (const { title, ask, status, code } of refusals) {
	test(`${title} is refused with a reason`, async (t) => {
		const { handlers, asked } = rooms();
		const error = await t.throwsAsync(async () => ask(handlers), { instanceOf: ControlError });
		t.like(error, { status, code });
		t.false(
			asked.some((entry) => Array.isArray(entry)),
			'nothing was done',
		);
	});
}

test('a peer is steered by name or address, with the text', async (t) => {
	const { handlers, asked } = rooms();
	t.like(await handlers.peerDisable({ peer: '10.0.1.1', text: 'bye' }), { peer: 'tor', done: true });
	t.like(await handlers.peerEnable({ peer: 'tor' }), { peer: 'tor', done: true });
	t.like(await handlers.peerReset({ peer: 'tor', text: 'again' }), { action: 'reset', done: true });
	t.like(await handlers.peerReset({ peer: 'tor', soft: true }), { action: 'soft-reset', done: true });
	t.deepEqual(asked, [
		['disable', 'tor', 'bye'],
		['enable', 'tor'],
		['reset', 'tor', 'hard', 'again'],
		['reset', 'tor', 'soft', undefined],
	]);
});

test('what can not be done is told with its reason', async (t) => {
	const { handlers, asked } = rooms({ refreshes: false });
	t.like(await handlers.peerReset({ peer: 'six', soft: true }), { done: false, reason: 'the session is not established, it is idle' });
	t.like(await handlers.peerRefresh({ peer: 'six' }), { done: false, reason: 'the session is not established, it is idle' });
	t.like(await handlers.peerRefresh({ peer: 'tor' }), { done: false, reason: 'the neighbour did not announce the route refresh capability' });
	const { handlers: other, asked: told } = rooms({ disabled: true });
	t.like(await other.peerReset({ peer: 'six' }), { done: false, reason: 'it is disabled: bgpmesh peer enable six starts it' });
	t.deepEqual([...asked, ...told], []);
});
