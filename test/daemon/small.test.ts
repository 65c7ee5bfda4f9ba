import { PassThrough, Writable } from 'node:stream';
import test from 'ava';
import { identifierNumber } from '../../src/bgp/index.ts';
import { parseConfig } from '../../src/config/index.ts';
import { prefixKey } from '../../src/core/index.ts';
import { descriptorAlarm, descriptorWarning } from '../../src/daemon/descriptors.ts';
import { createLog } from '../../src/daemon/log.ts';
import { peerMetrics } from '../../src/daemon/metrics/peer-rows.ts';
import { tracksNextHops } from '../../src/daemon/next-hops.ts';
import { bgpOf, ipipAddressOf, poolsOf } from '../../src/daemon/node-state.ts';
import { diffOrigins } from '../../src/daemon/origins.ts';
import { interfaceWarnings, policyWarnings } from '../../src/daemon/policy-warnings.ts';
import type { ClusterState } from '../../src/node/index.ts';
import { tor } from '../cli/views.ts';

test('an identifier is a number with the first octet as its highest byte', (t) =>
	t.is(identifierNumber('192.0.2.1'), 0xc0000201));

const tunnels = [
	{
		title: 'the first static block in a pool with IPIP',
		file: 'bgp: { asNumber: 1, originate: [10.9.0.0/26, 192.168.1.64/26] }\npools: [ { cidr: 192.168.0.0/16 } ]',
		address: '192.168.1.64',
	},
	{
		title: 'the configured one',
		file: 'bgp: { asNumber: 1, originate: [192.168.1.64/26] }\npools: [ { cidr: 192.168.0.0/16 } ]\nipip: { tunnelAddress: 10.8.0.1 }',
		address: '10.8.0.1',
	},
	{
		title: 'none without a pool with IPIP',
		file: 'bgp: { asNumber: 1, originate: [192.168.1.64/26] }\npools: [ { cidr: 192.168.0.0/16, ipipMode: Never } ]',
		address: undefined,
	},
];
for (const { title, file, address } of tunnels)
	test(`the tunnel has the address of ${title}`, (t) =>
		t.is(ipipAddressOf({ node: 'a', config: parseConfig(file, 'x.yaml'), cluster: undefined }), address));

/** A cluster with this node alone; only the members that the tested functions read. */
const clusterOf = (ipv4: string | undefined, ipv6: string | undefined) =>
	({
		topology: { asNumber: 64512, listenAddress: ipv6 === undefined ? '0.0.0.0' : '::', listenPort: 1790 },
		blocks: [],
		configuration: { serviceClusterCidrs: [], serviceExternalCidrs: [], serviceLoadBalancerCidrs: [] },
		nodes: [{ name: 'a', ipv4: ipv4 && { address: ipv4, length: 24 }, ipv6: ipv6 && { address: ipv6, length: 64 } }],
		pools: ['10.0.0.0/16', 'fd00::/64'].map((cidr) => ({ cidr, ipipMode: 'Always', natOutgoing: false })),
	}) as unknown as ClusterState;

const listens = [
	{ title: 'without a file', file: 'node: a', ipv6: 'fd00::1', address: '::', port: 1790 },
	{ title: 'with a section of the file', file: 'bgp: { asNumber: 1 }', ipv6: 'fd00::1', address: '::', port: 1790 },
	{ title: 'of an IPv4 node', file: 'bgp: { asNumber: 1 }', ipv6: undefined, address: '0.0.0.0', port: 1790 },
	{
		title: 'with a port in the file',
		file: 'bgp: { asNumber: 1, listen: { port: 2179 } }',
		ipv6: 'fd00::1',
		address: '::',
		port: 2179,
	},
	{
		title: 'with an address in the file',
		file: 'bgp: { asNumber: 1, listen: { address: 0.0.0.0 } }',
		ipv6: 'fd00::1',
		address: '0.0.0.0',
		port: 1790,
	},
];
for (const { title, file, ipv6, address, port } of listens)
	test(`in a cluster sessions are accepted where the cluster has it, ${title}`, (t) => {
		const config = parseConfig(`datastore: { type: kubernetes }\n${file}`, 'x.yaml');
		const cluster = clusterOf(ipv6 === undefined ? '192.0.2.1' : undefined, ipv6);
		t.deepEqual(bgpOf({ node: 'a', config, cluster })?.listen, { address, port });
	});

test('without a cluster sessions are accepted at every IPv4 address, port 179', (t) => {
	const config = parseConfig('bgp: { asNumber: 1 }', 'x.yaml');
	t.deepEqual(bgpOf({ node: 'a', config, cluster: undefined })?.listen, { address: '0.0.0.0', port: 179 });
});

test('IPv4 pools need no tunnel on a node with IPv6 alone', (t) => {
	const config = parseConfig('datastore: { type: kubernetes }', 'x.yaml');
	const modes = (ipv4: string | undefined, ipv6: string | undefined) =>
		poolsOf({ node: 'a', config, cluster: clusterOf(ipv4, ipv6) }).map(({ ipipMode }) => ipipMode);
	t.deepEqual(modes(undefined, 'fd00::1'), ['Never', 'Always']);
	t.deepEqual(modes('192.0.2.1', 'fd00::1'), ['Always', 'Always']);
	t.deepEqual(modes('192.0.2.1', undefined), ['Always', 'Always']);
});

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

test('a warning is given before the last open file is used', (t) => {
	t.is(descriptorAlarm(1000, 979), undefined);
	t.regex(descriptorAlarm(1000, 980) ?? '', /980 of 1000 files are open: new sessions are refused/);
	t.is(descriptorAlarm(undefined, 10), undefined);
});

test('only differences are withdrawn or originated again', (t) => {
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

test('a log whose reader is gone is no longer written, and the process continues', async (t) => {
	const chunks: string[] = [];
	const stream = new Writable({
		write(chunk, _encoding, callback) {
			chunks.push(String(chunk));
			callback(chunks.length === 2 ? Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }) : null);
		},
	});
	const log = createLog('info', 'text', stream);
	for (let line = 0; line < 5; line++) {
		log.info(`line ${line}`);
		await new Promise((resolve) => setImmediate(resolve));
	}
	await log.end();
	t.is(chunks.length, 2);
});

test('a line has a constant message, its own fields and those of its loggers', async (t) => {
	const [line = ''] = await lines(
		(log) =>
			log.child({ component: 'bgp' }).child({ peer: 'tor' }).info('session established', { holdTimeSeconds: 90 }),
		'json',
	);
	t.like(JSON.parse(line), {
		level: 'info',
		message: 'session established',
		component: 'bgp',
		peer: 'tor',
		holdTimeSeconds: 90,
	});
});

test('as text, a value with spaces is quoted and one entry stays one line', async (t) => {
	const [line = '', ...rest] = await lines(
		(log) => log.warn('odd', { text: 'a\nb "c"', number: 7, none: undefined }),
		'text',
	);
	t.regex(line, /^\S+Z warn {2}odd text="a\\nb \\"c\\"" number=7$/);
	t.deepEqual(rest, []);
});

for (const [format, line] of [
	['text', /^<4>\S+Z warn {2}odd$/],
	['json', /^<4>\{.*"message":"odd"/],
] as const)
	test(`under the journal each ${format} line begins with its priority`, async (t) => {
		const stream = new PassThrough();
		const log = createLog('debug', format, stream, { journal: true });
		log.warn('odd');
		log.error('bad');
		log.child({}).info('plain');
		log.debug('detail');
		await log.end();
		stream.end();
		const written = (await stream.setEncoding('utf8').toArray()).join('').split('\n').slice(0, -1);
		t.regex(written[0] ?? '', line);
		t.deepEqual(
			written.map((text) => text.slice(0, 3)),
			['<4>', '<3>', '<6>', '<7>'],
		);
	});

test('the level applies to children that were created before it changed', async (t) => {
	const written = await lines((log) => {
		const child = log.child({});
		child.debug('unseen');
		log.setLevel('debug');
		child.debug('seen');
	}, 'text');
	t.is(written.length, 1);
});

test("a peer's metrics are in the text format, with its name escaped", (t) => {
	const text = [...peerMetrics(() => [{ ...tor, name: 'a"b\\c' }])].join('');
	t.true(text.includes('bgpmesh_peer_up{peer="a\\"b\\\\c"} 1\n'));
	t.true(text.includes('bgpmesh_peer_prefixes{peer="a\\"b\\\\c",family="ipv4",table="received"} 12\n'));
	t.regex(text, /^# TYPE bgpmesh_peer_messages_total counter$/m);
});

const rfc8212 = '(RFC 8212; bgp.ebgpRequiresPolicy: false turns this off)';

/** One internal peer and external ones: a complete one, and those that lack one direction or both. */
const withoutPolicies = (more: string) =>
	parseConfig(
		`bgp:
  asNumber: 1
  ${more}
  peers:
    - { name: in, address: 10.0.0.1, asNumber: 1 }
    - { name: complete, address: 10.0.0.2, asNumber: 2, importPolicies: [], exportPolicies: [] }
    - { name: deaf, address: 10.0.0.3, asNumber: 2, exportPolicies: [] }
    - { name: mute, address: 10.0.0.4, asNumber: 2, importPolicies: [] }
    - { name: left, address: 10.0.0.5, asNumber: 2 }
    - { name: right, address: 10.0.0.6, asNumber: 2 }
`,
		'x.yaml',
	);

test('an external peer without policies is named in one line, with the directions that it lacks', (t) => {
	t.deepEqual(policyWarnings(withoutPolicies('')), [
		`nothing is taken from or sent to left, right: external without importPolicies and exportPolicies ${rfc8212}`,
		`nothing is taken from deaf: external without importPolicies ${rfc8212}`,
		`nothing is sent to mute: external without exportPolicies ${rfc8212}`,
	]);
	t.deepEqual(policyWarnings(withoutPolicies('ebgpRequiresPolicy: false')), []);
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
		const config = parseConfig(
			`bgp: { asNumber: 1${wish === undefined ? '' : `, nextHopTracking: ${wish}`} }\n${file}`,
			'x.yaml',
		);
		t.is(tracksNextHops(config, mayProgram), tracks);
	});
}

test('users of unknown interfaces are named', (t) => {
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
	t.regex(
		interfaceWarnings(peers, false).join(),
		/^the policies of tor, node-c ask for the interface of routes, .*\(bgp\.nextHopTracking: on\)$/,
	);
});
