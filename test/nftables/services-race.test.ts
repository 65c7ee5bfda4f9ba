import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import test from 'ava';
import { loadRuleset, systemEnvironment } from '../../src/linux/index.ts';
import { NftablesServices, servicesTable } from '../../src/nftables/index.ts';
import { resolveSettings, ServicesState } from '../../src/services/index.ts';
import { enterNewNamespace, ip, noNamespaces } from '../support/namespace.ts';

if (noNamespaces !== undefined) console.warn(`SKIPPED: Services that change under packets: ${noNamespaces}`);
const namespaceTest = noNamespaces === undefined ? test.serial : test.skip;

/** A longer run finds rarer events. */
const changesOfRun = Number(process.env['BGPMESH_RACE_CHANGES'] ?? 200);

const nft = (...words: string[]): string => execFileSync('nft', words, { encoding: 'utf8', env: systemEnvironment() });

/**
 * Rules that match nothing, between the choice of the way and that of the backend: the time between
 * both look-ups becomes long enough that many packets meet a commit there.
 */
function slowDown(): void {
	const rules = Array.from({ length: 2000 }, () => '\t\tmeta mark 0xdead accept').join('\n');
	const chains = nft('list', 'table', 'inet', servicesTable).matchAll(/chain (dn-\w+) \{/g);
	const inserts = [...chains].flatMap(([, chain]) =>
		Array.from({ length: 10 }, () => `insert rule inet ${servicesTable} ${chain} jump slow`),
	);
	execFileSync('nft', ['-f', '-'], {
		input: `table inet ${servicesTable} {\n\tchain slow {\n${rules}\n\t}\n}\n${inserts.join('\n')}\n`,
		env: systemEnvironment(),
	});
}

/** Begins UDP flows without pause until it is ended. */
const sender = `
const dgram = require('node:dgram');
const more = () => {
	const socket = dgram.createSocket('udp4');
	socket.on('error', () => undefined);
	socket.send('x', 80, '172.30.0.1', () => socket.close(() => setImmediate(more)));
};
for (let index = 0; index < 8; index++) more();
`;

const settings = resolveSettings(
	{ podRanges: [], serviceRanges: [], masqueradeAll: false, nodePortAddresses: 'primary' },
	['192.168.0.2'],
);

namespaceTest('no connection is rejected while the number of endpoints of a Service changes', async (t) => {
	t.timeout(120_000);
	enterNewNamespace();
	for (const words of ['link set lo up', 'addr add 192.168.0.2/32 dev lo', 'route add default dev lo']) ip(words);
	const state = new ServicesState({ node: { name: 'node-a', primary: { ipv4: '192.168.0.2' } }, settings });
	state.setService({
		metadata: { name: 'web', namespace: 'ns' },
		spec: { clusterIP: '172.30.0.1', clusterIPs: ['172.30.0.1'], ports: [{ name: 'p', port: 80, protocol: 'UDP' }] },
	});
	const setEndpoints = (count: number) =>
		state.setSlice({
			metadata: { name: 'web-1', namespace: 'ns', labels: { 'kubernetes.io/service-name': 'web' } },
			addressType: 'IPv4',
			endpoints: Array.from({ length: count }, (_, index) => ({ addresses: [`127.0.0.${index + 2}`] })),
			ports: [{ name: 'p', port: 8080, protocol: 'UDP' }],
		});
	const kernel = new NftablesServices({ load: loadRuleset });
	t.teardown(() => kernel.close());
	setEndpoints(1);
	state.settle();
	await kernel.sync(state.model);
	const change = async (count: number) => {
		setEndpoints(count);
		await kernel.apply(state.settle(), state.model);
	};
	for (const count of [2, 3]) await change(count);
	slowDown();
	const load = spawn(process.execPath, ['-e', sender], { stdio: ['ignore', 'ignore', 'inherit'] });
	t.teardown(() => load.kill());
	for (let turn = 0; (await kernel.outcomes()).translated === 0 && turn < 300; turn++) await pause(100);
	for (let turn = 0; turn < changesOfRun; turn++) {
		await change(1 + (turn % 3));
		await pause(1);
	}
	load.kill();
	await once(load, 'close');
	const { translated, rejected } = await kernel.outcomes();
	t.log(`${translated} flows during ${changesOfRun} changes`);
	t.true(translated > changesOfRun, 'flows began between the changes');
	t.is(rejected, 0);
});
