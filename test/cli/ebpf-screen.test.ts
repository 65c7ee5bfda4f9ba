import test from 'ava';
import { renderEbpf } from '../../src/cli/render/ebpf.ts';
import type { EbpfView } from '../../src/control/index.ts';

const screen = { colours: false, nowMs: 0 };
const view: EbpfView = {
	dataplane: 'ebpf',
	attachment: 'tcx',
	pinDirectory: '/sys/fs/bpf/bgpmesh',
	pods: [{ pod: 'prod/web', interface: 'cali1234', instructions: { ingress: 512, egress: 420 } }],
	hosts: [],
	maps: [
		{ name: 'connections', type: 'lruHash', used: 20000, more: true, most: 262144 },
		{ name: 'events', type: 'ringBuffer', most: 1048576 },
	],
	counters: [{ direction: 'ingress', action: 'deny', decidedBy: 'end of tier default', packets: 7 }],
};

test('programs, maps and counters on one screen', (t) => {
	t.is(
		renderEbpf(screen, view),
		`Pods by      eBPF programs
Attached by  TCX links
Pins         /sys/fs/bpf/bgpmesh

Programs, instructions
POD       INTERFACE  INGRESS  EGRESS
prod/web  cali1234       512     420

Maps
MAP          TYPE          USED     MOST
connections  lruHash     20000+   262144
events       ringBuffer          1048576

First packets of connections
DECISION             DIRECTION  ACTION  PACKETS
end of tier default  ingress    deny          7
`,
	);
});

test('host endpoints have their interface, or the reason why nftables judges', (t) => {
	const text = renderEbpf(screen, {
		...view,
		hosts: [
			{ endpoint: 'node-a-eth0', interface: 'eth0' },
			{ endpoint: 'node-a-eth2', interface: 'eth2', early: ['host_raw_in', 'host_pre'] },
			{ endpoint: 'node-a-eth1', leftFor: 'a preDNAT policy' },
		],
	});
	t.true(
		text.includes(`Host endpoints
HOST ENDPOINT  INTERFACE  JUDGED BY
node-a-eth0    eth0       programs
node-a-eth2    eth2       programs, early ones too: host_raw_in, host_pre
node-a-eth1    -          nftables: a preDNAT policy
`),
		text,
	);
});

test('the screen names the interfaces of services from outside, or why nftables translates', (t) => {
	const text = (outside: NonNullable<EbpfView['outside']>) => renderEbpf(screen, { ...view, outside });
	t.regex(text({ interfaces: ['eth0', 'eth1'] }), /Services from outside +programs at eth0, eth1/);
	t.regex(text({ interfaces: [] }), /programs at no interface/);
	t.regex(
		text({ interfaces: ['eth0'], leftFor: 'node-a-eth0' }),
		/nftables, for the early policy of host endpoint node-a/,
	);
});

test('the screen shows what direct server return does, and why it is off', (t) => {
	const text = (directReturn: NonNullable<EbpfView['directReturn']>) => renderEbpf(screen, { ...view, directReturn });
	const figures = { sent: 3, arrived: 2 };
	t.regex(
		text({ isOn: true, nodes: ['b', 'c'], ...figures }),
		/Direct server return +to b, c; 3 connections to other nodes, 2 from them\n/,
	);
	t.regex(text({ isOn: true, nodes: [], sent: 0, arrived: 0 }), /Direct server return +to no node; 0 connections/);
	t.regex(text({ isOn: true, ...figures }), /Direct server return +to nodes of an earlier process; 3/);
	const reason = 'the host endpoint node-a-eth0';
	t.regex(text({ isOn: false, reason, nodes: [], ...figures }), /off: the host endpoint node-a-eth0; 3 connections/);
	t.regex(text({ isOn: false, reason, nodes: [], sent: 0, arrived: 0 }), /off: the host endpoint node-a-eth0\n/);
	t.notRegex(renderEbpf(screen, view), /Direct/);
});

test('the screen shows how packets pass between pods, and why', (t) => {
	t.regex(renderEbpf(screen, { ...view, podRedirect: { isOn: true } }), /Between pods +from interface to interface/);
	const reason = 'the host endpoint node-a-eth0';
	t.regex(
		renderEbpf(screen, { ...view, podRedirect: { isOn: false, reason } }),
		/Between pods +by routes and nftables: the host endpoint node-a-eth0/,
	);
});

test('without eBPF the screen has the reason', (t) => {
	const { attachment: _, ...rest } = view;
	const text = renderEbpf(screen, { ...rest, dataplane: 'nftables', problem: 'kernel 5.4 is older than 5.10' });
	t.regex(text, /kernel 5\.4 is older than 5\.10/);
	t.notRegex(text, /Maps/);
});
