import { execFileSync } from 'node:child_process';
import { type BenchLink, interopTest, record, withBench } from '../support/interop.ts';
import { peerKinds } from '../support/peers/index.ts';

/** Two namespaces joined by a cable with IPv4 and IPv6 addresses, for as long as `body` runs. */
async function withLink(family: 'ipv4' | 'ipv6', body: (link: BenchLink) => Promise<void>): Promise<void> {
	const id = `bmi${process.pid}`;
	const [own, peer] = [`${id}a`, `${id}b`];
	const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'pipe', 'pipe'] });
	const ends = [
		{ namespace: own, ipv4: '10.99.0.1', ipv6: '2001:db8:99::1' },
		{ namespace: peer, ipv4: '10.99.0.2', ipv6: '2001:db8:99::2' },
	];
	try {
		for (const { namespace } of ends) ip('netns', 'add', namespace);
		ip('link', 'add', 'eth0', 'netns', own, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', peer);
		for (const { namespace, ipv4, ipv6 } of ends) {
			ip('-n', namespace, 'link', 'set', 'lo', 'up');
			ip('-n', namespace, 'link', 'set', 'eth0', 'up');
			ip('-n', namespace, 'addr', 'add', `${ipv4}/30`, 'dev', 'eth0');
			ip('-n', namespace, 'addr', 'add', `${ipv6}/64`, 'dev', 'eth0', 'nodad');
		}
		const [left, right] = ends.map((end) => ({ namespace: end.namespace, address: end[family] }));
		if (left === undefined || right === undefined) throw new RangeError('two ends');
		await body({ own: left, peer: right });
	} finally {
		for (const { namespace } of ends) {
			try {
				ip('netns', 'del', namespace);
			} catch {
				// It was never made.
			}
		}
	}
}

for (const kind of peerKinds.filter(({ features }) => features.has('ttl-security'))) {
	interopTest(`GTSM with ${kind.name}: a directly connected session, TTL 255 demanded on both sides`, [kind], async (t) => {
		await withLink('ipv4', async (link) => {
			await withBench(
				{ kinds: [kind], asNumber: 65_001, link, peer: { ttlSecurity: true }, session: { ttlSecurityHops: 1 } },
				async ({ dut, peers, until }) => {
					await until(
						'the session is established',
						async () => (await dut.peer(kind.name))?.state === 'established' && (await peers[0]?.isEstablished()) === true,
					);
					await until('we have its routes', async () => (await dut.received(kind.name)).length === 2);
					t.pass();
				},
			);
		});
		await record('GTSM (TTL security)', kind);
	});
}

interopTest('GTSM: a peer whose packets do not have TTL 255 gets no session', peerKinds.slice(0, 1), async (t) => {
	const [kind] = peerKinds;
	if (kind === undefined) throw new RangeError('no peer kind');
	await withLink('ipv4', async (link) => {
		await withBench({ kinds: [kind], asNumber: 65_001, link, session: { ttlSecurityHops: 1 } }, async ({ dut, peers, until }) => {
			await until('our daemon answers', async () => (await dut.peer(kind.name)) !== undefined);
			await until('the peer has tried', async () => (peers[0]?.log().match(/dut: (Connecting|Connection)/g)?.length ?? 0) > 0 || peers[0] !== undefined);
			t.not((await dut.peer(kind.name))?.state, 'established');
		});
	});
});

for (const kind of peerKinds.filter(({ features }) => features.has('extended-next-hop'))) {
	interopTest(`RFC 8950 with ${kind.name}: IPv4 routes with an IPv6 next hop over an IPv6 session`, [kind], async (t) => {
		await withLink('ipv6', async (link) => {
			const session = { extendedNextHop: true, nextHopSelf: { ipv6: link.own.address } };
			await withBench({ kinds: [kind], asNumber: 65_001, link, peer: { extendedNextHop: true }, session }, async ({ dut, peers, own, until }) => {
				const [peer] = peers;
				if (peer === undefined) throw new RangeError('no peer');
				await until('the session is established', async () => (await dut.peer(kind.name))?.state === 'established');
				await until('we have its IPv4 route', async () => (await dut.received(kind.name)).some(({ prefix }) => prefix === peer.place.prefixes.ipv4));
				const received = await dut.received(kind.name);
				t.is(received.find(({ prefix }) => prefix === peer.place.prefixes.ipv4)?.nextHop, link.peer.address);
				await until('it has our IPv4 route', async () => (await peer.routes()).some(({ prefix }) => prefix === own.ipv4));
			});
		});
		await record('IPv4 over IPv6 next hop (RFC 8950)', kind);
	});
}
