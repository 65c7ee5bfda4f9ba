import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { parseConfiguration } from '../../src/cni/configuration.ts';
import type { AskDaemon } from '../../src/cni/daemon.ts';
import { parseEnvironment } from '../../src/cni/environment.ts';
import { runPlugin } from '../../src/cni/plugin.ts';
import { NoDaemonError } from '../../src/control/index.ts';

const environment = (command: string, more: Record<string, string> = {}) =>
	parseEnvironment({
		CNI_COMMAND: command,
		CNI_CONTAINERID: 'c1',
		CNI_IFNAME: 'eth0',
		CNI_NETNS: '/run/netns/p',
		CNI_ARGS: 'K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;IgnoreUnknown=1',
		...more,
	});
const configuration = (more: object = {}) =>
	parseConfiguration(JSON.stringify({ cniVersion: '1.0.0', name: 'pods', type: 'bgpmesh', ...more }));

const grants = [
	{ family: 'ipv4', address: '192.168.1.1', block: '192.168.1.0/26' },
	{ family: 'ipv6', address: 'fd00::1', block: 'fd00::/122' },
] as const;

/** Records requests, and responds to ADD. */
function daemon(): { readonly asked: [string, unknown][]; readonly ask: AskDaemon } {
	const asked: [string, unknown][] = [];
	const made = { hostName: 'cali0d7763386da', mac: '02:00:00:00:00:01', mtuBytes: 1480 };
	const ask: AskDaemon = async (name, parameters) => {
		asked.push([name, (parameters as { readonly request?: unknown }).request]);
		return { addresses: grants, interface: made } as never;
	};
	return { asked, ask };
}

test('ADD as the main plugin: both ends of the veth, and addresses on the end in the pod', async (t) => {
	const { asked, ask } = daemon();
	const config = configuration({ mtu: 1400, runtimeConfig: { mac: '02:00:00:00:00:01' } });
	t.deepEqual(await runPlugin(environment('ADD'), config, ask), {
		cniVersion: '1.0.0',
		interfaces: [{ name: 'cali0d7763386da' }, { name: 'eth0', mac: '02:00:00:00:00:01', sandbox: '/run/netns/p' }],
		ips: [
			{ address: '192.168.1.1/32', interface: 1 },
			{ address: 'fd00::1/128', interface: 1 },
		],
		routes: [],
		dns: {},
	});
	const [[name, request] = ['', {}]] = asked;
	t.is(name, 'cniAdd');
	t.deepEqual((request as { readonly interface: unknown }).interface, {
		namespace: '/run/netns/p',
		mtuBytes: 1400,
		mac: '02:00:00:00:00:01',
	});
});

test('ADD in version 0.4.0 names the family of each address', async (t) => {
	const result = await runPlugin(environment('ADD'), configuration({ cniVersion: '0.4.0' }), daemon().ask);
	t.deepEqual(
		(result as { readonly ips: readonly { readonly version: string }[] }).ips.map(({ version }) => version),
		['4', '6'],
	);
});

test('under another main plugin the request has no interface', async (t) => {
	const { asked, ask } = daemon();
	await runPlugin(environment('ADD'), configuration({ type: 'ptp', ipam: { type: 'bgpmesh-ipam' } }), ask);
	const [[, request] = ['', {}]] = asked;
	t.false(Object.hasOwn(request as object, 'interface'));
});

const bad: readonly [string, object, RegExp][] = [
	['an MTU that is not a number', { mtu: '1500' }, /mtu is "1500"/],
	['a negative MTU', { mtu: -1 }, /mtu is -1/],
	['an invalid hardware address', { args: { cni: { mac: 'x' } } }, /mac is "x"/],
];
for (const [title, more, expected] of bad)
	test(`refused: ${title}`, async (t) => {
		await t.throwsAsync(async () => runPlugin(environment('ADD'), configuration(more), daemon().ask), {
			message: expected,
		});
	});

test("DEL without a daemon succeeds, and stores the release on disk for the daemon's next start", async (t) => {
	const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-release-'));
	const noDaemon: AskDaemon = async () => {
		throw new NoDaemonError('/run/none', 'ENOENT');
	};
	const config = configuration({ release_directory: folder });
	t.is(await runPlugin(environment('DEL', { CNI_NETNS: '' }), config, noDaemon), undefined);
	const [file = ''] = readdirSync(folder);
	t.is(file, 'pods.c1.eth0.release.json');
	t.deepEqual(JSON.parse(readFileSync(join(folder, file), 'utf8')), {
		network: 'pods',
		containerId: 'c1',
		ifname: 'eth0',
		pod: { name: 'web-0', namespace: 'default' },
	});
	const ipam = configuration({ type: 'ptp', ipam: { type: 'bgpmesh-ipam' } });
	await t.throwsAsync(async () => runPlugin(environment('DEL'), ipam, noDaemon), { message: /no daemon/i });
});
