import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { renderFib, renderFibDiff } from '../../src/cli/render/fib.ts';
import { renderGarbage, renderPools } from '../../src/cli/render/ipam.ts';
import { renderLint } from '../../src/cli/render/lint.ts';
import { renderEvent } from '../../src/cli/render/monitor.ts';
import { inOrder } from '../../src/cli/render/order.ts';
import { renderPeer, renderPeers } from '../../src/cli/render/peers.ts';
import { renderReload } from '../../src/cli/render/reload.ts';
import { renderExplanation, renderRoutes } from '../../src/cli/render/routes.ts';
import { duration, type Screen } from '../../src/cli/render/screen.ts';
import { renderStatus } from '../../src/cli/render/status.ts';
import { prefixKey } from '../../src/core/index.ts';
import { explanation, fib, nowMs, peers, routes, status, tor } from './views.ts';

const folder = resolve(dirname(fileURLToPath(import.meta.url)), '../../../test/cli/golden');
const plain: Screen = { colours: false, nowMs };
const coloured: Screen = { colours: true, nowMs };

const screens: Readonly<Record<string, string>> = {
	status: renderStatus(plain, status),
	'status-fib-off': renderStatus(plain, { ...status, fib: { ...status.fib, enabled: false }, warnings: [] }),
	'status-next-hops': renderStatus(plain, {
		...status,
		nextHops: { tracked: 9, unreachable: ['10.0.9.1', '10.0.9.2', '10.0.9.3', '10.0.9.4', '10.0.9.5', 'fd00::9'] },
	}),
	peers: renderPeers(plain, peers),
	'peers-coloured': renderPeers(coloured, peers),
	'peers-none': renderPeers(plain, []),
	peer: renderPeer(plain, tor),
	routes: renderRoutes(plain, routes, true),
	'routes-none': renderRoutes(plain, [], false),
	explain: renderExplanation(plain, explanation),
	fib: renderFib(plain, fib),
	'fib-diff': renderFibDiff(plain, fib),
	'fib-off': renderFib(plain, { ...fib, enabled: false }),
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
					{ key: 'holdTimeSeconds', effect: 'reset', from: 90, to: 30, why: 'resets the session: it is said in OPEN, once per session' },
					{ key: 'description', effect: 'live', from: undefined, to: 'the top of the rack, on the left as one comes in' },
				],
			},
			{
				change: 'changed',
				what: 'setting',
				name: 'bgp.asNumber',
				effect: 'restart',
				keys: [{ key: 'bgp.asNumber', effect: 'restart', from: 64512, to: 64513 }],
			},
			{ change: 'changed', what: 'policy', name: 'tor-in', effect: 'routes', keys: [{ key: 'otherwise', effect: 'routes', from: 'reject', to: 'accept' }] },
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
			{ severity: 'warning', rule: 'no-address', subject: 'Node c', problem: 'it has no IPv4 address for BGP', hint: 'does bgpmeshd run there?' },
		],
	}),
	garbage: renderGarbage(plain, {
		collector: 'waiting',
		reason: 'node node-b holds the lease kube-system/bgpmesh-ipam-garbage-collector',
		graceSeconds: 900,
		leaks: [
			{ handleId: 'k8s-pod-network.4f', addresses: ['192.168.1.7', 'fd00::7'], reason: 'pod default/web does not exist', since: '2026-01-02T09:58:03.123Z' },
		],
		claims: [{ node: 'node-x', cidr: '192.168.9.0/26', reason: 'node node-x does not exist', since: '2026-01-02T09:50:00.000Z' }],
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
		renderEvent(plain, { type: 'session', at: '2026-01-02T12:00:00.000Z', event: 'established', peer: 'tor', state: 'established' }),
		renderEvent(plain, { type: 'session', at: '2026-01-02T12:00:01.000Z', event: 'state', peer: 'tor', state: 'idle', reason: 'peer says: "bye\n"' }),
		renderEvent(plain, { type: 'route', at: '2026-01-02T12:00:01.000Z', change: 'install', prefix: '10.0.0.0/8', nextHop: '10.0.1.1', peer: 'tor' }),
		renderEvent(plain, { type: 'route', at: '2026-01-02T12:00:01.000Z', change: 'remove', prefix: '10.0.0.0/8' }),
		renderEvent(plain, { type: 'config', at: '2026-01-02T12:00:02.000Z', event: 'reloaded', message: '2 changes' }),
		renderEvent(plain, { type: 'lost', at: '2026-01-02T12:00:03.000Z', count: 12 }),
	].join(''),
};

for (const [name, screen] of Object.entries(screens)) {
	test(`the screen ${name} is as it was agreed`, (t) => {
		const file = join(folder, `${name}.txt`);
		if (process.env['UPDATE_GOLDEN'] === '1') {
			mkdirSync(folder, { recursive: true });
			writeFileSync(file, screen);
		}
		t.true(existsSync(file), `${file} is missing: UPDATE_GOLDEN=1 writes it`);
		t.is(screen, readFileSync(file, 'utf8'));
	});
}

test('two capabilities that are not known are two lines', (t) => {
	const screen = renderPeer(plain, { ...tor, capabilities: { sent: [], received: ['unknown 200', 'unknown 201'], negotiated: [] } });
	t.regex(screen, /unknown 200\n.*unknown 201\n/);
});

test('nothing that a peer says reaches the terminal as a command', (t) => {
	// biome-ignore lint/suspicious/noControlCharactersInRegex: the test is about them.
	for (const [name, screen] of Object.entries(screens)) if (name !== 'peers-coloured') t.notRegex(screen, /[\u0000-\u0009\u000b-\u001f\u007f]/, name);
});

test('rows are in the order of their prefixes, numbers as numbers', (t) => {
	const prefixes = ['fd00::/64', '10.10.0.0/16', '9.0.0.0/8', '10.2.0.0/16', '10.2.0.0/24', '::/0', '0.0.0.0/0'].map((text) => ({ prefix: prefixKey(text) }));
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
	test(`of ${octets} octets in a NOTIFICATION there is on the screen what there is room for`, (t) => {
		const lastNotificationReceived = { at: '2026-01-01T07:00:00.000Z', code: 3, subcode: 2, name: 'UPDATE Message Error', dataHex: 'ab'.repeat(octets) };
		const line = renderPeer(plain, { ...tor, lastNotificationReceived })
			.split('\n')
			.find((text) => text.startsWith('NOTIFICATION received'));
		t.true(line?.endsWith(` ${shown}`), line);
	});
}
