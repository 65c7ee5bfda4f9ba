import { interopTest, record, withBench } from '../support/interop.ts';
import { peerKinds } from '../support/peers/index.ts';

const asNumber = 64_512;
const shared = '10.200.0.0/16';

interopTest(
	'a reflector with all of them as clients: every route at every other client, with ORIGINATOR_ID and CLUSTER_LIST',
	peerKinds,
	async (t) => {
		const bgp = { clusterId: '10.0.0.1' };
		await withBench(
			{ kinds: peerKinds, asNumber, internal: true, bgp, session: { reflectorClient: true } },
			async ({ dut, peers, own, until }) => {
				// Two of our own, two of each of the four others.
				const all = 2 + 2 * (peers.length - 1);
				for (const peer of peers) {
					await until(
						`the session with ${peer.name}`,
						async () => (await dut.peer(peer.name))?.state === 'established',
					);
					await until(`all ${all} routes at ${peer.name}`, async () => (await peer.routes()).length === all);
				}
				for (const peer of peers) {
					const seen = await peer.routes();
					for (const { name, place } of peers.filter((other) => other !== peer)) {
						const route = seen.find(({ prefix }) => prefix === place.prefixes.ipv4);
						t.deepEqual(
							{ from: name, at: peer.name, ...route, med: undefined },
							{
								from: name,
								at: peer.name,
								prefix: place.prefixes.ipv4,
								nextHop: place.nextHop.ipv4,
								asPath: [],
								communities: [`${asNumber}:1`],
								largeCommunities: [`${asNumber}:1:2`],
								localPref: 100,
								med: undefined,
								originatorId: place.routerId,
								clusterList: ['10.0.0.1'],
							},
						);
						t.is(seen.find(({ prefix }) => prefix === place.prefixes.ipv6)?.nextHop, place.nextHop.ipv6);
					}
					t.deepEqual(seen.find(({ prefix }) => prefix === own.ipv4)?.asPath, []);
				}
			},
		);
		for (const kind of peerKinds) await record('iBGP, client of our reflector', kind);
	},
);

const several = peerKinds.filter(({ features }) => features.has('add-path'));

interopTest('add-path both ways: every client has all paths of the others to one prefix', several, async (t) => {
	const session = { reflectorClient: true, addPath: { receive: true, send: true } };
	const options = {
		kinds: several,
		asNumber,
		internal: true,
		bgp: { clusterId: '10.0.0.1' },
		session,
		peer: { addPath: true },
		originate: ({ nextHop }: { nextHop: { ipv4: string } }) => [{ prefix: shared, nextHop: nextHop.ipv4 }],
	};
	await withBench(options, async ({ dut, peers, until }) => {
		for (const peer of peers) {
			const paths = async () => (await peer.routes()).filter(({ prefix }) => prefix === shared);
			await until(`${peers.length - 1} paths at ${peer.name}`, async () => (await paths()).length === peers.length - 1);
			t.deepEqual(
				(await paths()).map(({ nextHop }) => nextHop).sort(),
				peers
					.filter((other) => other !== peer)
					.map(({ place }) => place.nextHop.ipv4)
					.sort(),
			);
			const negotiated = (await dut.peer(peer.name))?.capabilities?.negotiated ?? [];
			t.true(
				negotiated.includes('ipv4 add-path receive') && negotiated.includes('ipv4 add-path send'),
				`${peer.name}: ${negotiated.join(', ')}`,
			);
		}
	});
	for (const kind of several) await record('add-path', kind);
});
