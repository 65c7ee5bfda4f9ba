import { interopTest, record, withBench } from '../support/interop.ts';
import { withKey } from '../support/key-file.ts';
import { tcpCounter, withLink } from '../support/link.ts';
import { birdPeer, peerKinds } from '../support/peers/index.ts';

for (const kind of peerKinds.filter(({ features }) => features.has('ttl-security'))) {
	interopTest(
		`GTSM with ${kind.name}: a directly connected session, with TTL 255 required on both sides`,
		[kind],
		async (t) => {
			await withLink('ipv4', async (link) => {
				await withBench(
					{ kinds: [kind], asNumber: 65_001, link, peer: { ttlSecurity: true }, session: { ttlSecurityHops: 1 } },
					async ({ dut, peers, until }) => {
						await until(
							'the session is established',
							async () =>
								(await dut.peer(kind.name))?.state === 'established' && (await peers[0]?.isEstablished()) === true,
						);
						await until('we have its routes', async () => (await dut.eligible(kind.name)).length > 0);
						t.pass();
					},
				);
			});
			await record('GTSM (TTL security)', kind);
		},
	);
}

interopTest(
	'GTSM: the packets of a peer that does not send TTL 255 are dropped by the kernel, and there is no session',
	[birdPeer],
	async (t) => {
		await withLink('ipv4', async (link) => {
			await withBench(
				{ kinds: [birdPeer], asNumber: 65_001, link, session: { ttlSecurityHops: 1 } },
				async ({ dut, peers, until }) => {
					await until('its packets are dropped', async () => tcpCounter(link.own.namespace, 'TCPMinTTLDrop') >= 3);
					t.not((await dut.peer(birdPeer.name))?.state, 'established');
					t.false(await peers[0]?.isEstablished());
				},
			);
		});
	},
);

interopTest(
	'TCP MD5: the packets of a peer with another key are dropped by the kernel, and there is no session',
	[birdPeer],
	async (t) => {
		await withLink('ipv4', async (link) => {
			await withKey('s3cret', async (passwordFile) => {
				await withBench(
					{ kinds: [birdPeer], asNumber: 65_001, link, peer: { password: 'another' }, session: { passwordFile } },
					async ({ dut, peers, until }) => {
						await until(
							'packets are dropped',
							async () =>
								tcpCounter(link.own.namespace, 'TCPMD5Failure') + tcpCounter(link.peer.namespace, 'TCPMD5Failure') >= 3,
						);
						t.not((await dut.peer(birdPeer.name))?.state, 'established');
						t.false(await peers[0]?.isEstablished());
					},
				);
			});
		});
	},
);

for (const kind of peerKinds.filter(({ features }) => features.has('extended-next-hop'))) {
	interopTest(
		`RFC 8950 with ${kind.name}: IPv4 routes with an IPv6 next hop over an IPv6 session`,
		[kind],
		async (t) => {
			await withLink('ipv6', async (link) => {
				const session = { extendedNextHop: true, nextHopSelf: { ipv6: link.own.address } };
				await withBench(
					{ kinds: [kind], asNumber: 65_001, link, peer: { extendedNextHop: true }, session },
					async ({ dut, peers, own, until }) => {
						const [peer] = peers;
						if (peer === undefined) throw new RangeError('no peer');
						await until('the session is established', async () => (await dut.peer(kind.name))?.state === 'established');
						await until('we have its IPv4 route', async () =>
							(await dut.eligible(kind.name)).some(({ prefix }) => prefix === peer.place.prefixes.ipv4),
						);
						const received = await dut.eligible(kind.name);
						t.is(received.find(({ prefix }) => prefix === peer.place.prefixes.ipv4)?.nextHop, link.peer.address);
						await until('it has our IPv4 route', async () =>
							(await peer.routes()).some(({ prefix }) => prefix === own.ipv4),
						);
					},
				);
			});
			await record('IPv4 over IPv6 next hop (RFC 8950)', kind);
		},
	);
}
