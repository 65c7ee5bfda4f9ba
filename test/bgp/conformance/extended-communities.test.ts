import test from 'ava';
import type { Policy } from '../../../src/bgp/index.ts';
import { formatExtendedCommunity, prefixKey } from '../../../src/core/index.ts';
import { open, WireBench, type WirePeerOptions } from '../../support/wire-bench.ts';

const prefix = prefixKey('10.1.0.0/16');
const other = prefixKey('10.2.0.0/16');
const inside: WirePeerOptions = { options: { reflectorClient: true } };
const octets = (hex: string) => Uint8Array.from(Buffer.from(hex, 'hex'));

const marking: Policy = {
	name: 'marking',
	terms: [
		{
			match: { extendedCommunities: ['rt:65002:1'] },
			action: 'accept',
			operations: [
				{ type: 'remove-extended-community', value: 'rt:65002:1' },
				{ type: 'add-extended-community', value: 'ro:65002:7' },
				{ type: 'add-extended-community', value: '0x4004fde84b3ebc20' },
			],
		},
	],
	otherwise: 'reject',
};

test('[C140] import policy chooses by route target and marks; of what it added the non-transitive one stays inside', async (t) => {
	const outside = { asNumber: 65002, options: { ...open, importPolicies: [marking] } };
	const bench = await WireBench.start(t, { peers: { outside, beyond: { asNumber: 65010, options: open }, inside } });
	await bench.connect();
	bench.peers.outside.announce([prefix], {
		extendedCommunities: [octets('0002fdea00000001'), octets('0102010203040005')],
	});
	bench.peers.outside.announce([other], { extendedCommunities: [octets('0002fdea00000002')] });
	await bench.settle();
	const seen = (peer: 'inside' | 'beyond') =>
		bench.peers[peer].table.get(prefix)?.extendedCommunities?.map(formatExtendedCommunity);
	t.deepEqual(seen('inside'), ['rt:1.2.3.4:5', 'ro:65002:7', '0x4004fde84b3ebc20']);
	t.deepEqual(seen('beyond'), ['rt:1.2.3.4:5', 'ro:65002:7']);
	t.deepEqual([bench.peers.inside.holds(other), bench.peers.beyond.holds(other)], [false, false]);
});

test('a route of this node has the extended communities that it was given, and lists of policies go on to the next one', async (t) => {
	const nothing: Policy = { name: 'nothing', terms: [], otherwise: 'next' };
	const outside = { asNumber: 65002, options: { ...open, exportPolicies: [nothing, marking] } };
	const bench = await WireBench.start(t, { peers: { outside: { ...outside, hears: false }, inside } });
	await bench.connect();
	bench.rib.originate(prefix, { nextHop: '10.0.0.1', extendedCommunities: ['rt:65002:1', 'rt:65001L:9'] });
	bench.rib.originate(other, { nextHop: '10.0.0.1', extendedCommunities: ['rt:65001:1'] });
	await bench.settle();
	t.deepEqual(bench.peers.inside.table.get(prefix)?.extendedCommunities?.map(formatExtendedCommunity), [
		'rt:65002:1',
		'rt:65001L:9',
	]);
	t.deepEqual(bench.peers.outside.table.get(prefix)?.extendedCommunities?.map(formatExtendedCommunity), [
		'rt:65001L:9',
		'ro:65002:7',
	]);
	t.false(bench.peers.outside.holds(other));
});
