/** Input of remote sides that repeats fast: the log stays short, and other sessions stay up. */
import { connect } from 'node:net';
import test from 'ava';
import { encodeMessage, packetContext } from 'bgp-packet';
import { RunningDaemon } from '../support/daemon.ts';
import { loopbackAddress, testPort } from '../support/loopback.ts';
import { openMessage, RawPeer } from '../support/raw-peer.ts';

const asNumber = 64512;
const rounds = 40;
/** A connection of a configured peer waits while its sessions are held down. */
const roundsOfPeer = 4;
const neighbours = 5;
/** The limit of `LineLimiter`, and the line with the number of suppressed ones. */
const mostLines = 31;
const mostLineLength = 400;

/** OPEN, KEEPALIVE and the longest NOTIFICATION: a session that ends as soon as it is established. */
const shortSession = Buffer.concat(
	(
		[
			openMessage({ asNumber, routerId: 0x0a00_0009 }),
			{ type: 'keepalive' },
			{ type: 'notification', code: 6, subcode: 9, data: new Uint8Array(4096 - 21).fill(0xff) },
		] as const
	).map((message) => encodeMessage(message, packetContext())),
);

/** Connections from `from` with a short session each, one after the other. */
async function flaps(address: string, from: string, count: number): Promise<void> {
	for (let round = 0; round < count; round++) {
		const raw = await RawPeer.connect(address, testPort, from);
		raw.sendBytes(shortSession);
		await raw.end();
		raw.close();
	}
}

/** A connection to the control socket that ends within its request, or before the answer. */
const breakOff = (socket: string, text: string): Promise<void> =>
	new Promise((resolve) => {
		const connection = connect(socket, () => connection.write(text, () => connection.destroy()));
		connection.once('close', () => resolve());
		connection.on('error', () => undefined);
	});

test('a flood of sessions and of requests that break off leaves a short log and the other sessions', async (t) => {
	const [own, good, hostile] = [loopbackAddress(), loopbackAddress(), loopbackAddress()];
	const ofRange = Array.from({ length: neighbours }, () => loopbackAddress());
	const daemon = new RunningDaemon();
	const peer = (name: string, address: string) =>
		`  - { name: ${name}, address: ${address}, asNumber: ${asNumber}, passive: true }\n`;
	daemon.configure(
		`asNumber: ${asNumber}\nrouterId: 10.0.0.1\nlisten: { address: ${own}, port: ${testPort} }\npeers:\n${peer('good', good)}${peer('hostile', hostile)}peerRanges:\n  - { name: range, prefix: 127.0.0.0/8, asNumber: ${asNumber} }\n`,
	);
	await daemon.start(t);
	const watched = await RawPeer.connect(own, testPort, good);
	t.teardown(() => watched.close());
	await watched.establish({ asNumber, routerId: 0x0a00_0002 });
	const started = daemon.log.length;

	await Promise.all([
		flaps(own, hostile, roundsOfPeer),
		...ofRange.map((address) => flaps(own, address, rounds)),
		(async () => {
			for (let round = 0; round < rounds; round++) {
				await breakOff(daemon.socket, 'GET /v1/status HTTP/1.1\r\nHost: x\r\n');
				await breakOff(daemon.socket, 'GET /v1/routes?limit=0 HTTP/1.1\r\nHost: x\r\n\r\n');
			}
		})(),
	]);

	const metrics = await daemon.until(
		'it answers',
		(client) => client.metrics(),
		() => true,
	);
	t.regex(metrics, /^bgpmesh_peer_up\{peer="good"\} 1$/m);
	t.regex(metrics, /^bgpmesh_bgp_refused_connections_total\{reason="held-down"\} [1-9]/m);
	const lines = daemon.log.slice(started).trimEnd().split('\n');
	for (const name of ['hostile', ...ofRange]) {
		const about = lines.filter((line) => line.includes(`=${name}`));
		t.true(about.length > 0 && about.length <= mostLines, `${about.length} lines about ${name}`);
	}
	t.deepEqual(
		lines.filter((line) => line.length > mostLineLength),
		[],
	);
	t.deepEqual(
		lines.filter((line) => /^\S+ error /.test(line) || /^\s+at /.test(line)),
		[],
	);
});
