import { interopTest, record, withBench } from '../support/interop.ts';
import { peerKinds } from '../support/peers/index.ts';

for (const kind of peerKinds) {
	const answers = kind.features.has('answers-refresh');
	interopTest(
		`route refresh with ${kind.name}: each side that supports requests gets all routes again, the session stays`,
		[kind],
		async (t) => {
			let asks = false;
			await withBench({ kinds: [kind], asNumber: 65_001 }, async ({ dut, peers, until }) => {
				const [peer] = peers;
				if (peer === undefined) throw new RangeError('no peer');
				await until(
					'routes both ways',
					async () => (await dut.eligible(kind.name)).length === 2 && (await peer.routes()).length === 2,
				);
				const before = await dut.peer(kind.name);

				if (peer.refresh !== undefined) {
					asks = true;
					await peer.refresh();
					await until(
						'we are asked',
						async () =>
							((await dut.peer(kind.name))?.messages.received.refresh ?? 0) > (before?.messages.received.refresh ?? 0),
					);
					await until(
						'we send again',
						async () => ((await dut.peer(kind.name))?.messages.sent.update ?? 0) > (before?.messages.sent.update ?? 0),
					);
				}

				if (answers) {
					const asked = await dut.client.ask('peerRefresh', { peer: kind.name });
					t.true(asked.done, asked.reason);
					await until(
						'the peer sends again',
						async () =>
							((await dut.peer(kind.name))?.messages.received.update ?? 0) > (before?.messages.received.update ?? 0),
					);
				}
				if (kind.features.has('enhanced-refresh'))
					t.true(before?.capabilities?.negotiated.includes('enhanced-route-refresh'));
				t.is((await dut.peer(kind.name))?.establishedCount, before?.establishedCount);
				t.is((await dut.eligible(kind.name)).length, 2);
				t.is((await peer.routes()).length, 2);
			});
			if (kind.features.has('enhanced-refresh')) await record('enhanced refresh (RFC 7313)', kind);
			await record('route refresh', kind, asks && answers ? 'both ways' : asks ? 'it asks' : 'we ask');
		},
	);
}
