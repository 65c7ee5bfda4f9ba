import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { interopTest, record, withBench } from '../support/interop.ts';
import { peerKinds } from '../support/peers/index.ts';

const asNumber = 65_001;

/** A folder with a key file, for as long as `body` runs. */
async function withKey(key: string, body: (passwordFile: string) => Promise<void>): Promise<void> {
	const folder = await mkdtemp(join(tmpdir(), 'bgpmesh-key-'));
	try {
		const file = join(folder, 'key');
		await writeFile(file, `${key}\n`, { mode: 0o600 });
		await body(file);
	} finally {
		await rm(folder, { recursive: true, force: true });
	}
}

for (const kind of peerKinds) {
	interopTest(`TCP MD5 with ${kind.name}: the same key on both sides gives a session`, [kind], async (t) => {
		await withKey('s3cret', async (passwordFile) => {
			await withBench({ kinds: [kind], asNumber, peer: { password: 's3cret' }, session: { passwordFile } }, async ({ dut, peers, until }) => {
				await until('the session is established', async () => (await dut.peer(kind.name))?.state === 'established');
				await until('routes arrive', async () => (await dut.received(kind.name)).length === 2 && (await peers[0]?.routes())?.length === 2);
				t.pass();
			});
		});
		await record('TCP MD5', kind);
	});
}

interopTest('TCP MD5: a peer with another key gets no session, one with the right key does', peerKinds.slice(0, 1), async (t) => {
	const [kind] = peerKinds;
	if (kind === undefined) throw new RangeError('no peer kind');
	await withKey('s3cret', async (passwordFile) => {
		await withBench(
			{ kinds: [kind], asNumber, peer: { password: 'another', holdTimeSeconds: 3 }, session: { passwordFile } },
			async ({ dut, peers, until }) => {
				// It tries: after several attempts there is still no session.
				await until('the peer has tried', async () => (peers[0]?.log().match(/Connecting to/g)?.length ?? 0) >= 3 || (await dut.peer(kind.name)) !== undefined);
				t.not((await dut.peer(kind.name))?.state, 'established');
				t.false(await peers[0]?.isEstablished());
			},
		);
	});
});
