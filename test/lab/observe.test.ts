import test from 'ava';
import { lossesOf } from '../../lab/losses.ts';
import { hasWord, leadsTo, parseRoutes } from '../../lab/observe.ts';
import { lossPhases } from '../../lab/outages.ts';
import { countPings, parsePing } from '../../lab/pings.ts';

const statistics = (sent: number, received: number) => `PING 192.168.3.10 (192.168.3.10) 56(84) bytes of data.

--- 192.168.3.10 ping statistics ---
${sent} packets transmitted, ${received} received, 0% packet loss, time 402ms
rtt min/avg/max/mdev = 0.061/0.142/0.301/0.112 ms
`;

test('sent, lost and the average are read from the summary of ping', (t) => {
	t.deepEqual(parsePing(statistics(3, 2), 3), { sent: 3, lost: 1, averageMs: 0.142 });
});

test('a ping without a summary counts as fully lost', (t) => {
	t.deepEqual(parsePing('ping: connect: Network is unreachable\n', 3), { sent: 3, lost: 3 });
});

test('errors between the packets do not count as replies', (t) => {
	t.deepEqual(parsePing('3 packets transmitted, 0 received, +3 errors, 100% packet loss, time 4ms\n', 3), {
		sent: 3,
		lost: 3,
	});
});

test('counts add up over all pairs', (t) => {
	const row = { from: 'pod-a', to: 'pod-b', address: '192.168.2.10' };
	t.deepEqual(
		countPings([
			{ ...row, sent: 3, lost: 0 },
			{ ...row, sent: 3, lost: 2 },
		]),
		{ sent: 6, lost: 2 },
	);
});

test('routes of the kernel are classified: own block, same subnet, tunnel, from outside', (t) => {
	const json = JSON.stringify([
		{ type: 'blackhole', dst: '192.168.1.0/26', flags: [] },
		{ dst: '192.168.2.0/26', gateway: '10.0.1.3', dev: 'eth0', flags: [] },
		{ dst: '192.168.3.0/26', gateway: '10.0.2.2', dev: 'tunl0', flags: ['onlink'] },
		{ dst: '203.0.113.0/24', gateway: '10.0.1.254', dev: 'eth0', flags: [] },
	]);
	const blocks = new Set(['192.168.1.0/26', '192.168.2.0/26', '192.168.3.0/26', '192.168.4.0/26']);
	t.deepEqual(
		parseRoutes(json, blocks).map(({ prefix, type }) => `${prefix} ${type}`),
		['192.168.1.0/26 blackhole', '192.168.2.0/26 direct', '192.168.3.0/26 tunnelled', '203.0.113.0/24 external'],
	);
});

test('no route gives no row', (t) => {
	t.deepEqual(parseRoutes('', new Set()), []);
	t.deepEqual(parseRoutes('[ ]\n', new Set()), []);
});

test('routes lead to an address if one covers it over the right interface; the own block of a node leads nowhere', (t) => {
	const routes = [
		{ prefix: '192.168.1.0/26', type: 'blackhole', device: 'lo' },
		{ prefix: '192.168.2.0/26', type: 'direct', device: 'eth0' },
		{ prefix: '192.168.3.0/26', type: 'tunnelled', device: 'tunl0' },
		{ prefix: '192.168.3.200', type: 'tunnelled', device: 'tunl0' },
	] as const;
	t.true(leadsTo(routes, ['192.168.3.1', '192.168.3.200'], true));
	t.false(leadsTo(routes, ['192.168.3.1', '192.168.3.201'], true));
	t.false(leadsTo(routes, ['192.168.3.1'], false));
	t.true(leadsTo(routes, ['192.168.2.63'], false));
	t.false(leadsTo(routes, ['192.168.1.5'], false));
});

const reply = (sequence: number, atSeconds: number) =>
	`[${atSeconds.toFixed(6)}] 64 bytes from 192.168.3.10: icmp_seq=${sequence} ttl=62 time=1000 ms\n`;

test('the times at which lost packets were sent follow from their neighbours', (t) => {
	// Sent every 20 ms from 100 s on; each reply takes a second.
	const replies = [1, 2, 5, 6].map((sequence) => reply(sequence, 101 + (sequence - 1) * 0.02));
	const text = `${replies.join('')}${statistics(8, 4)}`;
	t.deepEqual(parsePing(text, 8).lostAtMs, [100_040, 100_060, 100_120, 100_140]);
	t.is(parsePing(statistics(3, 0), 3).lostAtMs, undefined);
});

const row = { from: 'pod-a', to: 'pod-b', address: '192.168.2.10', sent: 500 };

test('lost packets near each other are one loss', (t) => {
	t.deepEqual(lossesOf([{ ...row, lost: 4, lostAtMs: [1000, 1020, 1040, 9000] }], 500), [
		{ from: 'pod-a', to: 'pod-b', lost: 3, fromSeconds: 0.5, toSeconds: 0.54 },
		{ from: 'pod-a', to: 'pod-b', lost: 1, fromSeconds: 8.5, toSeconds: 8.5 },
	]);
	t.deepEqual(lossesOf([{ ...row, lost: 0 }], 500), []);
});

test('the losses of an outage are counted by phase: meanwhile, until all is back, and after that', (t) => {
	const rows = [
		{ ...row, lost: 5, lostAtMs: [1000, 2000, 3000, 4000, 5000] },
		// No packet of the round arrived.
		{ ...row, lost: 500 },
	];
	t.deepEqual(lossPhases(rows, { mendedAtMs: 2500, backAtMs: 4500 }), { away: 502, comingBack: 2, afterwards: 1 });
});

test('an address is found as a word alone', (t) => {
	t.true(hasWord('vxlan id 4096 local 10.0.1.2 dev eth0', '10.0.1.2'));
	t.false(hasWord('192.168.1.0/26 via 10.0.1.25 dev eth0', '10.0.1.2'));
});
