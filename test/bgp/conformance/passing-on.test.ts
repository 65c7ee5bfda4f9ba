import test from 'ava';
import type { PathAttributes } from 'bgp-packet';
import type { Policy } from '../../../src/bgp/index.ts';
import { bytes } from '../../support/hex.ts';
import { open, WireBench, type WirePeer } from '../../support/wire-bench.ts';

const prefix = '10.1.5.0/24';
const client = { options: { reflectorClient: true } };
/** Two clients and two external neighbours. */
const around = {
	client,
	second: client,
	outside: { asNumber: 65002, options: open },
	beyond: { asNumber: 65003, options: open },
};

/** An UPDATE with these attributes; NLRI is the prefix unless given. */
function update(attributes: string, nlri = '18 0a0105'): Uint8Array {
	const [block, routes] = [bytes(attributes), bytes(nlri)];
	const length = 23 + block.length + routes.length;
	return Uint8Array.of(
		...new Uint8Array(16).fill(0xff),
		length >> 8,
		length,
		2,
		0,
		0,
		block.length >> 8,
		block.length,
		...block,
		...routes,
	);
}

function send(peer: WirePeer, message: Uint8Array): void {
	peer.updatesSent++;
	peer.raw?.sendBytes(message);
}

/** The last UPDATE with attributes that a peer received, as hex. */
const lastTo = ({ raw }: WirePeer, announced: string) =>
	(raw?.frames ?? [])
		.map((frame) => Buffer.from(frame).toString('hex'))
		.findLast((hex) => hex.slice(36, 38) === '02' && hex.endsWith(announced.replaceAll(' ', '')));

const mandatory = '400101 00  400200  400304 0a010101  400504 00000064';
const reflected = '8009040b000001 800a040a000001';

for (const { title, attributes, is } of [
	{
		title: 'the lower bits of the flags are sent as 0',
		attributes: `${mandatory} cf0804 00010001`,
		is: `${mandatory} c00804 00010001 ${reflected}`,
	},
	{
		title: 'they are with unknown attributes',
		attributes: `${mandatory} effa01 07`,
		is: `${mandatory} ${reflected} e0fa01 07`,
	},
	{
		title: 'well-known attributes and such as are not transitive are never partial',
		attributes: '600101 00  600200  600304 0a010101 a00404 00000005 600504 00000064',
		is: `400101 00  400200  400304 0a010101 800404 00000005 400504 00000064 ${reflected}`,
	},
	{
		title: 'the Partial bit stays where it has a meaning',
		attributes: `${mandatory} e00804 00010001`,
		is: `${mandatory} e00804 00010001 ${reflected}`,
	},
]) {
	test(`[C89][C98] ${title}`, async (t) => {
		const bench = await WireBench.start(t, { peers: around });
		await bench.connect();
		send(bench.peers.client, update(attributes));
		await bench.settle();
		t.is(lastTo(bench.peers.second, '18 0a0105'), Buffer.from(update(is)).toString('hex'));
	});
}

for (const count of [3, 40]) {
	test(`[C141] of ${count} large communities one that is there twice goes on once`, async (t) => {
		const bench = await WireBench.start(t, { peers: around });
		await bench.connect();
		const one = '00000001 00000002 00000003';
		const others = Array.from(
			{ length: count - 2 },
			(_, index) => `00000001 00000003 ${(index + 1).toString(16).padStart(8, '0')}`,
		).join(' ');
		const values = `${one} ${others} ${one}`;
		send(bench.peers.client, update(`${mandatory} d020 ${(count * 12).toString(16).padStart(4, '0')} ${values}`));
		await bench.settle();
		for (const name of ['second', 'beyond'] as const) {
			t.true(bench.peers[name].holds(prefix));
			const hex = lastTo(bench.peers[name], '18 0a0105') ?? '';
			t.is(hex.split(one.replaceAll(' ', '')).length - 1, 1, name);
		}
	});
}

test('[C114] confederation segments that came from inside do not leave the AS', async (t) => {
	const bench = await WireBench.start(t, { peers: around });
	await bench.connect();
	const asPath: PathAttributes['asPath'] = [
		{ type: 'confed-sequence', asNumbers: [64900, 64901] },
		{ type: 'sequence', asNumbers: [65010, 65011] },
		{ type: 'confed-set', asNumbers: [64902] },
		{ type: 'set', asNumbers: [65012] },
	];
	bench.peers.client.announce([prefix], { asPath });
	bench.peers.client.announce(['10.2.0.0/16'], { asPath: asPath.slice(0, 1) });
	await bench.settle();
	t.deepEqual(bench.peers.second.table.get(prefix)?.asPath, asPath);
	t.deepEqual(bench.peers.beyond.table.get(prefix)?.asPath, [
		{ type: 'sequence', asNumbers: [65001, 65010, 65011] },
		{ type: 'set', asNumbers: [65012] },
	]);
	t.deepEqual(bench.peers.beyond.table.get('10.2.0.0/16')?.asPath, [{ type: 'sequence', asNumbers: [65001] }]);
});

test('[C140] of IPv6 extended communities the non-transitive ones stay inside', async (t) => {
	const bench = await WireBench.start(t, { peers: around });
	await bench.connect();
	const stays = bytes('4002 20010db8000000000000000000000001 0001');
	const goes = bytes('0002 20010db8000000000000000000000001 0001');
	bench.peers.client.announce([prefix], { ipv6ExtendedCommunities: [stays, goes] });
	bench.peers.client.announce(['10.2.0.0/16'], { ipv6ExtendedCommunities: [stays] });
	await bench.settle();
	t.deepEqual(bench.peers.second.table.get(prefix)?.ipv6ExtendedCommunities, [stays, goes]);
	t.deepEqual(bench.peers.beyond.table.get(prefix)?.ipv6ExtendedCommunities, [goes]);
	t.true(bench.peers.beyond.holds('10.2.0.0/16'));
	t.is(bench.peers.beyond.table.get('10.2.0.0/16')?.ipv6ExtendedCommunities, undefined);
});

test('[C139] a community that export policy adds is for the neighbour to obey', async (t) => {
	const adding = (value: string): Policy => ({
		name: 'adding',
		terms: [{ match: {}, action: 'accept', operations: [{ type: 'add-community', value }] }],
		otherwise: 'reject',
	});
	const options = (value: string) => ({ ...open, exportPolicies: [adding(value)] });
	const peers = {
		client,
		outside: { asNumber: 65002, options: options('no-export') },
		beyond: { asNumber: 65003, options: options('no-advertise') },
	};
	const bench = await WireBench.start(t, { peers });
	await bench.connect();
	bench.peers.client.announce([prefix]);
	bench.peers.client.announce(['10.2.0.0/16'], { communities: [0xffffff01] });
	await bench.settle();
	t.deepEqual(bench.peers.outside.prefixes, [prefix]);
	t.deepEqual(bench.peers.outside.table.get(prefix)?.communities, [0xffffff01]);
	t.deepEqual(bench.peers.beyond.table.get(prefix)?.communities, [0xffffff02]);
});

const linkLocal = 'fe80'.padEnd(31, '0').concat('1');
const route = '2001:db8:1::/48';
for (const { title, nextHop } of [
	{ title: 'a link-local next hop', nextHop: linkLocal },
	{ title: 'a link-local next hop without a global one', nextHop: `${'0'.repeat(32)}${linkLocal}` },
	{ title: 'a link-local next hop twice', nextHop: `${linkLocal}${linkLocal}` },
]) {
	test(`[C186] ${title} goes no further than its link: we stand in for it, or the route is not sent`, async (t) => {
		const own = { nextHopSelf: { ipv6: '2001:db8::9' } };
		const peers = {
			...around,
			second: { options: { ...client.options, ...own } },
			without: client,
			keeping: { options: { ...client.options, ...own, nextHopMode: 'keep' as const } },
		};
		const bench = await WireBench.start(t, { peers });
		await bench.connect();
		const reach = `900e ${(12 + nextHop.length / 2).toString(16).padStart(4, '0')} 0002 01 ${(nextHop.length / 2).toString(16)} ${nextHop} 00 30 20010db80001`;
		send(bench.peers.outside, update(`${reach} 400101 00 400206 0201 0000fdea`, ''));
		await bench.settle();
		t.is(bench.rib.routes({ received: 'outside' }).length, 1);
		t.deepEqual(
			[bench.peers.second.holds(route), bench.peers.without.holds(route), bench.peers.keeping.holds(route)],
			[true, false, false],
		);
		t.deepEqual(bench.peers.second.table.get(route)?.nextHop, bytes('20010db8000000000000000000000009'));
	});
}
