import test from 'ava';
import type { AsPath, Capability, Role } from 'bgp-packet';

import { eventually } from '../../support/eventually.ts';
import { open, WireBench, type WirePeerOptions } from '../../support/wire-bench.ts';

const prefix = '10.1.0.0/16';
const path = (...asNumbers: number[]): AsPath => [{ type: 'sequence', asNumbers }];

/** A neighbour of AS `asNumber` with the role `theirs`, while our role is `ours`. */
const related = (asNumber: number, ours: Role, theirs: Role): WirePeerOptions => ({
	asNumber,
	options: { ...open, role: ours },
	capabilities: [{ type: 'role', role: theirs }],
});
const provider = related(65002, 'customer', 'provider');
const customer = related(65003, 'provider', 'customer');
const lateral = related(65004, 'peer', 'peer');
const inside: WirePeerOptions = { options: { reflectorClient: true } };

test('[C223] a route with OTC from a customer is a leak', async (t) => {
	const bench = await WireBench.start(t, { peers: { customer, inside } });
	await bench.connect();
	bench.peers.customer.announce([prefix], { onlyToCustomer: 65003 });
	await bench.settle();
	t.false(bench.peers.inside.holds(prefix));
});

for (const { otc, used } of [
	{ otc: 65004, used: true },
	{ otc: 65099, used: false },
]) {
	test(`[C223] a route with OTC ${otc} from peer AS 65004 is ${used ? 'used' : 'a leak'}`, async (t) => {
		const bench = await WireBench.start(t, { peers: { lateral, inside } });
		await bench.connect();
		bench.peers.lateral.announce([prefix], { onlyToCustomer: otc });
		await bench.settle();
		t.is(bench.peers.inside.holds(prefix), used);
	});
}

for (const { title, peer, asNumber, marked } of [
	{ title: 'a provider', peer: provider, asNumber: 65002, marked: 65002 },
	{ title: 'a peer', peer: lateral, asNumber: 65004, marked: 65004 },
	{ title: 'a customer', peer: customer, asNumber: 65003, marked: undefined },
]) {
	test(`[C224] a route without OTC from ${title} gets ${marked ?? 'none'}`, async (t) => {
		const bench = await WireBench.start(t, { peers: { from: peer, inside } });
		await bench.connect();
		bench.peers.from.announce([prefix], { asPath: path(asNumber) });
		await bench.settle();
		t.true(bench.peers.inside.holds(prefix));
		t.is(bench.peers.inside.table.get(prefix)?.onlyToCustomer, marked);
	});
}

test('[C46][C223] a neighbour that does not say what it is counts as what our role makes of it', async (t) => {
	const silent = ({ capabilities: _, ...rest }: WirePeerOptions): WirePeerOptions => rest;
	const bench = await WireBench.start(t, { peers: { provider: silent(provider), customer: silent(customer), inside } });
	await bench.connect();
	bench.peers.customer.announce([prefix], { onlyToCustomer: 65003, asPath: path(65003) });
	bench.peers.provider.announce(['10.2.0.0/16'], { asPath: path(65002) });
	bench.peers.inside.announce(['10.3.0.0/16'], { onlyToCustomer: 65009 });
	await bench.settle();
	t.is(bench.rib.routes({ received: 'customer' })[0]?.ineligible, 'route leak (RFC 9234)');
	t.is(bench.peers.inside.table.get('10.2.0.0/16')?.onlyToCustomer, 65002);
	t.deepEqual([bench.peers.provider.prefixes, bench.peers.customer.prefixes], [[], ['10.2.0.0/16', '10.3.0.0/16']]);
});

test('[C225] to a customer and a peer our own OTC is added, to a provider none', async (t) => {
	const bench = await WireBench.start(t, { peers: { provider, customer, lateral, inside } });
	await bench.connect();
	bench.peers.inside.announce([prefix]);
	await bench.settle();
	const { provider: up, customer: down, lateral: beside } = bench.peers;
	t.true(up.holds(prefix));
	t.deepEqual(
		[down, beside, up].map((peer) => peer.table.get(prefix)?.onlyToCustomer),
		[65001, 65001, undefined],
	);
});

test('[C225][C226] what a provider gave goes to customers alone, with its mark', async (t) => {
	const bench = await WireBench.start(t, {
		peers: { provider, second: related(65005, 'customer', 'provider'), customer, lateral },
	});
	await bench.connect();
	bench.peers.provider.announce([prefix]);
	await bench.settle();
	t.deepEqual([bench.peers.second.holds(prefix), bench.peers.lateral.holds(prefix)], [false, false]);
	t.is(bench.peers.customer.table.get(prefix)?.onlyToCustomer, 65002);
});

test('[C113] a path that does not begin with the neighbour is not used, unless that is not asked for', async (t) => {
	const peers = {
		strict: { asNumber: 65002, options: open },
		server: { asNumber: 65003, options: { ...open, enforceFirstAs: false } },
		inside,
	};
	const bench = await WireBench.start(t, { peers });
	await bench.connect();
	bench.peers.strict.announce([prefix], { asPath: path(65010) });
	bench.peers.server.announce(['10.2.0.0/16'], { asPath: path(65010) });
	await bench.settle();
	t.deepEqual(bench.peers.inside.prefixes, ['10.2.0.0/16']);
	t.is(bench.speaker.peer('strict')?.state, 'established');
});

test('[C118] a next hop that is our own address makes the route unusable, without a NOTIFICATION', async (t) => {
	const bench = await WireBench.start(t, { peers: { outside: { asNumber: 65002, options: open }, inside } });
	await bench.connect();
	bench.peers.outside.announce([prefix], { nextHop: Uint8Array.of(10, 0, 0, 1) });
	await bench.settle();
	t.false(bench.peers.inside.holds(prefix));
	t.is(bench.speaker.peer('outside')?.state, 'established');
});

test('[C118] a neighbour on this very host may give a loopback address as next hop: it is not ours alone', async (t) => {
	const bench = await WireBench.start(t, {
		rib: { localAddresses: ['127.0.0.1', '::1', '10.0.0.1'] },
		peers: { outside: { asNumber: 65002, options: open }, inside },
	});
	await bench.connect();
	bench.peers.outside.announce([prefix], { nextHop: Uint8Array.of(127, 0, 0, 1) });
	bench.peers.outside.announce(['10.2.0.0/16'], { nextHop: Uint8Array.of(10, 0, 0, 1) });
	await bench.settle();
	t.deepEqual(bench.peers.inside.prefixes, [prefix]);
});

for (const action of ['warn', 'discard', 'shutdown'] as const) {
	test(`[C83] more prefixes than the limit: ${action}`, async (t) => {
		const outside = { asNumber: 65002, options: { ...open, maxPrefix: { limit: 2, warnPercent: 75, action } } };
		const bench = await WireBench.start(t, { peers: { outside, inside } });
		await bench.connect();
		for (const octet of [1, 2, 3, 4]) bench.peers.outside.announce([`10.${octet}.0.0/16`]);
		if (action === 'shutdown') {
			const notification = await bench.peers.outside.raw?.receiveNotification();
			t.deepEqual(
				[notification?.code, notification?.subcode, [...(notification?.data ?? [])]],
				[6, 1, [0, 1, 1, 0, 0, 0, 2]],
			);
			await eventually('the routes are gone', () => bench.peers.inside.prefixes.length === 0);
			t.is(bench.speaker.peer('outside')?.state, 'idle');
			return;
		}
		await bench.settle();
		t.is(bench.peers.inside.prefixes.length, action === 'warn' ? 4 : 2);
		t.is(bench.speaker.peer('outside')?.state, 'established');
	});
}

const refreshing: Capability[] = [{ type: 'enhanced-route-refresh' }];

test('[C188] a request brings every route again', async (t) => {
	const bench = await WireBench.start(t, { peers: { inside, second: { options: { reflectorClient: true } } } });
	await bench.connect();
	bench.peers.inside.announce([prefix]);
	await bench.settle();
	const { second } = bench.peers;
	second.raw?.send({ type: 'route-refresh', afi: 1, safi: 1, subtype: 'request', filters: new Uint8Array(0) });
	await eventually(
		'it came again',
		() => second.table.size >= 0 && second.history.filter((entry) => entry === `+${prefix}`).length === 2,
	);
	t.is(second.raw?.of('route-refresh').length, 0);
});

test('[C190] with RFC 7313 the answer is between a begin and an end mark', async (t) => {
	const bench = await WireBench.start(t, {
		peers: { inside, second: { options: { reflectorClient: true }, capabilities: refreshing } },
	});
	await bench.connect();
	bench.peers.inside.announce([prefix]);
	await bench.settle();
	const { raw } = bench.peers.second;
	const before = raw?.messages.length ?? 0;
	raw?.send({ type: 'route-refresh', afi: 1, safi: 1, subtype: 'request', filters: new Uint8Array(0) });
	await raw?.receive('route-refresh', 2);
	const answer = raw?.messages.slice(before).filter(({ type }) => type !== 'keepalive') ?? [];
	t.deepEqual(
		answer.map((message) => (message.type === 'route-refresh' ? message.subtype : message.type)),
		['begin', 'update', 'end'],
	);
});

test('[C191][C192] between the marks what is not announced again goes; an end without a begin changes nothing', async (t) => {
	const bench = await WireBench.start(t, {
		peers: { inside: { ...inside, capabilities: refreshing }, second: { options: { reflectorClient: true } } },
	});
	await bench.connect();
	const { inside: sender, second } = bench.peers;
	const mark = (subtype: 'begin' | 'end') =>
		sender.raw?.send({ type: 'route-refresh', afi: 1, safi: 1, subtype, filters: new Uint8Array(0) });
	sender.announce([prefix, '10.2.0.0/16']);
	mark('end');
	await bench.settle();
	t.deepEqual(second.prefixes, [prefix, '10.2.0.0/16']);
	mark('begin');
	mark('begin');
	sender.announce([prefix]);
	mark('end');
	await eventually('the other one is gone', () => !second.holds('10.2.0.0/16'));
	t.deepEqual(second.prefixes, [prefix]);
});

test('[C193] no begin mark comes before the first End-of-RIB', async (t) => {
	const restartable: Capability = {
		type: 'graceful-restart',
		restarting: false,
		notification: false,
		restartSeconds: 60,
		families: [{ afi: 1, safi: 1, forwarding: true }],
	};
	const bench = await WireBench.start(t, {
		peers: { inside, second: { options: { reflectorClient: true }, capabilities: [...refreshing, restartable] } },
	});
	await bench.connect('inside');
	bench.peers.inside.announce(Array.from({ length: 250 }, (_, index) => `10.1.${index}.0/24`));
	await bench.settle();
	const { second } = bench.peers;
	await second.connect();
	second.raw?.send({ type: 'route-refresh', afi: 1, safi: 1, subtype: 'request', filters: new Uint8Array(0) });
	await second.raw?.receive('route-refresh', 2);
	t.true(second.table.size > 0);
	const endAt = second.raw?.frames.findIndex((frame) => frame.length === 23 && frame[18] === 2) ?? -1;
	const beginAt = second.raw?.messages.findIndex(({ type }) => type === 'route-refresh') ?? -1;
	t.true(endAt >= 0 && endAt < beginAt, `End-of-RIB at ${endAt}, begin at ${beginAt}`);
});

test('[C195] other policies take effect without a reset, inwards and outwards', async (t) => {
	const outside = { asNumber: 65002, options: open };
	const bench = await WireBench.start(t, { peers: { outside, inside } });
	await bench.connect();
	const { outside: peer, inside: receiver } = bench.peers;
	peer.announce([prefix]);
	receiver.announce(['10.2.0.0/16']);
	await bench.settle();
	t.true(receiver.holds(prefix) && peer.holds('10.2.0.0/16'));
	const none = [{ name: 'none', terms: [], otherwise: 'reject' }] as const;
	bench.speaker.updatePeer({ ...peer.options, importPolicies: none, exportPolicies: none });
	await eventually('both are gone', () => !receiver.holds(prefix) && !peer.holds('10.2.0.0/16'));
	bench.speaker.updatePeer(peer.options);
	await eventually('both are back', () => receiver.holds(prefix) && peer.holds('10.2.0.0/16'));
	t.is(bench.speaker.peer('outside')?.establishedCount, 1);
});
