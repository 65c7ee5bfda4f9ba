import { interopTest, record, withBench } from '../support/interop.ts';
import { peerKinds } from '../support/peers/index.ts';

const asNumber = 65_001;
const restarters = peerKinds.filter(({ features }) => features.has('graceful-restart'));

for (const kind of restarters) {
	interopTest(
		`graceful restart, ${kind.name} killed: its routes are held, and fresh again after its return`,
		[kind],
		async (t) => {
			await withBench(
				{ kinds: [kind], asNumber, peer: { restartSeconds: 60 } },
				async ({ dut, peers, restart, until }) => {
					await until('routes arrive', async () => (await dut.eligible(kind.name)).length === 2);
					await until('the session is quiet', async () => ((await peers[0]?.routes()) ?? []).length === 2);
					await peers[0]?.kill();
					await until('the session ended', async () => (await dut.peer(kind.name))?.state !== 'established');
					const held = await dut.eligible(kind.name);
					t.is(held.length, 2);
					t.true(held.every(({ stale }) => stale));
					await restart(kind.name);
					await until('its routes are fresh', async () => {
						const routes = await dut.eligible(kind.name);
						return routes.length === 2 && routes.every(({ stale }) => !stale);
					});
				},
			);
			await record('graceful restart of the peer: routes held', kind);
		},
	);

	interopTest(
		`graceful restart, ${kind.name} killed for good: its routes are swept after its restart time`,
		[kind],
		async (t) => {
			await withBench({ kinds: [kind], asNumber, peer: { restartSeconds: 5 } }, async ({ dut, peers, until }) => {
				await until('routes arrive', async () => (await dut.eligible(kind.name)).length === 2);
				await until('the session is quiet', async () => ((await peers[0]?.routes()) ?? []).length === 2);
				await peers[0]?.kill();
				await until(
					'its routes are swept',
					async () => (await dut.peer(kind.name)) !== undefined && (await dut.eligible(kind.name)).length === 0,
				);
				t.not((await dut.peer(kind.name))?.state, 'established');
			});
			await record('graceful restart of the peer: routes swept', kind);
		},
	);
}

for (const kind of peerKinds.filter(({ features }) => features.has('long-lived'))) {
	interopTest(
		`long-lived graceful restart, ${kind.name} killed: its routes stay marked as LLGR_STALE after the restart time, and lose the mark`,
		[kind],
		async (t) => {
			const options = {
				kinds: [kind],
				asNumber,
				peer: { restartSeconds: 2, longLivedSeconds: 300 },
				session: { gracefulRestart: { longLivedStaleSeconds: 300 } },
			};
			await withBench(options, async ({ dut, peers, restart, until }) => {
				// Not in the Adj-RIB-In, which shows them as received.
				const marked = async () => {
					const { routes } = await dut.client.ask('routes', { limit: 0 });
					return routes.filter(({ communities }) => communities?.includes('65535:6')).length;
				};
				await until('routes arrive', async () => (await dut.eligible(kind.name)).length === 2);
				await until('the session is quiet', async () => ((await peers[0]?.routes()) ?? []).length === 2);
				t.is(await marked(), 0);
				await peers[0]?.kill();
				await until('the long-lived phase has begun', async () => (await marked()) === 2);
				await restart(kind.name);
				await until(
					'its routes are fresh',
					async () =>
						(await dut.eligible(kind.name)).filter(({ stale }) => !stale).length === 2 && (await marked()) === 0,
				);
			});
			await record('long-lived graceful restart', kind);
		},
	);
}

for (const kind of peerKinds.filter(({ features }) => features.has('graceful-helper'))) {
	interopTest(
		`our own graceful restart with ${kind.name}: it holds our routes while we are down, and has them after our return`,
		[kind],
		async (t) => {
			const session = { gracefulRestart: { restartSeconds: 60 } };
			await withBench(
				{ kinds: [kind], asNumber, peer: { restartSeconds: 60 }, session },
				async ({ dut, peers, until }) => {
					const [peer] = peers;
					if (peer === undefined) throw new RangeError('no peer');
					await until(
						'routes both ways',
						async () => (await peer.routes()).length === 2 && (await dut.eligible(kind.name)).length === 2,
					);
					await dut.kill();
					await until('the peer noticed', async () => !(await peer.isEstablished()));
					t.is((await peer.routes()).length, 2);
					dut.start();
					await until(
						'the session is back',
						async () => (await peer.isEstablished()) && (await dut.eligible(kind.name)).length === 2,
					);
					await until('the peer has our routes', async () => (await peer.routes()).length === 2);
				},
			);
			await record('graceful restart of ourselves', kind);
		},
	);
}
