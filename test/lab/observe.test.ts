import test from 'ava';
import { leadsTo, parseRoutes } from '../../lab/observe.ts';
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
