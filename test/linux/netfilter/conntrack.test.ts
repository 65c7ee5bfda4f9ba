import { createSocket } from 'node:dgram';
import test from 'ava';
import { formatAddress } from '../../../src/core/index.ts';
import { Conntrack, loadRuleset, PacketLog } from '../../../src/linux/index.ts';
import { enterNewNamespace, noNamespaces } from '../../support/namespace.ts';

if (noNamespaces !== undefined) console.warn(`SKIPPED: conntrack of the kernel: ${noNamespaces}`);
const namespaceTest = noNamespaces === undefined ? test.serial : test.skip;

// Rules on connection state make the kernel track connections in the namespace.
const tracking = (rule: string) => `
table inet tracking {
	chain output { type filter hook output priority 0; ct state invalid drop; ${rule}; }
	chain nat { type nat hook output priority -100; ip daddr 127.0.0.9 udp dport 53 dnat ip to 127.0.0.1:5353; }
}
`;

async function sendDatagrams(family: 'udp4' | 'udp6', ports: readonly number[], address: string): Promise<void> {
	const socket = createSocket(family);
	try {
		for (const port of ports)
			await new Promise<void>((resolve, reject) =>
				socket.send('x', port, address, (error) => (error === null ? resolve() : reject(error))),
			);
	} finally {
		// An open socket keeps the process of the test alive.
		socket.close();
	}
}

namespaceTest('connections are listed with both directions, and exactly the given ones deleted', async (t) => {
	enterNewNamespace();
	await loadRuleset(tracking('accept'));
	const conntrack = new Conntrack();
	await sendDatagrams('udp4', [7001, 7002], '127.0.0.1');
	await sendDatagrams('udp4', [53], '127.0.0.9');
	await sendDatagrams('udp6', [7003], '::1');
	const ports = async (family: 'ipv4' | 'ipv6') =>
		(await conntrack.list(family)).map(({ original }) => original.destinationPort).sort((a, b) => a - b);
	t.deepEqual(await ports('ipv4'), [53, 7001, 7002]);
	t.deepEqual(await ports('ipv6'), [7003]);
	const [translated] = await conntrack.list('ipv4', ({ original }) => original.destinationPort === 53);
	t.is(translated && formatAddress(translated.original.destination), '127.0.0.9');
	t.is(translated && formatAddress(translated.reply.source), '127.0.0.1');
	t.is(translated?.reply.sourcePort, 5353);
	t.is(translated?.original.protocol, 17);
	const doomed = await conntrack.list('ipv4', ({ original }) => original.destinationPort === 7001);
	t.is(await conntrack.remove(doomed), 1);
	t.is(await conntrack.remove(doomed), 0, 'an entry that ended counts as done');
	t.deepEqual(await ports('ipv4'), [53, 7002]);
	await conntrack.flush('ipv4');
	t.deepEqual(await ports('ipv4'), []);
	t.deepEqual(await ports('ipv6'), [7003]);
	conntrack.close();
});

namespaceTest('logged packets arrive with their prefix; what exceeds the rate is counted', async (t) => {
	enterNewNamespace();
	await loadRuleset(tracking('udp dport 9 log prefix "drop:p1" group 77 snaplen 64 drop'));
	let nowMs = 0;
	const seen: string[] = [];
	const suppressed: number[] = [];
	const log = new PacketLog({
		group: 77,
		mostPerSecond: 3,
		nowMs: () => nowMs,
		onPacket: ({ prefix, bytes, outInterface }) =>
			seen.push(`${prefix} ${bytes[9]} ${formatAddress(bytes.subarray(16, 20))} ${outInterface}`),
		onSuppressed: (count) => suppressed.push(count),
	});
	// A denied datagram is an error for its sender.
	const attempt = () => sendDatagrams('udp4', [9], '127.0.0.1').catch(() => undefined);
	for (let count = 0; count < 5; count++) await attempt();
	const until = async (condition: () => boolean) => {
		for (let tries = 0; tries < 200 && !condition(); tries++) await new Promise((resolve) => setTimeout(resolve, 10));
	};
	await until(() => seen.length >= 3);
	await new Promise((resolve) => setTimeout(resolve, 200));
	t.deepEqual(seen, Array(3).fill('drop:p1 17 127.0.0.1 1'));
	nowMs = 2000;
	await attempt();
	await until(() => seen.length >= 4);
	t.deepEqual(suppressed, [2]);
	log.close();
});

namespaceTest('a group that another reader has is reported', async (t) => {
	enterNewNamespace();
	const options = { group: 78, nowMs: () => 0, onPacket: () => {} };
	const first = new PacketLog(options);
	const trouble = await new Promise<string>((resolve) => {
		const second = new PacketLog({ ...options, onTrouble: (reason) => resolve(reason) });
		setTimeout(() => {
			second.close();
			resolve('none');
		}, 1000);
	});
	t.regex(trouble, /nflog group 78: E/);
	first.close();
});

namespaceTest('a list that its reader gives up is read to its end: the next one is not refused', async (t) => {
	enterNewNamespace();
	await loadRuleset(tracking('accept'));
	const conntrack = new Conntrack();
	const count = 2000;
	const [near, far] = [Uint8Array.of(127, 0, 0, 1), Uint8Array.of(127, 0, 0, 2)];
	const ports = (sourcePort: number, destinationPort: number) => ({ protocol: 17, sourcePort, destinationPort });
	await conntrack.add(
		Array.from({ length: count }, (_, index) => ({
			...{ family: 'ipv4' as const, status: 0 },
			original: { source: near, destination: far, ...ports(10_000 + index, 53) },
			reply: { source: far, destination: near, ...ports(53, 10_000 + index) },
		})),
	);
	const refuse = () => {
		throw new RangeError('not this one');
	};
	await t.throwsAsync(conntrack.list('ipv4', refuse), { instanceOf: RangeError, message: 'not this one' });
	t.is((await conntrack.list('ipv4')).length, count);
	conntrack.close();
});
