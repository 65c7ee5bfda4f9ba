import { interopTest, record, withBench } from '../support/interop.ts';
import { peerKinds } from '../support/peers/index.ts';

const asNumber = 65_001;

for (const kind of peerKinds.filter(({ features }) => features.has('role'))) {
	interopTest(
		`roles with ${kind.name}: we are its provider, and it does not export our routes to others (RFC 9234)`,
		[kind],
		async (t) => {
			await withBench(
				{ kinds: [kind], asNumber, peer: { role: 'customer' }, session: { role: 'provider', strictRole: true } },
				async ({ dut, peers, until }) => {
					await until(
						'routes both ways',
						async () => (await dut.eligible(kind.name)).length === 2 && (await peers[0]?.routes())?.length === 2,
					);
					const capabilities = (await dut.peer(kind.name))?.capabilities;
					t.true(capabilities?.received.includes('role customer'));
					t.true(capabilities?.negotiated.includes('role provider'));
				},
			);
			await record('roles (RFC 9234)', kind);
		},
	);

	interopTest(`roles with ${kind.name}: a peer with an incompatible role gets no session (2/11)`, [kind], async (t) => {
		await withBench(
			{ kinds: [kind], asNumber, peer: { role: 'peer' }, session: { role: 'provider' } },
			async ({ dut, until }) => {
				const ends = async () => {
					const view = await dut.peer(kind.name);
					return view?.lastNotificationSent ?? view?.lastNotificationReceived;
				};
				await until('one of us refuses', async () => (await ends()) !== undefined);
				const notification = await ends();
				t.deepEqual([notification?.code, notification?.subcode], [2, 11]);
				t.is((await dut.peer(kind.name))?.establishedCount, 0);
			},
		);
	});
}

for (const kind of peerKinds.filter(({ features }) => features.has('extended-message'))) {
	interopTest(`extended messages with ${kind.name}: a route of more than 4096 octets arrives`, [kind], async (t) => {
		const values = Array.from({ length: 1200 }, (_, index) => `65001:${index}`);
		const many = { terms: [{ match: {}, action: 'accept', operations: [{ type: 'set-communities', values }] }] };
		const options = {
			kinds: [kind],
			asNumber,
			peer: { extendedMessage: true },
			policies: { many },
			session: { exportPolicies: ['many'] },
		};
		await withBench(options, async ({ dut, peers, own, until }) => {
			await until(
				'the route is there',
				async () => (await peers[0]?.routes())?.some(({ prefix }) => prefix === own.ipv4) === true,
			);
			const route = (await peers[0]?.routes())?.find(({ prefix }) => prefix === own.ipv4);
			// Not all of them are shown.
			t.true((route?.communities.length ?? 0) > 40);
			t.true(((await dut.peer(kind.name))?.messages.sent.bytes ?? 0) > 4096 + 800);
			t.true((await dut.peer(kind.name))?.capabilities?.negotiated.includes('extended-message'));
		});
		await record('extended messages (RFC 8654)', kind);
	});
}
