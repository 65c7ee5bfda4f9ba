import { PassThrough } from 'node:stream';
import test from 'ava';
import { parseConfig } from '../../src/config/index.ts';
import { prefixKey } from '../../src/core/index.ts';
import { identifierNumber, tunnelAddress } from '../../src/daemon/addresses.ts';
import { descriptorAlarm, descriptorWarning } from '../../src/daemon/descriptors.ts';
import { createLog } from '../../src/daemon/log.ts';
import { MonitorHub } from '../../src/daemon/monitor.ts';
import { tracksNextHops } from '../../src/daemon/next-hops.ts';
import { diffOrigins } from '../../src/daemon/origins.ts';
import { renderPeerMetrics } from '../../src/daemon/peer-metrics.ts';
import { interfaceWarnings, policyWarnings } from '../../src/daemon/policy-warnings.ts';
import { tor } from '../cli/views.ts';

test('an identifier is a number with the first octet on top', (t) => t.is(identifierNumber('192.0.2.1'), 0xc0000201));

const tunnels = [
	{
		title: 'the first static block in a pool with IPIP',
		file: 'bgp: { asNumber: 1, originate: [10.9.0.0/26, 192.168.1.64/26] }\npools: [ { cidr: 192.168.0.0/16 } ]',
		address: '192.168.1.64',
	},
	{
		title: 'what is configured',
		file: 'bgp: { asNumber: 1, originate: [192.168.1.64/26] }\npools: [ { cidr: 192.168.0.0/16 } ]\nipip: { tunnelAddress: 10.8.0.1 }',
		address: '10.8.0.1',
	},
	{
		title: 'nothing without a pool with IPIP',
		file: 'bgp: { asNumber: 1, originate: [192.168.1.64/26] }\npools: [ { cidr: 192.168.0.0/16, ipipMode: Never } ]',
		address: undefined,
	},
];
for (const { title, file, address } of tunnels)
	test(`the tunnel has the address of ${title}`, (t) => t.is(tunnelAddress(parseConfig(file, 'x.yaml')), address));

const limits = [
	{ limit: 1024, sessions: 960, warns: false },
	{ limit: 1024, sessions: 961, warns: true },
	{ limit: Number.POSITIVE_INFINITY, sessions: 100_000, warns: false },
	{ limit: undefined, sessions: 100_000, warns: false },
];
for (const { limit, sessions, warns } of limits) {
	test(`${sessions} sessions with ${limit} open files ${warns ? 'are too many' : 'are well'}`, (t) =>
		t.is(descriptorWarning(limit, sessions) !== undefined, warns));
}

test('an alarm is given before the last open file is gone', (t) => {
	t.is(descriptorAlarm(1000, 979), undefined);
	t.regex(descriptorAlarm(1000, 980) ?? '', /980 of 1000 files are open: new sessions are refused/);
	t.is(descriptorAlarm(undefined, 10), undefined);
});

test('only what differs is withdrawn or originated again', (t) => {
	const [a, b, c] = [prefixKey('10.0.0.0/26'), prefixKey('10.0.0.64/26'), prefixKey('10.0.0.128/26')];
	const before = new Map([
		[a, {}],
		[b, { med: 1 }],
		[c, {}],
	]);
	t.deepEqual(
		diffOrigins(
			before,
			new Map([
				[a, {}],
				[b, { med: 2 }],
			]),
		),
		{ withdraw: [c], originate: [[b, { med: 2 }]] },
	);
});

async function lines(write: (log: ReturnType<typeof createLog>) => void, format: 'json' | 'text'): Promise<string[]> {
	const stream = new PassThrough();
	const log = createLog('info', format, stream);
	write(log);
	await log.end();
	stream.end();
	return (await stream.setEncoding('utf8').toArray()).join('').split('\n').slice(0, -1);
}

test('a line has a constant message, its own fields and those of its loggers', async (t) => {
	const [line = ''] = await lines((log) => log.child({ room: 'bgp' }).child({ peer: 'tor' }).info('session established', { holdTimeSeconds: 90 }), 'json');
	t.like(JSON.parse(line), { level: 'info', message: 'session established', room: 'bgp', peer: 'tor', holdTimeSeconds: 90 });
});

test('as text, a value with spaces is quoted and one line stays one line', async (t) => {
	const [line = '', ...rest] = await lines((log) => log.warn('odd', { text: 'a\nb "c"', number: 7, none: undefined }), 'text');
	t.regex(line, /^\S+Z warn {2}odd text="a\\nb \\"c\\"" number=7$/);
	t.deepEqual(rest, []);
});

test('the level holds for children that were there before it changed', async (t) => {
	const written = await lines((log) => {
		const child = log.child({});
		child.debug('unseen');
		log.setLevel('debug');
		child.debug('seen');
	}, 'text');
	t.is(written.length, 1);
});

test('routes are followed only while somebody reads them', (t) => {
	const hub = new MonitorHub();
	const seen: string[] = [];
	hub.setRouteSource(() => {
		seen.push('follow');
		return () => seen.push('end');
	});
	const [sessions, one, two] = [new AbortController(), new AbortController(), new AbortController()];
	hub.join(false, () => {}, sessions.signal);
	t.deepEqual(seen, []);
	hub.join(true, () => seen.push('event'), one.signal);
	hub.join(true, () => {}, two.signal);
	hub.tell({ type: 'route', at: '', change: 'remove', prefix: '10.0.0.0/8' });
	one.abort();
	t.deepEqual(seen, ['follow', 'event']);
	two.abort();
	t.deepEqual(seen, ['follow', 'event', 'end']);
	t.true(hub.watched('session'));
});

test("a peer's figures are in the text format, its name escaped", async (t) => {
	const text = await renderPeerMetrics([{ ...tor, name: 'a"b\\c' }]);
	t.true(text.includes('bgpmesh_peer_up{peer="a\\"b\\\\c"} 1\n'));
	t.true(text.includes('bgpmesh_peer_prefixes{peer="a\\"b\\\\c",family="ipv4",table="received"} 12\n'));
	t.regex(text, /^# TYPE bgpmesh_peer_messages_total counter$/m);
});

test('external peers that exchange nothing for want of a policy are named', (t) => {
	const file = (more: string) =>
		parseConfig(
			`bgp: { asNumber: 1, ${more} peers: [ { name: in, address: 10.0.0.1, asNumber: 1 }, { name: tor, address: 10.0.0.2, asNumber: 2, exportPolicies: [] } ] }`,
			'x.yaml',
		);
	t.deepEqual(policyWarnings(file('')), [
		'nothing is taken from tor: external without importPolicies (RFC 8212; bgp.ebgpRequiresPolicy: false turns this off)',
	]);
	t.deepEqual(policyWarnings(file('ebgpRequiresPolicy: false,')), []);
});

const tracking = [
	{ file: '', mayProgram: true, tracks: true },
	{ file: '', mayProgram: false, tracks: false },
	{ file: 'fib: { enabled: false }', mayProgram: true, tracks: false },
	{ wish: 'on', file: 'fib: { enabled: false }', mayProgram: false, tracks: true },
	{ wish: 'off', file: '', mayProgram: true, tracks: false },
];
for (const { wish, file, mayProgram, tracks } of tracking) {
	const right = mayProgram ? 'with' : 'without';
	test(`next hops are ${tracks ? '' : 'not '}tracked ${right} the right to program routes, ${file || 'fib as it is'}, nextHopTracking: ${wish ?? 'not given'}`, (t) => {
		const config = parseConfig(`bgp: { asNumber: 1${wish === undefined ? '' : `, nextHopTracking: ${wish}`} }\n${file}`, 'x.yaml');
		t.is(tracksNextHops(config, mayProgram), tracks);
	});
}

test('who asks for interfaces that nobody knows is named', (t) => {
	const terms = [{ match: { interface: 'eth*' }, action: 'reject' as const, operations: [] }];
	const asking = [{ name: 'asking', terms, otherwise: 'accept' as const }];
	const plain = [{ name: 'plain', terms: [], otherwise: 'accept' as const }];
	const peers = [
		{ name: 'tor', importPolicies: asking, exportPolicies: undefined },
		{ name: 'node-b', importPolicies: plain, exportPolicies: plain },
		{ name: 'node-c', importPolicies: undefined, exportPolicies: [...plain, ...asking] },
	];
	t.deepEqual(interfaceWarnings(peers, true), []);
	t.deepEqual(interfaceWarnings(peers.slice(1, 2), false), []);
	t.regex(interfaceWarnings(peers, false).join(), /^the policies of tor, node-c ask for the interface of routes, .*\(bgp\.nextHopTracking: on\)$/);
});
