import test from 'ava';
import { type Capability, encodeMessage, type PathAttributes, packetContext, updateMessage } from 'bgp-packet';
import { parsePrefix } from '../../../src/core/index.ts';
import { bytes } from '../../support/hex.ts';
import { acceptAll, open, WireBench, type WirePeer } from '../../support/wire-bench.ts';

const prefix = '10.1.0.0/24';
const longMessages: readonly Capability[] = [{ type: 'extended-message' }];
const client = { options: { reflectorClient: true } };
const attributes: PathAttributes = { origin: 'igp', asPath: [], nextHop: Uint8Array.of(10, 1, 0, 1), localPref: 100 };
const filled = (octets: number): PathAttributes => ({
	...attributes,
	unknown: [{ code: 250, flags: 0xe0, value: new Uint8Array(octets) }],
});
const lengthOf = (given: PathAttributes) =>
	encodeMessage(
		updateMessage({ attributes: given, nlri: [parsePrefix(prefix)] }),
		packetContext({ extendedMessage: true }),
	).length;
/** Attributes that make an UPDATE for the prefix this long. */
const sized = (octets: number) => filled(octets - lengthOf(filled(256)) + 256);
/** The attributes that a reflector adds: ORIGINATOR_ID and CLUSTER_LIST. */
const reflection = 14;

const longest = ({ raw }: WirePeer) => Math.max(0, ...(raw?.frames ?? []).map(({ length }) => length));

for (const { title, received, plain, extended } of [
	{ title: 'of 4096 octets goes to every peer', received: 4096 - reflection, plain: 4096, extended: 4096 },
	{ title: 'of 4097 goes to those who take it', received: 4097 - reflection, plain: undefined, extended: 4097 },
	{ title: 'of 65535 goes to those who take it', received: 0xffff - reflection, plain: undefined, extended: 0xffff },
	{
		title: 'that would have 65536 goes to no peer',
		received: 0x1_0000 - reflection,
		plain: undefined,
		extended: undefined,
	},
]) {
	test(`[C10][C13] an UPDATE ${title}, and takes back from the others what they had`, async (t) => {
		const long = { ...client, capabilities: longMessages };
		const bench = await WireBench.start(t, { peers: { from: long, plain: client, extended: long } });
		await bench.connect();
		bench.peers.from.announce([prefix], attributes);
		await bench.settle();
		t.deepEqual([bench.peers.plain.prefixes, bench.peers.extended.prefixes], [[prefix], [prefix]]);
		bench.peers.from.announce([prefix], sized(received));
		await bench.settle();
		for (const [peer, octets] of [
			[bench.peers.plain, plain],
			[bench.peers.extended, extended],
		] as const) {
			t.deepEqual(peer.prefixes, octets === undefined ? [] : [prefix], peer.name);
			if (octets !== undefined) t.is(longest(peer), octets);
		}
		t.is(bench.speaker.peer('from')?.state, 'established');
	});
}

test('[C13] without extended messages routes share UPDATEs up to the last octet', async (t) => {
	const bench = await WireBench.start(t, { peers: { from: { ...client, capabilities: longMessages }, plain: client } });
	await bench.connect();
	// Room for a /16 and no /24.
	bench.peers.from.announce(['10.1.0.0/16', '10.2.0.0/16'], sized(4096 - reflection + 1));
	await bench.settle();
	t.deepEqual(bench.peers.plain.prefixes, ['10.1.0.0/16', '10.2.0.0/16']);
	t.is(longest(bench.peers.plain), 4096);
	const sent = () => [
		bench.rib.routes({ advertised: 'plain' }).map((row) => `${row.prefix}`),
		bench.rib.counts('plain')[0]?.advertised,
	];
	t.deepEqual(sent(), [['10.1.0.0/16', '10.2.0.0/16'], 2]);
	// With the same attributes, the longer prefix is not sent, and does not affect the other.
	bench.peers.from.announce(['10.1.0.0/16', '10.3.0.0/24', '10.4.0.0/16'], sized(4096 - reflection + 1));
	await bench.settle();
	t.deepEqual(bench.peers.plain.prefixes, ['10.1.0.0/16', '10.2.0.0/16', '10.4.0.0/16']);
	t.deepEqual(sent(), [['10.1.0.0/16', '10.2.0.0/16', '10.4.0.0/16'], 3]);
});

const oldFamily: Capability = { type: 'multiprotocol', afi: 1, safi: 1 };
const path = (asNumber: number, count: number) =>
	Array.from({ length: Math.ceil(count / 255) }, (_, index) => ({
		type: 'sequence' as const,
		asNumbers: Array.from({ length: Math.min(255, count - index * 255) }, (_, place) =>
			index === 0 && place === 0 ? 65002 : asNumber,
		),
	}));

test('[C142] a path that needs more than a message when its numbers have four octets is not used, and no peer is sent a wrong one', async (t) => {
	const old = { asNumber: 65002, only: [oldFamily, ...longMessages], options: open };
	const bench = await WireBench.start(t, { peers: { old, inside: { ...client, capabilities: longMessages } } });
	await bench.connect();
	bench.peers.old.announce([prefix], { asPath: path(65010, 20_000) });
	bench.peers.old.announce(['10.2.0.0/16'], { asPath: path(65010, 10_000) });
	await bench.settle();
	t.deepEqual(bench.peers.inside.prefixes, ['10.2.0.0/16']);
	t.is(
		bench.rib.routes({ received: 'old' }).find((route) => route.prefix === prefix)?.ineligible,
		'attributes longer than any message',
	);
	bench.peers.old.withdraw([prefix]);
	await bench.settle();
	t.is(bench.rib.routes({ received: 'old' }).length, 1);
});

test('[C142] a path that needs more than a message with AS_TRANS and AS4_PATH is not sent to an old speaker', async (t) => {
	const old = { asNumber: 65002, only: [oldFamily, ...longMessages], options: open };
	const bench = await WireBench.start(t, { peers: { old, inside: { ...client, capabilities: longMessages } } });
	await bench.connect();
	bench.peers.inside.announce([prefix], { asPath: path(70_000, 15_000) });
	bench.peers.inside.announce(['10.2.0.0/16'], { asPath: path(70_000, 9000) });
	await bench.settle();
	t.deepEqual(bench.peers.old.prefixes, ['10.2.0.0/16']);
	t.is(bench.peers.old.table.get('10.2.0.0/16')?.asPath?.flatMap(({ asNumbers }) => asNumbers).length, 9001);
});

const adding = (count: number) => ({
	...acceptAll,
	terms: [
		{
			match: {},
			action: 'accept' as const,
			operations: Array.from({ length: count }, (_, index) => ({
				type: 'add-large-community' as const,
				value: `1:2:${index}`,
			})),
		},
	],
});

for (const { title, options, has } of [
	{
		title: 'import',
		options: { from: { importPolicies: [adding(10)] }, to: {} },
		has: 'attributes longer than any message',
	},
	{ title: 'export', options: { from: {}, to: { exportPolicies: [adding(10)] } }, has: undefined },
]) {
	test(`[C13] attributes of which ${title} policy makes more than a message holds reach no peer`, async (t) => {
		const peer = (given: object) => ({ options: { ...client.options, ...given }, capabilities: longMessages });
		const bench = await WireBench.start(t, { peers: { from: peer(options.from), to: peer(options.to) } });
		await bench.connect();
		bench.peers.from.announce([prefix], sized(0xffff - 50));
		bench.peers.from.announce(['10.2.0.0/16']);
		await bench.settle();
		t.deepEqual(bench.peers.to.prefixes, ['10.2.0.0/16']);
		t.is(bench.rib.routes({ received: 'from' }).find((route) => route.prefix === prefix)?.ineligible, has);
	});
}

const marker = 'ff'.repeat(16);
const zeros = '00'.repeat(5000);
const unknownWellKnown = `50fa1388 ${zeros}`;
const refresh = `${marker} 139f 05 0001 01 01 ${zeros}`;
for (const { title, message, code, data } of [
	{
		title: 'an attribute',
		message: `${marker} 13a3 02 0000 138c ${unknownWellKnown}`,
		code: [3, 2],
		data: unknownWellKnown,
	},
	{ title: 'a ROUTE-REFRESH', message: refresh, code: [7, 1], data: refresh },
]) {
	for (const { whom, capabilities, most } of [
		{ whom: 'a neighbour that takes them', capabilities: longMessages, most: 0xffff },
		{ whom: 'a neighbour that sends them without the capability', capabilities: [], most: 4096 - 21 },
	]) {
		test(`[C7][C12] a NOTIFICATION about ${title} of 5000 octets to ${whom} has as much of it as there is room for, and others notice nothing`, async (t) => {
			const peers = {
				from: { ...client, capabilities: [...capabilities, { type: 'enhanced-route-refresh' } as const] },
				other: client,
			};
			const bench = await WireBench.start(t, { peers });
			await bench.connect();
			const { raw } = bench.peers.from;
			raw?.sendBytes(bytes(message));
			const notification = await raw?.receiveNotification();
			t.deepEqual([notification?.code, notification?.subcode], code);
			t.deepEqual(notification?.data, bytes(data).subarray(0, most));
			bench.rib.originate('10.3.0.0/16' as never, { nextHop: '10.9.0.1' });
			await bench.settle();
			t.true(bench.peers.other.holds('10.3.0.0/16'));
		});
	}
}
