import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import fc from 'fast-check';
import { compileOperation } from '../../src/bgp/policy/operations.ts';
import { ConfigError, parseConfig } from '../../src/config/index.ts';

const minimal = 'bgp: { asNumber: 64512 }\n';
const withPeer = (keys: string) =>
	`bgp:\n  asNumber: 64512\n  peers:\n    - { address: 10.0.0.1, asNumber: 64512, ${keys} }\n`;

test('the smallest file is complete once parsed', (t) => {
	const config = parseConfig(minimal, 'x.yaml');
	t.like(config, {
		datastore: { type: 'none' },
		bgp: { asNumber: 64512, peers: [], peerRanges: [], originate: [] },
		fib: { enabled: true, metric: 1024 },
		control: { socket: '/run/bgpmesh/bgpmesh.sock' },
		log: { level: 'info', format: 'json' },
	});
});

test('a configuration is deeply frozen', (t) => {
	const config = parseConfig(withPeer('families: [ipv4]'), 'x.yaml');
	t.throws(() => Object.assign(config.fib, { enabled: false }), { instanceOf: TypeError });
	t.throws(() => Object.assign(config.bgp?.peers[0]?.families ?? {}, { 0: 'ipv6' }), { instanceOf: TypeError });
});

test("a peer's own value precedes its group's, and that precedes the default", (t) => {
	const config = parseConfig(
		`bgp:
  asNumber: 64512
  groups:
    reflectors: { asNumber: 64512, holdTimeSeconds: 30, connectRetrySeconds: 5, reflectorClient: true }
  peers:
    - { address: 10.0.0.1, group: reflectors, holdTimeSeconds: 9 }
`,
		'x.yaml',
	);
	t.like(config.bgp?.peers[0], {
		name: '10.0.0.1',
		asNumber: 64512,
		holdTimeSeconds: 9,
		connectRetrySeconds: 5,
		reflectorClient: true,
		port: 179,
		passive: false,
	});
});

const asNumbers = [
	{ text: '64512', value: 64512 },
	{ text: '4200000000', value: 4200000000 },
	{ text: '1.10', value: 65546 },
	{ text: '64512.0', value: 64512 * 65536 },
	{ text: "'0.64512'", value: 64512 },
];
for (const { text, value } of asNumbers) {
	test(`AS number ${text} is ${value}`, (t) =>
		t.is(parseConfig(`bgp: { asNumber: ${text} }`, 'x.yaml').bgp?.asNumber, value));
}

test('a router ID may be a number', (t) => {
	t.is(parseConfig('bgp: { asNumber: 1, routerId: 167772418 }', 'x.yaml').bgp?.routerId, '10.0.1.2');
});

test('a policy is named by its key, and its prefixes contain more specific ones', (t) => {
	const { policies } = parseConfig(
		`${minimal}policies:\n  a: { terms: [ { match: { prefixes: [10.0.0.0/8] }, action: accept, operations: [ { type: remove-med } ] } ] }\n`,
		'x.yaml',
	);
	t.deepEqual(policies['a'], {
		name: 'a',
		otherwise: 'next',
		terms: [
			{
				match: { prefixes: [{ prefix: '10.0.0.0/8', operator: 'in' }] },
				action: 'accept',
				operations: [{ type: 'set-med', value: undefined }],
			},
		],
	} as never);
});

const wellKnown = [
	'graceful-shutdown',
	'accept-own',
	'llgr-stale',
	'no-llgr',
	'blackhole',
	'no-export',
	'no-advertise',
	'no-export-subconfed',
	'no-peer',
];
test('the speaker accepts every community that a file may contain', (t) => {
	const text = wellKnown.map((name) => `{ type: add-community, value: ${name} }`).join(', ');
	const { policies } = parseConfig(
		`${minimal}policies: { a: { terms: [ { action: accept, operations: [ ${text} ] } ] } }\n`,
		'x.yaml',
	);
	for (const operation of policies['a']?.terms[0]?.operations ?? []) t.notThrows(() => compileOperation(operation));
	t.is(policies['a']?.terms[0]?.operations.length, wellKnown.length);
});

/** Each file has one mistake or a few; the messages are exactly these. */
const mistakes: readonly { title: string; text: string; messages: readonly string[] }[] = [
	{
		title: 'a socket path that the system would truncate',
		text: `bgp: { asNumber: 1 }\ncontrol: { socket: /${'x'.repeat(107)} }`,
		messages: [
			`x.yaml:2:20: control.socket: found '/${'x'.repeat(35)}..., expected an absolute path of at most 107 bytes`,
		],
	},
	{
		title: 'an empty file',
		text: '',
		messages: ['x.yaml: bgp: found nothing, expected the BGP settings, at least { asNumber: 64512 }'],
	},
	{
		title: 'a file that is not a map',
		text: '- a\n',
		messages: ['x.yaml:1:1: found a list of 1, expected a map of settings such as bgp:, fib:, log:'],
	},
	{
		title: 'a missing required key',
		text: 'bgp: {}\n',
		messages: [
			'x.yaml:1:1: bgp.asNumber: found nothing, expected an AS number, 1 to 4294967294 except 65535, or asdot such as 1.10',
		],
	},
	{
		title: 'an unknown key with a likely meaning',
		text: 'bgp:\n  asNumber: 1\n  routerID: 10.0.0.1\n',
		messages: ['x.yaml:3:3: bgp.routerID: found an unknown key, expected a known key; did you mean routerId?'],
	},
	{
		title: 'a key by the name that other daemons give it, at the top of the speaker',
		text: 'bgp:\n  local-as: 1\n  asNumber: 1\n  neighbours: []\n',
		messages: [
			'x.yaml:2:3: bgp.local-as: found an unknown key, expected a known key; did you mean asNumber?',
			'x.yaml:4:3: bgp.neighbours: found an unknown key, expected a known key; did you mean peers?',
		],
	},
	{
		title: 'a key by the name that other daemons give it, in a peer',
		text: 'bgp:\n  asNumber: 1\n  peers: [{ address: 10.0.0.2, asNumber: 2, local-as: 1, ebgp_multihop: 2 }]\n',
		messages: [
			'x.yaml:3:45: bgp.peers[0].local-as: found an unknown key, expected a known key; did you mean localAsNumber?',
			'x.yaml:3:58: bgp.peers[0].ebgp_multihop: found an unknown key, expected a known key; did you mean multihopTtl?',
		],
	},
	{
		title: 'an unknown key without one',
		text: `${minimal}fib: { frobnicate: 1 }\n`,
		messages: [
			'x.yaml:2:8: fib.frobnicate: found an unknown key, expected one of the keys enabled, routeProtocol, besideOthers, hostSettings, metric, table, preferredSources',
		],
	},
	{
		title: 'ranges of nodes without a cluster',
		text: `${minimal}ipam: { mode: host-local }\n`,
		messages: [
			"x.yaml:2:15: ipam.mode: found 'host-local', expected blocks: with datastore none there is no Node that has podCIDRs",
		],
	},
	{
		title: 'an AS number that is reserved',
		text: 'bgp: { asNumber: 65535 }\n',
		messages: [
			'x.yaml:1:18: bgp.asNumber: found 65535, expected an AS number, 1 to 4294967294 except 65535, or asdot such as 1.10',
		],
	},
	{
		title: 'a hold time that RFC 4271 forbids',
		text: withPeer('holdTimeSeconds: 2'),
		messages: ['x.yaml:4:62: bgp.peers[0].holdTimeSeconds: found 2, expected seconds, 0 or 3 to 65535'],
	},
	{
		title: 'text where a number belongs',
		text: withPeer("port: '179'"),
		messages: ["x.yaml:4:51: bgp.peers[0].port: found '179', expected a TCP port, 1 to 65535"],
	},
	{
		title: 'YAML 1.1 words for true',
		text: withPeer('passive: yes'),
		messages: ["x.yaml:4:54: bgp.peers[0].passive: found 'yes', expected true or false"],
	},
	{
		title: 'a key without a value',
		text: `${minimal}log:\n  level:\n`,
		messages: ['x.yaml:3:3: log.level: found nothing, expected error, warn, info or debug'],
	},
	{
		title: 'a prefix with host bits',
		text: 'bgp: { asNumber: 1, originate: [ 192.168.1.1/26 ] }\n',
		messages: [
			"x.yaml:1:34: bgp.originate[0]: found '192.168.1.1/26', expected a prefix without host bits; did you mean 192.168.1.0/26?",
		],
	},
	{
		title: 'a mistake inside one of several shapes',
		text: 'bgp: { asNumber: 1, originate: [ { prefix: 10.0.0.0/8, communities: [ 1:2:3 ] } ] }\n',
		messages: [
			"x.yaml:1:71: bgp.originate[0].communities[0]: found '1:2:3', expected a community such as 65000:100, or a well-known name such as no-export",
		],
	},
	{
		title: 'an extended community that YAML took for a number',
		text: 'bgp: { asNumber: 1, originate: [ { prefix: 10.0.0.0/8, extendedCommunities: [ 0x4004fde84b3ebc20 ] } ] }\n',
		messages: [
			'x.yaml:1:79: bgp.originate[0].extendedCommunities[0]: found 4613091092470873000, expected an extended community such as rt:65000:100, ro:10.0.0.1:100 or 0x0002fde800000064 (in quotes)',
		],
	},
	{
		title: 'two alternating AS numbers for dynamic neighbours',
		text: 'bgp: { asNumber: 1, peerRanges: [ { prefix: 10.0.0.0/8, asNumber: 2, localAsNumber: 3, dualAs: true } ] }\n',
		messages: [
			'x.yaml:1:96: bgp.peerRanges[0].dualAs: found true, expected false: a neighbour of a range is not remembered between its attempts',
		],
	},
	{
		title: 'a policy after one that decides everything',
		text: `${withPeer('importPolicies: [c, a, b]')}policies: { a: { otherwise: reject }, b: { otherwise: accept }, c: {} }\n`,
		messages: [
			"x.yaml:4:65: bgp.peers[0].importPolicies[1]: found 'a', expected a policy with `otherwise: next`: 'a' rejects what its terms leave, so 'b' behind it would never be asked",
		],
	},
	{
		title: 'a mistake inside an operation',
		text: `${minimal}policies: { a: { terms: [ { action: accept, operations: [ { type: set-med, value: x } ] } ] } }\n`,
		messages: [
			"x.yaml:2:83: policies.a.terms[0].operations[0].value: found 'x', expected a whole number, 0 to 4294967295",
		],
	},
	{
		title: 'an invalid regular expression',
		text: `${minimal}policies: { a: { terms: [ { action: accept, match: { asPathMatches: '(' } } ] } }\n`,
		messages: [
			"x.yaml:2:69: policies.a.terms[0].match.asPathMatches: found '(', expected a regular expression over the AS path, such as ^64999( |$), without lookaround and backreferences",
		],
	},
	{
		title: 'a peer without an AS number anywhere',
		text: 'bgp: { asNumber: 1, peers: [ { address: 10.0.0.1 } ] }\n',
		messages: ['x.yaml:1:30: bgp.peers[0].asNumber: found nothing, expected an AS number, here or in the group'],
	},
	{
		title: 'references to missing names',
		text: withPeer('group: a, importPolicies: [b]'),
		messages: [
			"x.yaml:4:52: bgp.peers[0].group: found 'a', expected a group; bgp.groups has none",
			"x.yaml:4:72: bgp.peers[0].importPolicies[0]: found 'b', expected a policy; `policies` has none",
		],
	},
	{
		title: 'two peers of one name',
		text: 'bgp: { asNumber: 1, peers: [ { name: a, address: 10.0.0.1, asNumber: 1 }, { name: a, address: 10.0.0.2, asNumber: 1 } ] }\n',
		messages: ["x.yaml:1:83: bgp.peers[1].name: found 'a', expected another name: 'a' is peers[0]'s"],
	},
	{
		title: 'multihop together with GTSM',
		text: withPeer('multihopTtl: 2, ttlSecurityHops: 1'),
		messages: [
			'x.yaml:4:78: bgp.peers[0].ttlSecurityHops: found 1, expected only one of multihopTtl and ttlSecurityHops, group included',
		],
	},
	{
		title: 'multihop in a group together with GTSM in a peer',
		text: 'bgp: { asNumber: 1, groups: { g: { multihopTtl: 2 } }, peers: [ { address: 10.0.0.1, asNumber: 2, group: g, ttlSecurityHops: 1 } ] }\n',
		messages: [
			'x.yaml:1:126: bgp.peers[0].ttlSecurityHops: found 1, expected only one of multihopTtl and ttlSecurityHops, group included',
		],
	},
	{
		title: 'two peers of one address',
		text: 'bgp: { asNumber: 1, peers: [ { address: 10.0.0.1, asNumber: 1 }, { name: b, address: 10.0.0.1, asNumber: 1 } ] }\n',
		messages: [
			"x.yaml:1:86: bgp.peers[1].address: found '10.0.0.1', expected another address: '10.0.0.1' is peers[0]'s",
		],
	},
	{
		title: 'a tunnel for IPv6',
		text: `${minimal}pools: [ { cidr: 'fd00::/48' } ]\n`,
		messages: [
			'x.yaml:2:10: pools[0]: found a map, expected ipipMode: Never for an IPv6 pool: IP-in-IP carries IPv4 alone',
		],
	},
	{
		title: 'an alias without an anchor',
		text: 'bgp: { asNumber: *as }\n',
		messages: [
			'x.yaml: found a YAML error (Unresolved alias (the anchor must be set before the alias): as), expected YAML',
		],
	},
	{
		title: 'broken YAML',
		text: 'bgp: { asNumber: 1\n',
		messages: [
			'x.yaml:2:1: found a YAML error (Flow map in block collection must be sufficiently indented and end with a }), expected YAML',
		],
	},
];
for (const { title, text, messages } of mistakes) {
	test(`${title} is reported with its place`, (t) => {
		const error = t.throws(() => parseConfig(text, 'x.yaml'), { instanceOf: ConfigError });
		t.deepEqual(error?.message.split('\n'), messages);
	});
}

test('every mistake is reported at once, in the order of the file', (t) => {
	const error = t.throws(
		() => parseConfig('fib: { enabled: 1 }\nbgp: { asNumber: 0, peers: [ { address: x } ] }\n', 'x.yaml'),
		{ instanceOf: ConfigError },
	);
	t.deepEqual(
		error?.problems.map(({ line, key }) => [line, key]),
		[
			[1, 'fib.enabled'],
			[2, 'bgp.asNumber'],
			[2, 'bgp.peers[0].address'],
		],
	);
});

const example = readFileSync(resolve(dirname(fileURLToPath(import.meta.url)), '../../../config/bgpmeshd.yaml'), 'utf8');
/** The example with a few spans replaced by text that YAML or the schema may reject. */
const damaged = fc
	.array(
		fc.tuple(
			fc.nat(example.length),
			fc.nat(12),
			fc.constantFrom(
				'',
				' ',
				'\n',
				'{',
				']',
				':',
				'- ',
				'0',
				'-1',
				'1.5',
				'null',
				'&a',
				'*a',
				'"',
				'!!int',
				'\u0000',
				'x: y\n',
				'__proto__: 1\n',
				'10.0.0.0/8',
			),
		),
		{ minLength: 1, maxLength: 4 },
	)
	.map((edits) =>
		edits.reduce((text, [at, length, put]) => text.slice(0, at) + put + text.slice(at + length), example),
	);

test('any file is a configuration or a ConfigError whose places are in the file', (t) => {
	const counts = { usable: 0, refused: 0 };
	fc.assert(
		fc.property(damaged, (text) => {
			try {
				parseConfig(text, 'x.yaml');
				counts.usable++;
			} catch (error) {
				if (!(error instanceof ConfigError)) throw error;
				counts.refused++;
				const lines = text.split('\n').length;
				return (
					error.problems.length > 0 &&
					error.problems.every(({ line, expected }) => line >= 0 && line <= lines + 1 && expected !== '')
				);
			}
			return true;
		}),
		{ numRuns: 300 },
	);
	t.true(counts.usable > 0 && counts.refused > 0, JSON.stringify(counts));
});

test('peers are identified by address, port and, for link-local addresses, by device', (t) => {
	const peers = [
		'{ address: fe80::1, device: eth0, asNumber: 65001 }',
		'{ address: fe80::1, device: eth1, asNumber: 65001 }',
		'{ address: 10.0.1.9, asNumber: 65001 }',
		'{ name: second, address: 10.0.1.9, port: 1179, asNumber: 65001 }',
	];
	const { bgp } = parseConfig(`bgp: { asNumber: 64512, peers: [ ${peers.join(', ')} ] }\n`, 'x.yaml');
	t.deepEqual(
		bgp?.peers.map(({ name }) => name),
		['fe80::1%eth0', 'fe80::1%eth1', '10.0.1.9', 'second'],
	);
	const again = '{ name: again, address: fe80::1, device: eth0, asNumber: 65001 }';
	const error = t.throws(() => parseConfig(`bgp: { asNumber: 64512, peers: [ ${peers[0]}, ${again} ] }\n`, 'x.yaml'));
	t.regex(error?.message ?? '', /'fe80::1%eth0' is peers\[0\]'s/);
});
