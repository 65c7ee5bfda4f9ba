import { mkdtempSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestFn } from 'ava';
import { stress } from '../../../lab/ipam-stress.ts';
import { kubeconfigOf, packagedDefinitions } from '../../../src/apiserver/index.ts';
import {
	ControlClient,
	type IpamCheckView,
	type PeersView,
	type RoutesView,
	type StatusView,
} from '../../../src/control/index.ts';
import { type PrefixKey, prefixKey, silentLogger, systemClock } from '../../../src/core/index.ts';
import {
	Allocator,
	affinityLabels,
	affinityName,
	type Block,
	blockName,
	ConflictError,
	conflictRetry,
	giveUpBlock,
	newBlock,
	nextWrite,
} from '../../../src/ipam/index.ts';
import {
	ApiClient,
	calicoKinds,
	coreKinds,
	detectLayout,
	fromBlock,
	Informer,
	KubernetesIpamStore,
	loadCredentials,
	type ResourceChange,
	selectorMatches,
	toAffinity,
	toBlock,
	toResource,
} from '../../../src/kubernetes/index.ts';
import { RunningDaemon } from '../../support/daemon.ts';
import { eventually } from '../../support/eventually.ts';
import { followedStore } from '../../support/followed-store.ts';
import { checkModel } from '../../support/ipam-model.ts';
import { modelClusters } from './ipam-model.ts';
import type { ServerUnderTest } from './transcript.ts';

const root = resolve(fileURLToPath(import.meta.url), '../../../../..');
const layout = 'crd.projectcalico.org/v1';
const kinds = calicoKinds(layout);
const crdKind = {
	kind: 'CustomResourceDefinition',
	apiVersion: 'apiextensions.k8s.io/v1',
	plural: 'customresourcedefinitions',
	namespaced: false,
};

/** A kubeconfig for a server, stored next to the other files of `folder`. */
export function kubeconfig(
	{ url, certificateAuthority, token }: ServerUnderTest,
	folder: string,
	name = 'kubeconfig',
): string {
	const file = join(folder, name);
	const entry = { server: url, certificate: certificateAuthority, token };
	writeFileSync(file, JSON.stringify(kubeconfigOf(entry)));
	return file;
}

/**
 * The kubeconfig of a node. Where authorization is enforced, it has exactly the permissions of
 * `config/rbac`.
 */
export const daemonKubeconfig = (server: ServerUnderTest, folder: string): string =>
	kubeconfig({ ...server, token: server.nodeToken ?? server.token }, folder, 'daemon-kubeconfig');

/** With the permissions of a node, where authorization is enforced. */
export const connectAsNode = async (server: ServerUnderTest, folder: string): Promise<ApiClient> =>
	new ApiClient(await loadCredentials(daemonKubeconfig(server, folder)), Math.random);

export async function connect(server: ServerUnderTest, folder: string): Promise<ApiClient> {
	const client = new ApiClient(await loadCredentials(kubeconfig(server, folder)), Math.random);
	const established = new Set((await client.list(crdKind)).items.map((crd) => toResource(crd).name));
	for (const definition of packagedDefinitions())
		if (!established.has(toResource(definition).name)) await client.create(crdKind, definition);
	for (let attempt = 0; attempt < 100; attempt++) {
		const served = await Promise.all(
			[kinds.blocks, kinds.nodeStatuses].map((kind) => client.list(kind).catch(() => undefined)),
		);
		if (served.every((list) => list !== undefined)) return client;
		await new Promise((done) => setTimeout(done, 100));
	}
	throw new Error('the definitions are not served');
}

const dependencies = { log: silentLogger, clock: systemClock, random: Math.random };

/**
 * Runs client, informers, allocator and daemon on a server; `getServer` is called when a test runs.
 */
export function testCluster(test: TestFn, getServer: () => ServerUnderTest, folder: string): void {
	const client = () => connect(getServer(), folder);

	test.serial('the layout of the resources is detected', async (t) => {
		t.is(await detectLayout(await client()), layout);
	});

	test.serial('a block keeps all digits and all unknown annotations when read and written', async (t) => {
		const api = await client();
		const cidr = prefixKey('10.200.0.0/30');
		const block: Block = {
			...newBlock(cidr, 'digits', '2026-01-01T00:00:00Z', 1780000000123456789n),
			attributes: [{ handleId: 'h', secondary: { node: 'digits' }, releasedAt: undefined, other: {} }],
			allocations: [0, null, null, null],
			unallocated: [1, 2, 3],
			sequenceNumberForAllocation: { 0: 1780000000123456788n },
		};
		const created = await api.create(kinds.blocks, {
			apiVersion: layout,
			kind: 'IPAMBlock',
			metadata: { name: blockName(cidr), annotations: { 'example.com/mine': 'kept' } },
			spec: fromBlock(block),
		});
		t.is(toBlock(toResource(created)).sequenceNumber, 1780000000123456789n);
		const nodes = new Informer({ client: api, kind: coreKinds.nodes, ...dependencies });
		const { blocks } = new KubernetesIpamStore({ client: api, layout, node: 'digits', nodes, ...dependencies });
		const read = await blocks.read(blockName(cidr), 'fresh');
		if (read === undefined) return t.fail('the block is gone');
		const written = await blocks.write(blockName(cidr), { ...read, value: nextWrite(read.value) });
		t.is(written.value.sequenceNumber, 1780000000123456790n);
		t.deepEqual(written.value.sequenceNumberForAllocation, { 0: 1780000000123456788n });
		t.is(toResource((await api.get(kinds.blocks, blockName(cidr))) ?? {}).annotations['example.com/mine'], 'kept');
		// The earlier version is stale now: it is neither written nor removed.
		await t.throwsAsync(blocks.write(blockName(cidr), { ...read, value: nextWrite(read.value) }), {
			instanceOf: ConflictError,
		});
		await t.throwsAsync(blocks.remove(blockName(cidr), read), { instanceOf: ConflictError });
		await t.throwsAsync(blocks.create(blockName(cidr), block), { instanceOf: ConflictError });
		await blocks.remove(blockName(cidr), written);
		t.is(await blocks.read(blockName(cidr), 'fresh'), undefined);
	});

	test.serial('an informer reports added, changed and removed objects, and its own writes once', async (t) => {
		const api = await client();
		const informer = new Informer({ client: api, kind: kinds.pools, ...dependencies });
		const told: string[] = [];
		informer.onChanges((changes: readonly ResourceChange[]) =>
			told.push(
				...changes
					.filter(({ resource }) => resource.name.startsWith('informer'))
					.map(({ type, resource }) => `${type} ${resource.name}`),
			),
		);
		const pool = (name: string, cidr: string) => ({
			apiVersion: layout,
			kind: 'IPPool',
			metadata: { name },
			spec: { cidr, blockSize: 30, nodeSelector: 'all()' },
		});
		await api.create(kinds.pools, pool('informer-before', '10.201.0.0/24'));
		informer.start();
		t.teardown(() => informer.stop());
		await new Promise<void>((resolve) => informer.onSynced(resolve));
		informer.absorb(await api.create(kinds.pools, pool('informer-own', '10.201.1.0/24')));
		const created = await api.create(kinds.pools, pool('informer-other', '10.201.2.0/24'));
		await eventually('the creation is reported', () => told.includes('added informer-other'));
		await api.patch(kinds.pools, 'informer-other', { spec: { disabled: true } }, 'application/merge-patch+json');
		await eventually('the change is reported', () => told.includes('changed informer-other'));
		await api.remove(kinds.pools, 'informer-other', { uid: toResource(created).uid });
		await eventually('the removal is reported', () => told.includes('removed informer-other'));
		t.deepEqual(told, [
			'added informer-before',
			'added informer-own',
			'added informer-other',
			'changed informer-other',
			'removed informer-other',
		]);
		for (const name of ['informer-before', 'informer-own']) await api.remove(kinds.pools, name);
	});

	test.serial(
		'claims that an older Calico wrote without labels are found at the start and later, and get labels',
		async (t) => {
			const api = await client();
			const [first, later, other] = ['10.206.0.0/28', '10.206.0.16/28', '10.206.0.32/28'].map((cidr) =>
				prefixKey(cidr),
			);
			if (first === undefined || later === undefined || other === undefined) return t.fail();
			const claim = (node: string, cidr: PrefixKey) =>
				api.create(kinds.affinities, {
					apiVersion: layout,
					kind: 'BlockAffinity',
					metadata: { name: affinityName(node, cidr), labels: { 'example.com/mine': 'kept' } },
					spec: { cidr, node, state: 'confirmed', deleted: 'false' },
				});
			await claim('unlabelled', first);
			await claim('unlabelled-not', other);
			const nodes = new Informer({ client: api, kind: coreKinds.nodes, ...dependencies });
			const store = await followedStore(t, { client: api, layout, node: 'unlabelled', nodes });
			const known = () =>
				[...store.claims.items.values()].map((resource) => ({ ...toAffinity(resource), labels: resource.labels }));
			const isLabelled = (cidr: PrefixKey) =>
				known().some((claim) => claim.cidr === cidr && 'projectcalico.org/hostname-hash' in claim.labels);
			t.deepEqual(
				(await store.affinitiesOf('unlabelled')).map(({ cidr }) => cidr),
				[first],
			);
			t.true(isLabelled(first), 'what was there at the start has its labels');
			const told: boolean[] = [];
			store.claims.onChanges((changes) => {
				for (const { resource } of changes)
					if (resource.name === affinityName('unlabelled', later))
						told.push('projectcalico.org/hostname-hash' in resource.labels);
			});
			await claim('unlabelled', later);
			await eventually('the second is found', () => known().some(({ cidr }) => cidr === later));
			await eventually('the second has its labels', () => isLabelled(later));
			t.false(told[0], 'it counts before it has them');
			for (const [node, cidr, labelled] of [
				['unlabelled', first, true] as const,
				['unlabelled', later, true] as const,
				['unlabelled-not', other, false] as const,
			]) {
				const { labels } = toResource((await api.get(kinds.affinities, affinityName(node, cidr))) ?? {});
				t.deepEqual(labels, { 'example.com/mine': 'kept', ...(labelled ? affinityLabels(node, 'host', cidr) : {}) });
			}
			// Rewritten without labels, as by an older Calico, and then removed by it.
			const object = (await api.get(kinds.affinities, affinityName('unlabelled', first))) ?? {};
			const { name, resourceVersion } = toResource(object);
			const spec = { cidr: first, node: 'unlabelled', state: 'pendingDeletion', deleted: 'false' };
			await api.replace(kinds.affinities, { ...object, metadata: { name, resourceVersion }, spec });
			await eventually('the change is seen', () =>
				known().some(({ cidr, state }) => cidr === first && state === 'pendingDeletion'),
			);
			await api.remove(kinds.affinities, name);
			await eventually('it is gone', () => known().every(({ cidr }) => cidr !== first));
			for (const [node, cidr] of [['unlabelled', later] as const, ['unlabelled-not', other] as const])
				await api.remove(kinds.affinities, affinityName(node, cidr));
			await eventually('the second is gone', () => known().length === 0);
		},
	);

	test.serial(
		'three nodes that assign and release concurrently never share an address, and leave no allocation',
		async (t) => {
			const api = await client();
			await api.create(kinds.pools, {
				apiVersion: layout,
				kind: 'IPPool',
				metadata: { name: 'stress' },
				spec: { cidr: '10.202.0.0/25', blockSize: 28, nodeSelector: 'all()' },
			});
			const nodes = new Informer({ client: api, kind: coreKinds.nodes, ...dependencies });
			nodes.start();
			t.teardown(() => nodes.stop());
			const owners = new Map<string, string>();
			let given = 0;
			await Promise.all(
				['stress-a', 'stress-b', 'stress-c'].map(async (node) => {
					const store = await followedStore(t, { client: api, layout, node, nodes });
					const allocator = new Allocator({
						node,
						store,
						retry: conflictRetry(Math.random),
						selectorMatches,
						...dependencies,
					});
					await Promise.all(
						Array.from({ length: 10 }, async (_, worker) => {
							for (let round = 0; round < 4; round++) {
								const handleId = `stress.${node}-${worker}-${round}`;
								const result = await allocator.assign({
									handleId,
									attributes: { node },
									families: ['ipv4'],
									use: 'Workload',
									pools: { ipv4: ['stress'] },
								});
								if (result.type !== 'assigned') throw new Error(result.reason);
								const address = result.addresses[0]?.address ?? '';
								t.is(owners.get(address), undefined, `${address} has two owners`);
								owners.set(address, handleId);
								given++;
								await new Promise((resolve) => setTimeout(resolve, 5));
								owners.delete(address);
								await allocator.release(handleId);
							}
						}),
					);
				}),
			);
			t.is(given, 120);
			const blocks = (await api.list(kinds.blocks)).items
				.map((block) => toBlock(toResource(block)))
				.filter(({ cidr }) => cidr.startsWith('10.202.'));
			t.true(blocks.length > 0 && blocks.every(({ allocations }) => allocations.every((index) => index === null)));
			t.deepEqual(
				(await api.list(kinds.handles)).items
					.map((handle) => toResource(handle).name)
					.filter((name) => name.startsWith('stress')),
				[],
			);
			for (const { cidr, affinity } of blocks) {
				const store = new KubernetesIpamStore({ client: api, layout, node: 'none', nodes, ...dependencies });
				t.is(
					await giveUpBlock(
						{ store, clock: systemClock, retry: conflictRetry(Math.random) },
						affinity?.slice('host:'.length) ?? '',
						cidr,
						{
							requireEmpty: true,
						},
					),
					'released',
				);
			}
			await api.remove(kinds.pools, 'stress');
		},
	);

	test.serial(
		'under any crashes and concurrent writers no address of a real server has two owners and none is lost for ever',
		async (t) => {
			await client();
			await checkModel(
				modelClusters(kubeconfig(getServer(), folder)),
				Number(process.env['BGPMESH_MODEL_SERVER_RUNS'] ?? 6),
				{ maxCommands: 5 },
			);
			t.pass();
		},
	);

	test.serial('ten nodes that assign and release addresses concurrently leave a consistent state', async (t) => {
		await client();
		const {
			given,
			seconds: _,
			unanswered: _again,
			...wrong
		} = await stress(kubeconfig(getServer(), folder), {
			nodes: 10,
			allocations: 300,
			workersPerNode: 4,
			progress: () => {},
		});
		t.true(given >= 300);
		t.deepEqual(wrong, { twice: [], held: 0, handlesLeft: 0, inconsistencies: [] });
	});

	test.serial(
		'two daemons find each other from Node resources, assign addresses to containers and announce their blocks',
		async (t) => {
			const api = await client();
			const file = daemonKubeconfig(getServer(), folder);
			const port = 20_000 + (process.pid % 20_000);
			await api.create(kinds.pools, {
				apiVersion: layout,
				kind: 'IPPool',
				metadata: { name: 'pods' },
				spec: { cidr: '10.203.0.0/16', blockSize: 26, ipipMode: 'CrossSubnet', nodeSelector: 'all()' },
			});
			await api.create(kinds.bgpConfigurations, {
				apiVersion: layout,
				kind: 'BGPConfiguration',
				metadata: { name: 'default' },
				spec: { listenPort: port },
			});
			const second = 1 + (process.pid % 250);
			const daemons = [];
			for (const [index, node] of ['node-a', 'node-b'].entries()) {
				const address = `127.${second}.0.${index + 1}`;
				await api.create(coreKinds.nodes, {
					apiVersion: 'v1',
					kind: 'Node',
					metadata: { name: node, annotations: { 'projectcalico.org/IPv4Address': `${address}/8` } },
				});
				const daemon = new RunningDaemon();
				writeFileSync(
					daemon.configFile,
					`node: ${node}\ndatastore: { type: kubernetes, kubeconfig: ${file} }\nbgp: { asNumber: 64512, listen: { address: ${address}, port: ${port} } }\nfib: { enabled: false }\ncontrol: { socket: ${daemon.socket} }\nlog: { format: text }\n`,
				);
				daemons.push(daemon);
			}
			for (const daemon of daemons) await daemon.start(t);
			const [a, b] = daemons as [RunningDaemon, RunningDaemon];
			const cni = (daemon: RunningDaemon, command: string, container: string) =>
				plugin(daemon.socket, {
					CNI_COMMAND: command,
					CNI_CONTAINERID: container,
					CNI_IFNAME: 'eth0',
					CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${container}`,
				});
			for (const name of ['one', 'two']) {
				const spec = { nodeName: name === 'one' ? 'node-a' : 'node-b', containers: [{ name: 'c', image: 'c' }] };
				await api.create(coreKinds.pods, { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec }, 'default');
			}
			const first = await cni(a, 'ADD', 'one');
			t.regex(first, /"address":"10\.203\.\d+\.\d+\/32"/);
			t.is(await cni(a, 'ADD', 'one'), first);
			await cni(b, 'ADD', 'two');
			const hasRoutes = (answer: unknown) =>
				(answer as { routes: { peer?: string }[] }).routes.filter(({ peer }) => peer !== undefined).length === 1;
			await a.until('the other block has arrived', (daemon) => daemon.ask('routes', {}), hasRoutes);
			await b.until('the other block has arrived', (daemon) => daemon.ask('routes', {}), hasRoutes);
			t.regex((await a.cli('ipam', 'check')).stdout, /\nEverything agrees\.\n$/);
			// The pod has ended, without a DEL.
			await api.patch(coreKinds.pods, 'two', { status: { phase: 'Failed' } }, 'application/merge-patch+json', {
				namespace: 'default',
				subresource: 'status',
			});
			const without = await a.cli('ipam', 'check');
			t.is(without.code, 1);
			t.regex(without.stdout, /pod 10\.203\.\d+\.\d+: it is default\/two's, which does not run/);
			const address = /10\.203\.\d+\.\d+/.exec(first)?.[0] ?? '';
			t.regex((await a.cli('ipam', 'show', '--ip', address)).stdout, /is in use[\s\S]*namespace +default/);
			// An unreadable block is reported everywhere, and does not stop other operations.
			const spec = { cidr: '10.203.250/26', allocations: [], unallocated: [0], attributes: [], strictAffinity: false };
			const broken = await api.create(kinds.blocks, {
				apiVersion: layout,
				kind: 'IPAMBlock',
				metadata: { name: '10-203-250-0-26' },
				spec,
			});
			t.regex((await a.cli('ipam', 'check')).stdout, /block 10-203-250-0-26: it can not be read: /);
			t.regex((await a.cli('ipam', 'show', '--ip', '10.203.250.5')).stdout, /is in a block that can not be read/);
			t.is((await a.cli('pools')).code, 0);
			t.like(((await a.ask('status')) as StatusView).cluster?.unreadable, [{ kind: 'block', name: '10-203-250-0-26' }]);
			t.regex((await a.cli('status')).stdout, /block 10-203-250-0-26 can not be read, nothing is given of it/);
			t.regex(await new ControlClient(a.socket).metrics(), /bgpmesh_ipam_unreadable\{kind="block"\} 1/);
			t.regex(await cni(a, 'ADD', 'third'), /"address":"10\.203\./);
			t.is(await cni(a, 'DEL', 'third'), '');
			t.deepEqual(await api.get(kinds.blocks, '10-203-250-0-26'), broken);
			await api.remove(kinds.blocks, '10-203-250-0-26');
			t.is(
				((await new ControlClient(a.socket).ask('ipamCheck', {})) as IpamCheckView).problems.filter(
					({ subject }) => subject === '10-203-250-0-26',
				).length,
				0,
			);
			t.is(await cni(a, 'DEL', 'one'), '');
			t.is((await a.cli('ipam', 'show', '--ip', address)).code, 1);
			for (const name of ['one', 'two']) await api.remove(coreKinds.pods, name, { namespace: 'default' });
			// A new node is detected without configuration, and a removed node's session ends.
			await api.create(coreKinds.nodes, {
				apiVersion: 'v1',
				kind: 'Node',
				metadata: { name: 'node-c', annotations: { 'projectcalico.org/IPv4Address': `127.${second}.0.3/8` } },
			});
			await a.until(
				'the new node is a peer',
				(daemon) => daemon.ask('peers', {}),
				({ peers }) => peers.length === 2,
			);
			// A node becomes a reflector at run time: its session and its routes stay, also when it
			// stops being one.
			await api.create(kinds.bgpPeers, {
				apiVersion: layout,
				kind: 'BGPPeer',
				metadata: { name: 'reflectors' },
				spec: { nodeSelector: 'all()', peerSelector: 'reflector == "yes"' },
			});
			const reflects = (clusterId: string | null) =>
				api.patch(
					coreKinds.nodes,
					'node-a',
					{
						metadata: {
							annotations: { 'projectcalico.org/RouteReflectorClusterID': clusterId },
							labels: { reflector: clusterId === null ? null : 'yes' },
						},
					},
					'application/merge-patch+json',
				);
			for (const clusterId of ['244.0.0.1', '244.0.0.2', null]) {
				await reflects(clusterId);
				await a.until(
					'the cluster ID is taken over',
					(daemon) => daemon.ask('status', {}),
					(status) => status.clusterId === (clusterId ?? undefined),
				);
			}
			const [{ peers: peersOfA }, { peers: peersOfB }] = [
				(await a.ask('peers')) as PeersView,
				(await b.ask('peers')) as PeersView,
			];
			t.like(
				peersOfA.find(({ address }) => address === `127.${second}.0.2`),
				{ state: 'established', establishedCount: 1 },
			);
			t.like(
				peersOfB.find(({ address }) => address === `127.${second}.0.1`),
				{ state: 'established', establishedCount: 1 },
			);
			const linted = await a.cli('lint');
			t.is(linted.code, 1);
			t.regex(
				linted.stdout,
				/BGPPeer reflectors: peerSelector: no node has the labels of reflector == "yes" \[selects-nothing\]/,
			);
			await api.remove(kinds.bgpPeers, 'reflectors');
			await api.remove(coreKinds.nodes, 'node-c');
			await a.until(
				'the node that went is no peer',
				(daemon) => daemon.ask('peers', {}),
				({ peers }) => peers.length === 1,
			);
			// With only the permissions of config/rbac. Secrets of Calico's own namespace, which
			// does not exist here, are unreadable.
			for (const daemon of daemons) {
				t.deepEqual(
					daemon.log.split('\n').filter((line) => /forbidden/.test(line) && !line.includes('calico-system')),
					[],
				);
				t.is(((await daemon.ask('status')) as StatusView).cluster?.refused, undefined);
			}
		},
	);

	test.serial(
		'a daemon that starts while the API server is unreachable begins with the last known state, and catches up later',
		async (t) => {
			const api = await client();
			const direct = getServer();
			const road = await openRoad(Number(new URL(direct.url).port));
			t.teardown(() => road.close());
			const proxied = daemonKubeconfig(
				{ ...direct, url: `https://127.0.0.1:${road.port}` },
				mkdtempSync(join(folder, 'road-')),
			);
			const [second, port] = [1 + (process.pid % 250), 20_000 + (process.pid % 20_000)];
			const [lone, other] = [new RunningDaemon(), new RunningDaemon()];
			for (const [index, [daemon, file]] of [
				[lone, proxied] as const,
				[other, daemonKubeconfig(direct, folder)] as const,
			].entries()) {
				const [name, address] = [`lone-${index}`, `127.${second}.1.${index + 1}`];
				await api.create(coreKinds.nodes, {
					apiVersion: 'v1',
					kind: 'Node',
					metadata: { name, annotations: { 'projectcalico.org/IPv4Address': `${address}/8` } },
				});
				writeFileSync(
					daemon.configFile,
					`node: ${name}\ndatastore: { type: kubernetes, kubeconfig: ${file}, stateDirectory: ${join(daemon.folder, 'state')} }\nbgp: { asNumber: 64512, listen: { address: ${address}, port: ${port} } }\nfib: { enabled: false }\ncontrol: { socket: ${daemon.socket} }\nlog: { format: text }\n`,
				);
			}
			await Promise.all([lone.start(t), other.start(t)]);
			await plugin(lone.socket, { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'lone', CNI_IFNAME: 'eth0' });
			const block = ({ routes }: RoutesView) =>
				routes.filter(({ peer, prefix }) => peer === `Mesh_127_${second}_1_1` && prefix.startsWith('10.203.')).length;
			const speaks = ({ peers }: PeersView) =>
				peers.some(({ address, state }) => address === `127.${second}.1.2` && state === 'established');
			await other.until(
				'the block has arrived',
				(daemon) => daemon.ask('routes', {}),
				(answer) => block(answer) === 1,
			);
			lone.signal('SIGTERM');
			await lone.ended();
			t.is(statSync(join(lone.folder, 'state/last-known-lone-0.json')).mode & 0o777, 0o600);
			road.cut();
			await lone.start(t);
			t.like((await lone.ask('status')) as StatusView, { cluster: { fromLastKnown: true } });
			await lone.until('the neighbour is back', (daemon) => daemon.ask('peers', {}), speaks);
			await other.until(
				'the block is back',
				(daemon) => daemon.ask('routes', {}),
				(answer) => block(answer) === 1,
			);
			t.regex((await lone.cli('status')).stdout, /away since .*, going on with what was known before the start/);
			for (const verb of ['ADD', 'DEL'])
				t.like(
					JSON.parse(await plugin(lone.socket, { CNI_COMMAND: verb, CNI_CONTAINERID: 'second', CNI_IFNAME: 'eth0' })),
					{ code: 11 },
				);
			road.mend();
			const status = await lone.until(
				'the API server is back',
				(daemon) => daemon.ask('status', {}),
				({ cluster }) => cluster?.fromLastKnown === false && cluster.awaySince === undefined,
			);
			t.is(status.cluster?.layout, layout);
			const { peers } = await lone.until('the session stayed', (daemon) => daemon.ask('peers', {}), speaks);
			t.is(peers.find(({ address }) => address === `127.${second}.1.2`)?.establishedCount, 1);
			t.like(
				JSON.parse(await plugin(lone.socket, { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'second', CNI_IFNAME: 'eth0' })),
				{ cniVersion: '1.0.0' },
			);
			for (const name of ['lone-0', 'lone-1']) await api.remove(coreKinds.nodes, name);
		},
	);
}

/** A path to a port that can be interrupted and restored. */
async function openRoad(target: number): Promise<{ readonly port: number; cut(): void; mend(): void; close(): void }> {
	let open = true;
	const sockets = new Set<Socket>();
	const server = createServer((near) => {
		if (!open) return void near.destroy();
		const far = createConnection(target, '127.0.0.1');
		for (const [one, another] of [
			[near, far],
			[far, near],
		] as const) {
			sockets.add(one);
			one.on('error', () => another.destroy());
			one.on('close', () => {
				sockets.delete(one);
				another.destroy();
			});
			one.pipe(another);
		}
	});
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	const cut = () => {
		open = false;
		for (const socket of sockets) socket.destroy();
	};
	return {
		port: (server.address() as AddressInfo).port,
		cut,
		mend: () => {
			open = true;
		},
		close: () => {
			cut();
			server.close();
		},
	};
}

async function plugin(socket: string, environment: Record<string, string>): Promise<string> {
	const { spawn } = await import('node:child_process');
	const { text } = await import('node:stream/consumers');
	const child = spawn(process.execPath, [join(root, 'bin/bgpmesh-ipam.js')], {
		env: { CNI_NETNS: '/run/netns/none', ...environment },
		stdio: ['pipe', 'pipe', 'inherit'],
	});
	child.stdin.end(
		JSON.stringify({ cniVersion: '1.0.0', name: 'k8s-pod-network', ipam: { type: 'bgpmesh-ipam', socket } }),
	);
	return text(child.stdout);
}
