import test from 'ava';
import { noColours, renderReport } from '../../lab/render.ts';
import type { LabReport, PingRow, RouteRow } from '../../lab/report.ts';
import { labTopology } from '../../lab/topology.ts';

const topology = labTopology('mesh');
const ping = (from: string, to: string): PingRow => ({
	from,
	to,
	address: '192.0.2.1',
	sent: 3,
	lost: from === 'pod-b' && to === 'pod-c' ? 1 : 0,
	averageMs: 0.25,
});
const pods = topology.nodes.map(({ pod }) => pod.name);
const nodeA: readonly RouteRow[] = [
	{ prefix: '192.168.1.0/26', type: 'blackhole' },
	{ prefix: '192.168.2.0/26', type: 'direct', via: '10.0.1.3', device: 'eth0' },
	{ prefix: '192.168.3.0/26', type: 'tunnelled', via: '10.0.2.2', device: 'tunl0' },
	{ prefix: '203.0.113.0/24', type: 'external', via: '10.0.1.254', device: 'eth0' },
];
const report: LabReport = {
	ok: false,
	mode: 'mesh',
	kernel: 'user-mode-linux',
	resources: 'static',
	peers: {
		configured: 2,
		established: 1,
		sessions: [
			{
				node: 'node-a',
				peer: 'node-b',
				address: '10.0.1.3',
				asNumber: 64512,
				state: 'established',
				received: 1,
				advertised: 1,
			},
			{
				node: 'node-a',
				peer: 'tor',
				address: '10.0.1.254',
				asNumber: 64999,
				state: 'connect',
				received: 0,
				advertised: 0,
			},
		],
	},
	routes: { direct: 4, tunnelled: 8, nodes: { 'node-a': nodeA, 'node-c': [] } },
	pings: {
		sent: 36,
		lost: 1,
		pairs: pods.flatMap((from) => pods.filter((to) => to !== from).map((to) => ping(from, to))),
	},
	service: { sent: 12, lost: 0, pairs: pods.map((from) => ping(from, 'service')) },
	before: { sent: 12, lost: 12 },
	convergedSeconds: 3.2,
	scenarios: [{ name: 'crash', ok: true, sent: 100, lost: 0, text: 'nothing was lost' }],
	seconds: 12.5,
	problems: ['1 of 36 pings between pods were lost'],
};

test('the whole screen: sessions, routes of a node in each subnet, pings between all pods, errors', (t) => {
	t.is(
		renderReport(report, topology, noColours),
		`Sessions: 1 of 2 established
  NODE    PEER    ADDRESS     AS     STATE        RECEIVED  SENT
  node-a  node-b  10.0.1.3    64512  established  1         1
  node-a  tor     10.0.1.254  64999  connect      0         0

Routes to pods of other nodes: 4 direct, 8 through the tunnel
  node-a (10.0.1.2, rack-1)
    192.168.1.0/26  blackhole                  own block
    192.168.2.0/26  via 10.0.1.3    dev eth0   same subnet: direct
    192.168.3.0/26  via 10.0.2.2    dev tunl0  other subnet: IP in IP
    203.0.113.0/24  via 10.0.1.254  dev eth0   from the top-of-rack router
  node-c (10.0.2.2, rack-2)
    none

Pings, average round trip
  from \\ to  pod-a    pod-b    pod-c     pod-d    service
  pod-a      ·        0.25 ms  0.25 ms   0.25 ms  0.25 ms
  pod-b      0.25 ms  ·        1/3 lost  0.25 ms  0.25 ms
  pod-c      0.25 ms  0.25 ms  ·         0.25 ms  0.25 ms
  pod-d      0.25 ms  0.25 ms  0.25 ms   ·        0.25 ms

✓ crash: nothing was lost

✗ 1 of 36 pings between pods were lost
✗ it does not work: 47 of 48 pings answered, converged in 3.2 s, 12.5 s in all
`,
	);
});
