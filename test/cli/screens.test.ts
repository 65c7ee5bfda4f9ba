import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { fibDiffScreen, fibScreen } from '../../src/cli/render/fib.ts';
import { renderGarbage, renderPools } from '../../src/cli/render/ipam.ts';
import { renderLint } from '../../src/cli/render/lint.ts';
import { renderEvent } from '../../src/cli/render/monitor.ts';
import { inOrder } from '../../src/cli/render/order.ts';
import { peersScreen, renderPeer } from '../../src/cli/render/peers.ts';
import {
	policyEndpointsScreen,
	policyStatusScreen,
	renderDrop,
	renderPlan,
	renderPolicyEndpoint,
	renderTrace,
} from '../../src/cli/render/policy.ts';
import { renderReload } from '../../src/cli/render/reload.ts';
import { renderExplanation, routesScreen } from '../../src/cli/render/routes.ts';
import { duration, type Screen, wholeScreen } from '../../src/cli/render/screen.ts';
import { renderService, servicesScreen } from '../../src/cli/render/services.ts';
import { renderStatus } from '../../src/cli/render/status.ts';
import { prefixKey } from '../../src/core/index.ts';
import { policyDrop, policyEndpoints, policyPlan, policyRest, policyRows, policyTrace } from './policy-views.ts';
import { dns, servicesRest, web } from './service-views.ts';
import { explanation, fib, nowMs, peers, routes, status, tor } from './views.ts';

const folder = resolve(dirname(fileURLToPath(import.meta.url)), '../../../test/cli/golden');
const plain: Screen = { colours: false, nowMs };
const coloured: Screen = { colours: true, nowMs };

const screens: Readonly<Record<string, string>> = {
	status: renderStatus(plain, status),
	'status-fib-off': renderStatus(plain, { ...status, fib: { ...status.fib, enabled: false }, problems: [] }),
	'status-next-hops': renderStatus(plain, {
		...status,
		nextHops: { tracked: 9, unreachable: ['10.0.9.1', '10.0.9.2', '10.0.9.3', '10.0.9.4', '10.0.9.5', 'fd00::9'] },
	}),
	peers: wholeScreen(peersScreen(plain), peers, undefined),
	'peers-coloured': wholeScreen(peersScreen(coloured), peers, undefined),
	'peers-none': wholeScreen(peersScreen(plain), [], undefined),
	peer: renderPeer(plain, tor),
	'peer-problem': renderPeer(plain, peers.find(({ problems }) => problems !== undefined) ?? tor),
	routes: wholeScreen(routesScreen(plain), routes, { truncated: true }),
	'routes-none': wholeScreen(routesScreen(plain), [], { truncated: false }),
	explain: renderExplanation(plain, explanation),
	'explain-address': renderExplanation(plain, {
		...explanation,
		paths: explanation.paths.map((path) => ({
			...path,
			importedBy: { policy: 'tor-in', term: 'pods', action: path.ineligible === undefined ? 'accept' : 'reject' },
		})),
		announced: {
			to: ['node-b', 'node-c'],
			withheld: [
				{ reason: 'the best path is its own (split horizon)', peers: ['tor'] },
				{ reason: 'rejected by export policy edge, term no-tens', peers: ['edge-1', 'edge-2'] },
			],
		},
		notes: ['further ipv4 prefixes of tor are not taken: its limit is 100'],
		kernel: [
			{
				prefix: explanation.prefix,
				type: 'unicast',
				via: '10.0.1.3',
				device: 'tunl0',
				onlink: true,
				metric: 1024,
				state: 'failed',
				reason: 'Operation not supported (EOPNOTSUPP)',
			},
		],
		passedOver: [
			{
				prefix: prefixKey('192.168.3.7/32'),
				paths: explanation.paths.slice(-1).map((path) => ({ ...path, ineligible: 'NEXT_HOP is unreachable' })),
			},
		],
		address: {
			address: '192.168.3.7',
			pool: '192.168.0.0/16',
			block: '192.168.3.0/26',
			node: 'node-c',
			pod: 'shop/cart-1',
		},
	}),
	fib: wholeScreen(fibScreen(plain), fib.routes, fib),
	'fib-diff': wholeScreen(fibDiffScreen(plain), fib.routes, fib),
	'fib-off': wholeScreen(fibScreen(plain), [], { ...fib, enabled: false }),
	services: wholeScreen(servicesScreen(plain), [web, dns], servicesRest),
	'services-refused': wholeScreen(servicesScreen(plain), [], {
		mode: 'off',
		inSync: false,
		ranges: [],
		refusal: { seen: ['nftables table ip kube-proxy'], hint: 'run: bgpmesh services takeover' },
	}),
	service: renderService(plain, web),
	'policy-status': wholeScreen(policyStatusScreen(plain), policyRows, policyRest),
	'policy-endpoints': wholeScreen(policyEndpointsScreen(plain), policyEndpoints, {}),
	'policy-endpoint': policyEndpoints.map((endpoint) => renderPolicyEndpoint(plain, endpoint)).join('\n'),
	'policy-trace': renderTrace(plain, policyTrace),
	'policy-plan': renderPlan(plain, policyPlan),
	'policy-drop': renderDrop(plain, policyDrop),
	'reload-dry-run': renderReload(plain, {
		file: '/etc/bgpmesh/bgpmeshd.yaml',
		dryRun: true,
		resets: ['tor'],
		changes: [
			{ change: 'added', what: 'peer', name: 'node-e', effect: 'live', keys: [] },
			{ change: 'removed', what: 'peer', name: 'node-d', effect: 'reset', keys: [] },
			{
				change: 'changed',
				what: 'peer',
				name: 'tor',
				effect: 'reset',
				keys: [
					{
						key: 'holdTimeSeconds',
						effect: 'reset',
						from: 90,
						to: 30,
						why: 'resets the session: OPEN carries it, once per session',
					},
					{
						key: 'description',
						effect: 'live',
						from: undefined,
						to: 'the top of the rack, on the left as one comes in',
					},
				],
			},
			{
				change: 'changed',
				what: 'setting',
				name: 'bgp.asNumber',
				effect: 'restart',
				keys: [{ key: 'bgp.asNumber', effect: 'restart', from: 64512, to: 64513 }],
			},
			{
				change: 'changed',
				what: 'policy',
				name: 'tor-in',
				effect: 'routes',
				keys: [{ key: 'otherwise', effect: 'routes', from: 'reject', to: 'accept' }],
			},
		],
	}),
	lint: renderLint(plain, {
		checked: { nodes: 4, pools: 2, peers: 1, filters: 0 },
		findings: [
			{
				severity: 'error',
				rule: 'overlapping-pools',
				subject: 'IPPool pods',
				problem: '192.168.0.0/16 overlaps 192.168.128.0/17 of IPPool more',
				hint: 'an address must be of one pool: remove one of them',
			},
			{
				severity: 'warning',
				rule: 'no-address',
				subject: 'Node c',
				problem: 'it has no IPv4 address for BGP',
				hint: 'does bgpmeshd run there?',
			},
		],
	}),
	garbage: renderGarbage(plain, {
		collector: 'waiting',
		reason: 'node node-b holds the lease kube-system/bgpmesh-ipam-garbage-collector',
		graceSeconds: 900,
		leaks: [
			{
				handleId: 'k8s-pod-network.4f',
				addresses: ['192.168.1.7', 'fd00::7'],
				reason: 'pod default/web does not exist',
				since: '2026-01-02T09:58:03.123Z',
			},
		],
		claims: [
			{
				node: 'node-x',
				cidr: '192.168.9.0/26',
				reason: 'node node-x does not exist',
				since: '2026-01-02T09:50:00.000Z',
			},
		],
		handles: [{ handleId: 'k8s-pod-network.99', since: '2026-01-02T09:58:03.123Z' }],
	}),
	'garbage-none': renderGarbage(plain, {
		collector: 'running',
		graceSeconds: 60,
		leaks: [],
		claims: [],
		handles: [],
		collected: { addresses: 1, claims: 0, handles: 2, spared: 0 },
	}),
	pools: renderPools(plain, {
		pools: [
			{
				name: 'full',
				cidr: '10.0.0.0/24',
				blockSize: 26,
				blocks: { total: 4, claimed: 4 },
				addresses: { total: 256, used: 255, cooling: 1, borrowed: 3 },
				fragmentation: 0,
				exhaustedInDays: 0,
			},
			{
				name: 'six',
				cidr: 'fd00::/64',
				blockSize: 122,
				blocks: { total: 2 ** 58, claimed: 2 },
				addresses: { total: 2 ** 64, used: 90, cooling: 0, borrowed: 0 },
				fragmentation: 0.3,
			},
			{
				name: 'unused',
				cidr: '10.1.0.0/16',
				blockSize: 26,
				blocks: { total: 1024, claimed: 0 },
				addresses: { total: 65_536, used: 0, cooling: 0, borrowed: 0 },
				fragmentation: 0,
			},
		],
	}),
	'lint-nothing': renderLint(plain, { checked: { nodes: 1, pools: 1, peers: 0, filters: 0 }, findings: [] }),
	'reload-nothing': renderReload(plain, { file: '/etc/bgpmesh/bgpmeshd.yaml', dryRun: false, changes: [], resets: [] }),
	monitor: [
		renderEvent(plain, {
			type: 'session',
			at: '2026-01-02T12:00:00.000Z',
			event: 'established',
			peer: 'tor',
			state: 'established',
		}),
		renderEvent(plain, {
			type: 'session',
			at: '2026-01-02T12:00:01.000Z',
			event: 'state',
			peer: 'tor',
			state: 'idle',
			reason: 'peer says: "bye\n"',
		}),
		renderEvent(plain, {
			type: 'route',
			at: '2026-01-02T12:00:01.000Z',
			change: 'install',
			prefix: '10.0.0.0/8',
			nextHop: '10.0.1.1',
			peer: 'tor',
		}),
		renderEvent(plain, { type: 'route', at: '2026-01-02T12:00:01.000Z', change: 'remove', prefix: '10.0.0.0/8' }),
		renderEvent(plain, { type: 'config', at: '2026-01-02T12:00:02.000Z', event: 'reloaded', message: '2 changes' }),
		renderEvent(plain, { type: 'lost', at: '2026-01-02T12:00:03.000Z', count: 12 }),
	].join(''),
};

for (const [name, screen] of Object.entries(screens)) {
	test(`the screen ${name} has its expected text`, (t) => {
		const file = join(folder, `${name}.txt`);
		if (process.env['UPDATE_GOLDEN'] === '1') {
			mkdirSync(folder, { recursive: true });
			writeFileSync(file, screen);
		}
		t.true(existsSync(file), `${file} is missing: UPDATE_GOLDEN=1 writes it`);
		t.is(screen, readFileSync(file, 'utf8'));
	});
}

test('two unknown capabilities are two lines', (t) => {
	const screen = renderPeer(plain, {
		...tor,
		capabilities: { sent: [], received: ['unknown 200', 'unknown 201'], negotiated: [] },
	});
	t.regex(screen, /unknown 200\n.*unknown 201\n/);
});

test('text of a peer never reaches the terminal as a control sequence', (t) => {
	// biome-ignore lint/suspicious/noControlCharactersInRegex: the test looks for control characters.
	const control = /[\u0000-\u0009\u000b-\u001f\u007f]/;
	for (const [name, screen] of Object.entries(screens))
		if (name !== 'peers-coloured') t.notRegex(screen, control, name);
});

test('rows are in the order of their prefixes, numbers as numbers', (t) => {
	const prefixes = ['fd00::/64', '10.10.0.0/16', '9.0.0.0/8', '10.2.0.0/16', '10.2.0.0/24', '::/0', '0.0.0.0/0'].map(
		(text) => ({ prefix: prefixKey(text) }),
	);
	t.deepEqual(
		inOrder(prefixes).map(({ prefix }) => String(prefix)),
		['0.0.0.0/0', '9.0.0.0/8', '10.2.0.0/16', '10.2.0.0/24', '10.10.0.0/16', '::/0', 'fd00::/64'],
	);
});

const durations = [
	{ seconds: 0, text: '00:00:00' },
	{ seconds: 3_723, text: '01:02:03' },
	{ seconds: 86_399, text: '23:59:59' },
	{ seconds: 86_400, text: '1d00h00m' },
	{ seconds: 14 * 86_400 - 1, text: '13d23h59m' },
	{ seconds: 17 * 86_400, text: '2w3d' },
	{ seconds: -5, text: '00:00:00' },
];
for (const { seconds, text } of durations) test(`${seconds} seconds are ${text}`, (t) => t.is(duration(seconds), text));

for (const { octets, shown } of [
	{ octets: 32, shown: `data ${'ab'.repeat(32)}` },
	{ octets: 5000, shown: `data ${'ab'.repeat(32)}... (5000 octets)` },
]) {
	test(`of ${octets} octets in a NOTIFICATION the screen shows those that fit`, (t) => {
		const lastNotificationReceived = {
			at: '2026-01-01T07:00:00.000Z',
			code: 3,
			subcode: 2,
			name: 'UPDATE Message Error',
			dataHex: 'ab'.repeat(octets),
		};
		const line = renderPeer(plain, { ...tor, lastNotificationReceived })
			.split('\n')
			.find((text) => text.startsWith('NOTIFICATION received'));
		t.true(line?.endsWith(` ${shown}`), line);
	});
}

const manyRoutes = function* (count: number) {
	const [route] = routes;
	if (route === undefined) return;
	for (let number = 0; number < count; number++) {
		const prefix = prefixKey(`10.${number >> 16}.${(number >> 8) & 255}.${number & 255}/32`);
		yield { ...route, prefix, peer: number === count - 1 ? 'a-peer-with-a-longer-name' : 'tor' };
	}
};
const [example] = routes;

test('a table of any length is written in pages, each row once', (t) => {
	const screen = routesScreen(plain);
	const pages: string[] = [];
	for (const route of manyRoutes(150_000)) {
		const text = screen.add(route);
		if (text !== '') pages.push(text);
	}
	pages.push(screen.end({ truncated: false }));
	t.true(pages.length > 100);
	t.true(Math.max(...pages.map((page) => page.length)) < 3 << 20, 'no page holds more than the first rows');
	const lines = pages.join('').split('\n');
	t.is(lines.filter((line) => line.includes('/32')).length, 150_000);
	t.is(lines.filter((line) => line.includes('PREFIX')).length, 1, 'one line of titles');
	t.true(lines.includes('150000 paths to 150000 prefixes'));
});

test('on a terminal lines fit, and truncation is marked', (t) => {
	const wide = wholeScreen(routesScreen(plain), routes, { truncated: false });
	t.true(Math.max(...wide.split('\n').map((line) => line.length)) > 100);
	for (const columns of [60, 80, 100]) {
		const text = wholeScreen(routesScreen({ ...plain, columns }), routes, { truncated: false });
		const rows = text.split('\n').slice(0, routes.length + 1);
		const longest = Math.max(...rows.map((line) => [...line].length));
		const least = 12 * (rows[0]?.split(/ {2,}/).length ?? 0) + 30;
		t.true(longest <= Math.max(columns, least), `${columns}: ${longest}`);
		t.true(text.includes('…'));
	}
});

test('a column that has content only on a later page appears there, with its title', (t) => {
	if (example === undefined) return t.fail();
	const { med: _, ...without } = example;
	const screen = routesScreen(plain);
	let text = '';
	for (let number = 0; number < 20_000; number++) text += screen.add(without);
	t.false(text.includes('MED'));
	text = screen.add({ ...without, med: 4711 }) + screen.end({ truncated: false });
	t.regex(text, /^\n.*PREFIX.*MED.*\n.*4711/);
});
