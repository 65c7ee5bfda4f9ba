import { interopTest, record, withBench } from '../support/interop.ts';
import { peerKinds } from '../support/peers/index.ts';

// More than 16 bits: every AS path that the peers receive proves RFC 6793, too.
const asNumber = 4_200_000_001;

for (const kind of peerKinds) {
	interopTest(
		`eBGP with ${kind.name}: IPv4 and IPv6 both ways over one session, with correct AS path, next hop and communities`,
		[kind],
		async (t) => {
			await withBench({ kinds: [kind], asNumber }, async ({ dut, peers, own, until }) => {
				const [peer] = peers;
				if (peer === undefined) throw new RangeError('no peer');
				const { place } = peer;
				await until(
					'the session is established',
					async () => (await dut.peer(kind.name))?.state === 'established' && (await peer.isEstablished()),
				);
				await until('we have both routes', async () => (await dut.eligible(kind.name)).length === 2);
				await until('the peer has both routes', async () => (await peer.routes()).length === 2);

				const received = await dut.eligible(kind.name);
				const four = received.find(({ prefix }) => prefix === place.prefixes.ipv4);
				t.is(four?.nextHop, place.nextHop.ipv4);
				t.is(four?.asPath, `${place.asNumber}`);
				t.deepEqual(four?.communities, [`${place.asNumber}:1`]);
				t.deepEqual(four?.largeCommunities, [`${place.asNumber}:1:2`]);
				t.is(received.find(({ prefix }) => prefix === place.prefixes.ipv6)?.nextHop, place.nextHop.ipv6);

				const seen = await peer.routes();
				const ours = seen.find(({ prefix }) => prefix === own.ipv4);
				t.is(ours?.nextHop, '10.0.0.1');
				t.deepEqual(ours?.asPath, [asNumber]);
				t.deepEqual(ours?.communities, ['65001:7']);
				t.deepEqual(ours?.largeCommunities, ['65001:7:8']);
				const ours6 = seen.find(({ prefix }) => prefix === own.ipv6);
				t.is(ours6?.nextHop, '2001:db8::1');
				t.deepEqual(ours6?.asPath, [asNumber]);
			});
			for (const feature of ['eBGP', 'IPv6 routes', '4-octet AS number', 'communities', 'large communities'])
				await record(feature, kind);
		},
	);
}
