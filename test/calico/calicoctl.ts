import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestFn } from 'ava';
import { silentLogger, systemClock } from '../../src/core/index.ts';
import { Allocator, conflictRetry } from '../../src/ipam/index.ts';
import { calicoKinds, coreKinds, selectorMatches } from '../../src/kubernetes/index.ts';
import { connect, kubeconfig } from '../kubernetes/contract/cluster.ts';
import type { ServerUnderTest } from '../kubernetes/contract/transcript.ts';
import { followedStore } from '../support/followed-store.ts';
import { calicoctl } from './calico.ts';
import { kindsOfCalicoctl, resources } from './resources.ts';

const golden = join(resolve(dirname(fileURLToPath(import.meta.url)), '../../..'), 'test/calico/golden/calicoctl.txt');
const layout = 'crd.projectcalico.org/v1';
const kinds = calicoKinds(layout);
const file = ['-f', '-'] as const;

/** The commands, in this order; a second element is standard input. */
const steps: readonly (readonly [arguments: readonly string[], input?: string])[] = [
	[['create', ...file], resources],
	[['create', ...file], resources],
	[['apply', ...file], resources],
	[['replace', ...file], resources],
	[['patch', 'ippool', 'ctl-four', '-p', '{"spec":{"natOutgoing":false}}']],
	[['patch', 'ippool', 'ctl-four', '-p', '{"spec":{"cidr":"10.61.0.0/16"}}']],
	[['patch', 'bgpconfig', 'default', '-p', '{"spec":{"asNumber":64514}}']],
	[['patch', 'bgppeer', 'ctl', '-p', '{"spec":{"node":"ctl"}}']],
	[
		[
			'patch',
			'node',
			'ctl',
			'-p',
			'{"spec":{"bgp":{"asNumber":64514,"ipv4Address":"192.0.2.7/24","routeReflectorClusterID":"1.0.0.1"}}}',
		],
	],
	[['label', 'nodes', 'ctl', 'color=red']],
	[['label', 'ippool', 'ctl-four', 'color=red']],
	[['label', 'ippool', 'ctl-four', 'color=green', '--overwrite']],
	[['label', 'ippool', 'ctl-four', 'a', '--remove']],
	...kindsOfCalicoctl.map((kind) => [['get', kind, '-o', 'yaml']] as const),
	...['ippools', 'bgppeers', 'bgpconfigurations', 'nodes'].map((kind) => [['get', kind, '-o', 'wide']] as const),
	[['get', 'ippool', 'ctl-four', '-o', 'yaml']],
	[['get', 'ippool', 'none']],
	[['get', 'networkpolicy', '--all-namespaces']],
	[['ipam', 'show', '--show-blocks']],
	[['ipam', 'show', '--show-configuration']],
	[['ipam', 'check']],
	[['ipam', 'split', '--cidr=10.60.0.0/16', '4']],
	[['datastore', 'migrate', 'lock']],
	[['ipam', 'split', '--cidr=10.60.0.0/16', '4']],
	[['datastore', 'migrate', 'unlock']],
	[['get', 'ippools', '-o', 'wide']],
	[['delete', ...file], resources],
	[['delete', ...file, '--skip-not-exists'], resources],
	[['delete', 'ippool', 'split-ctl-four-0', 'split-ctl-four-1', 'split-ctl-four-2', 'split-ctl-four-3']],
	[['get', 'ippools']],
];

/** Values that differ between runs are replaced by a name. */
const settled = (output: string): string =>
	output
		.replace(/resourceVersion: .*/g, 'resourceVersion: R')
		.replace(/\d{4}-\d{2}-\d{2}T[\d:]+Z/g, 'T')
		.replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'U')
		.replace(/[0-9a-f]{32}/g, 'G')
		.replace(/[ \t]+$/gm, '');

/** Calico's own command on a server; every server must produce the same output. */
export function testCalicoctl(test: TestFn, getServer: () => ServerUnderTest, folder: string): void {
	test.serial(
		'calicoctl creates, applies, replaces, patches, labels, shows and deletes every kind, with the same output as on a kube-apiserver',
		async (t) => {
			const api = await connect(getServer(), folder);
			await api.create(coreKinds.nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'ctl' } });
			const config = kubeconfig(getServer(), folder);
			let said = '';
			for (const [given, input] of steps) {
				const { code, stdout, stderr } = await calicoctl(config, given, input);
				said += settled(
					`$ calicoctl ${given.join(' ')}\n${stdout}${stderr}${code === 0 ? '' : `exit code ${code}\n`}\n`,
				);
			}
			await api.remove(coreKinds.nodes, 'ctl');
			if (process.env['UPDATE_GOLDEN'] !== undefined || !existsSync(golden)) writeFileSync(golden, said);
			t.is(said, readFileSync(golden, 'utf8'));
		},
	);

	test.serial('while calicoctl has locked the datastore no address is assigned or released', async (t) => {
		const api = await connect(getServer(), folder);
		const config = kubeconfig(getServer(), folder);
		const dependencies = { log: silentLogger, clock: systemClock, random: Math.random };
		await api.create(coreKinds.nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'locked' } });
		await api.create(kinds.pools, {
			apiVersion: layout,
			kind: 'IPPool',
			metadata: { name: 'locked' },
			spec: { cidr: '10.62.0.0/24', blockSize: 28, nodeSelector: 'all()' },
		});
		t.is((await calicoctl(config, ['datastore', 'migrate', 'lock'])).code, 0);
		const store = await followedStore(t, { client: api, layout, node: 'locked' });
		const allocator = new Allocator({
			node: 'locked',
			store,
			retry: conflictRetry(Math.random),
			selectorMatches,
			...dependencies,
		});
		const assign = () =>
			allocator.assign({
				handleId: 'locked',
				attributes: {},
				families: ['ipv4'],
				use: 'Workload',
				pools: { ipv4: ['locked'] },
			});
		const refused = await assign();
		t.regex(refused.type === 'unavailable' ? refused.reason : '', /datastoreReady: false/);
		t.is((await calicoctl(config, ['datastore', 'migrate', 'unlock'])).code, 0);
		for (let attempt = 0; attempt < 400 && (await store.readOnlyReason()) !== undefined; attempt++)
			await new Promise((done) => setTimeout(done, 25));
		t.is((await assign()).type, 'assigned');
		await allocator.release('locked');
		const [affinity] = await store.affinitiesOf('locked');
		for (const { name } of (await store.blocks.list()).items.filter(({ value }) => value.cidr === affinity?.cidr))
			await api.remove(kinds.blocks, name);
		for (const { name } of (await store.affinities.list()).items.filter(({ value }) => value.node === 'locked'))
			await api.remove(kinds.affinities, name);
		await api.remove(kinds.pools, 'locked');
		await api.remove(coreKinds.nodes, 'locked');
	});
}
