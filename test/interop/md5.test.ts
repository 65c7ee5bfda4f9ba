import { interopTest, record, withBench } from '../support/interop.ts';
import { withKey } from '../support/key-file.ts';
import { peerKinds } from '../support/peers/index.ts';

const asNumber = 65_001;

for (const kind of peerKinds) {
	interopTest(`TCP MD5 with ${kind.name}: the same key on both sides gives a session`, [kind], async (t) => {
		await withKey('s3cret', async (passwordFile) => {
			await withBench(
				{ kinds: [kind], asNumber, peer: { password: 's3cret' }, session: { passwordFile } },
				async ({ dut, peers, until }) => {
					await until('the session is established', async () => (await dut.peer(kind.name))?.state === 'established');
					await until(
						'routes arrive',
						async () => (await dut.eligible(kind.name)).length === 2 && (await peers[0]?.routes())?.length === 2,
					);
					t.pass();
				},
			);
		});
		await record('TCP MD5', kind);
	});
}
