import { interopTest, record, withBench } from '../support/interop.ts';
import { peerKinds } from '../support/peers/index.ts';

for (const kind of peerKinds) {
	interopTest(`max-prefix with ${kind.name}: one route too many ends the session with CEASE 6/1`, [kind], async (t) => {
		const options = {
			kinds: [kind],
			asNumber: 65_001,
			originate: ({ nextHop }: { nextHop: { ipv4: string } }) =>
				['10.201.0.0/16', '10.202.0.0/16'].map((prefix) => ({ prefix, nextHop: nextHop.ipv4 })),
			session: { maxPrefix: { limit: 2, action: 'shutdown' } },
		};
		await withBench(options, async ({ dut, peers, until }) => {
			// A collision of connections has ended with a notification of its own.
			await until(
				'the session ended',
				async () => ![undefined, 7].includes((await dut.peer(kind.name))?.lastNotificationSent?.subcode),
			);
			const view = await dut.peer(kind.name);
			t.is(view?.lastNotificationSent?.code, 6);
			t.is(view?.lastNotificationSent?.subcode, 1);
			t.not(view?.state, 'established');
			await until('the peer has no route of ours any more', async () => (await peers[0]?.routes())?.length === 0);
		});
		await record('max-prefix', kind);
	});
}
