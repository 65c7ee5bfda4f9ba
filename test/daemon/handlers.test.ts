import test from 'ava';
import { peerOptions, type RouteQuery } from '../../src/bgp/index.ts';
import { ControlError } from '../../src/control/index.ts';
import { type PeerView, prefixKey, type RouteView } from '../../src/core/index.ts';
import { createHandlers } from '../../src/daemon/handlers.ts';
import { MonitorHub } from '../../src/daemon/monitor.ts';
import type { Rooms } from '../../src/daemon/rooms.ts';
import { routes as someRoutes, tor } from '../cli/views.ts';

const peers: readonly PeerView[] = [tor, { ...tor, name: 'six', address: 'fd00::1', state: 'idle' }];

/** Rooms that respond from the views of the screens, and record their calls. */
function rooms(options: { readonly refreshes?: boolean; readonly disabled?: boolean } = {}) {
	const asked: unknown[] = [];
	const speaker = {
		eachPeer: () => peers,
		eachPeerOptions: () => [
			{ name: 'tor', description: 'BGPPeer rack, Node worker-2' },
			{ name: 'six', description: 'BGPPeer rack' },
		],
		peerAt: (address: string) => peers.find((peer) => peer.address === address),
		peer: (name: string) => {
			const found = peers.find((peer) => peer.name === name);
			return found && options.disabled === true ? { ...found, enabled: false } : found;
		},
		peerOptions: (name: string) =>
			name === 'tor'
				? peerOptions({ address: '10.0.1.1', asNumber: 64999, md5Key: 'a secret', holdTimeSeconds: 9 })
				: undefined,
		enable: (name: string) => void asked.push(['enable', name]),
		disable: (name: string, text?: string) => void asked.push(['disable', name, text]),
		reset: (name: string, how: string, text?: string) => void asked.push(['reset', name, how, text]),
		refresh: () => options.refreshes ?? true,
		withoutKey: () => [],
	};
	const rib = {
		routes: (query: RouteQuery): RouteView[] => {
			asked.push(query);
			return query.address === '10.9.9.9' ? [] : someRoutes.slice(0, query.limit);
		},
		*eachRoute(query: RouteQuery) {
			asked.push(query);
			for (const route of someRoutes) yield* [undefined, route];
		},
		withoutNextHop: () => [{ peer: 'tor', family: 'ipv6' }],
		nearLimit: () => [],
		covering: (address: string) => {
			const [route] = someRoutes;
			return address === '10.9.9.9' || route === undefined ? [] : [prefixKey('10.0.0.0/30'), route.prefix];
		},
		explain: (prefix: string) => ({
			prefix,
			paths: someRoutes.filter((route) => route.prefix === prefix).map((route) => ({ ...route, best: true })),
		}),
	};
	// The handlers use only these of the rooms.
	const here = {
		speaker,
		rib,
		kernel: undefined,
		planes: { state: undefined },
		cluster: undefined,
		follower: undefined,
	} as unknown as Rooms;
	const unasked = (): never => {
		throw new Error('not asked here');
	};
	return {
		handlers: createHandlers({
			rooms: () => here,
			hub: new MonitorHub(),
			status: unasked,
			problems: async () => unasked(),
			config: unasked,
			reload: unasked,
		}),
		asked,
	};
}

test('a limit is applied, and the response reports that there are more', async (t) => {
	const { handlers } = rooms();
	for (const { limit, truncated, length } of [
		{ limit: 2, truncated: true, length: 2 },
		{ limit: someRoutes.length, truncated: false, length: someRoutes.length },
		{ limit: 0, truncated: false, length: someRoutes.length },
	]) {
		const answer = await handlers.routes({ limit });
		t.is([...answer.routes].filter((route) => route !== undefined).length, length);
		// Valid only after all routes were read.
		t.is(answer.truncated, truncated, `limit ${limit}`);
	}
});

test('queries to the tables are canonical', async (t) => {
	const { handlers, asked } = rooms();
	for (const request of [
		{ prefix: '10.0.0.7/8', covered: true, received: 'FD00:0::1' },
		{ address: 'FD00::0:2', family: 'ipv6', advertised: 'tor' },
	])
		t.true([...(await handlers.routes(request)).routes].length > 0);
	t.deepEqual(asked, [
		{ prefix: prefixKey('10.0.0.0/8'), covered: true, received: 'six' },
		{ address: 'fd00::2', family: 'ipv6', advertised: 'tor' },
	]);
});

test('an address is explained by the prefix that its packets follow', async (t) => {
	const { handlers } = rooms();
	const explained = await handlers.explanation({ target: '10.0.0.1' });
	t.is(explained.prefix, someRoutes[0]?.prefix as never);
	t.deepEqual(explained.passedOver, [{ prefix: prefixKey('10.0.0.0/30'), paths: [] }]);
	t.is((await handlers.explanation({ target: '10.1.0.0/16' })).prefix, prefixKey('10.1.0.0/16'));
	t.deepEqual(explained.notes, ['not written to the kernel: fib.enabled is false']);
});

test('peers have their problems, in the list and alone', async (t) => {
	const { handlers } = rooms();
	const listed = [...(await handlers.peers({})).peers].flatMap((peer) =>
		(peer?.problems ?? []).map(({ id }) => `${peer?.name} ${id}`),
	);
	t.deepEqual(listed, ['tor no-next-hop', 'six session-down']);
	t.deepEqual(
		(await handlers.peer({ peer: 'tor' })).problems?.map(({ id }) => id),
		['no-next-hop'],
	);
});

const refusals: readonly {
	title: string;
	ask: (handlers: ReturnType<typeof rooms>['handlers']) => unknown;
	status: number;
	code: string;
}[] = [
	{
		title: 'an unknown peer',
		ask: (handlers) => handlers.peer({ peer: 'absent' }),
		status: 404,
		code: 'no-such-peer',
	},
	{
		title: 'routes of an unknown peer',
		ask: (handlers) => handlers.routes({ received: 'absent' }),
		status: 404,
		code: 'no-such-peer',
	},
	{
		title: 'both directions at once',
		ask: (handlers) => handlers.routes({ received: 'tor', advertised: 'tor' }),
		status: 400,
		code: 'bad-request',
	},
	{
		title: 'a prefix with host bits',
		ask: (handlers) => handlers.routes({ prefix: '10.0.0.1/8' }),
		status: 400,
		code: 'bad-request',
	},
	{
		title: 'an invalid address',
		ask: (handlers) => handlers.explanation({ target: '10.0.0' }),
		status: 400,
		code: 'bad-request',
	},
	{
		title: 'an explanation without a subject',
		ask: (handlers) => handlers.explanation({}),
		status: 400,
		code: 'bad-request',
	},
	{
		title: 'an address without a route',
		ask: (handlers) => handlers.explanation({ target: '10.9.9.9' }),
		status: 404,
		code: 'no-route',
	},
	{
		title: 'an unknown family',
		ask: (handlers) => handlers.routes({ family: 'ipx' }),
		status: 400,
		code: 'bad-request',
	},
	{
		title: 'a text that is too long',
		ask: (handlers) => handlers.peerDisable({ peer: 'tor', text: 'ü'.repeat(128) }),
		status: 400,
		code: 'bad-request',
	},
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

test('a peer is controlled by name or address, with the text', async (t) => {
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

test('an impossible operation is reported with its reason', async (t) => {
	const { handlers, asked } = rooms({ refreshes: false });
	t.like(await handlers.peerReset({ peer: 'six', soft: true }), {
		done: false,
		reason: 'the session is not established, it is idle',
	});
	t.like(await handlers.peerRefresh({ peer: 'six' }), {
		done: false,
		reason: 'the session is not established, it is idle',
	});
	t.like(await handlers.peerRefresh({ peer: 'tor' }), {
		done: false,
		reason: 'the neighbour did not announce the route refresh capability',
	});
	const { handlers: other, asked: told } = rooms({ disabled: true });
	t.like(await other.peerReset({ peer: 'six' }), {
		done: false,
		reason: 'it is disabled: bgpmesh peer enable six starts it',
	});
	t.deepEqual([...asked, ...told], []);
});

test('a peer is found by its source resources, if one resource identifies it', async (t) => {
	const { handlers } = rooms();
	t.like(await handlers.peer({ peer: 'worker-2' }), { name: 'tor', options: { md5Key: true, holdTimeSeconds: 9 } });
	t.like(await handlers.peer({ peer: 'Node worker-2' }), { name: 'tor' });
	t.like(await t.throwsAsync(async () => handlers.peer({ peer: 'rack' }), { instanceOf: ControlError }), {
		status: 409,
		code: 'ambiguous-peer',
		hint: 'one of tor, six',
	});
});
