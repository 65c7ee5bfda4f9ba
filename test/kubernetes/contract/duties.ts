import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestFn } from 'ava';
import { ControlClient } from '../../../src/control/index.ts';
import { type PrefixKey, prefixKey, silentLogger, systemClock } from '../../../src/core/index.ts';
import { blockName, newBlock } from '../../../src/ipam/index.ts';
import { arrayAt, isObject, type JsonObject, objectAt, textAt } from '../../../src/json/index.ts';
import { type ApiClient, calicoKinds, coreKinds, fromBlock } from '../../../src/kubernetes/index.ts';
import { watchBlock } from '../../../src/node/copies.ts';
import { RunningDaemon } from '../../support/daemon.ts';
import { eventually } from '../../support/eventually.ts';
import { connect, connectAsNode, daemonKubeconfig } from './cluster.ts';
import type { ServerUnderTest } from './transcript.ts';

const layout = 'crd.projectcalico.org/v1';
const kinds = calicoKinds(layout);
const definitions = {
	kind: 'CustomResourceDefinition',
	apiVersion: 'apiextensions.k8s.io/v1',
	plural: 'customresourcedefinitions',
	namespaced: false,
};
const node = 'duty';
const handle = `ipip-tunnel-addr-${node}`;
const merge = 'application/merge-patch+json';

/** Reads until the value matches; the error contains the last value. */
async function until<T>(what: string, read: () => Promise<T>, holds: (value: T) => boolean): Promise<T> {
	const deadline = performance.now() + 90_000;
	for (;;) {
		const value = await read();
		if (holds(value)) return value;
		if (performance.now() > deadline) throw new Error(`waited in vain until ${what}: ${JSON.stringify(value)}`);
		await sleep(50);
	}
}

const networkOf = (object: JsonObject | undefined) =>
	textAt(
		arrayAt(object, 'status', 'conditions').find(
			(entry) => isObject(entry) && textAt(entry, 'type') === 'NetworkUnavailable',
		),
		'reason',
	);

/**
 * The state that a daemon writes about its own node on a server; `getServer` is called when a test
 * runs.
 */
export function testDuties(test: TestFn, getServer: () => ServerUnderTest, folder: string): void {
	const pool = (name: string, cidr: string): JsonObject => ({
		apiVersion: layout,
		kind: 'IPPool',
		metadata: { name },
		spec: { cidr, blockSize: 28, ipipMode: 'CrossSubnet', nodeSelector: 'duty == "yes"' },
	});
	const setUp = async (api: ApiClient, spec: JsonObject = {}, more = '') => {
		// Pools and Nodes of other tests would be this node's pools and neighbours.
		for (const kind of [kinds.pools, coreKinds.nodes])
			for (const object of (await api.list(kind)).items)
				await api.remove(kind, textAt(object, 'metadata', 'name') ?? '');
		await api.create(kinds.pools, pool('duty-one', '10.210.0.0/24'));
		await api.create(coreKinds.nodes, {
			apiVersion: 'v1',
			kind: 'Node',
			metadata: {
				name: node,
				labels: { duty: 'yes' },
				annotations: { 'projectcalico.org/IPv4Address': '127.0.0.1/8' },
			},
			spec,
		});
		const daemon = new RunningDaemon();
		const port = 20_000 + (process.pid % 20_000);
		writeFileSync(
			daemon.configFile,
			`node: ${node}\ndatastore: { type: kubernetes, kubeconfig: ${daemonKubeconfig(getServer(), folder)} }\nbgp: { asNumber: 64512, listen: { address: 127.0.0.1, port: ${port} } }\nfib: { enabled: false }\ncontrol: { socket: ${daemon.socket} }\nlog: { format: text }\n${more}`,
		);
		return daemon;
	};

	test.serial('a watch of one block reports changes of that block alone, with the rights of a node', async (t) => {
		const api = await connect(getServer(), folder);
		const create = (cidr: PrefixKey) =>
			api.create(kinds.blocks, {
				apiVersion: layout,
				kind: 'IPAMBlock',
				metadata: { name: blockName(cidr) },
				spec: fromBlock(newBlock(cidr, 'another', '2026-01-01T00:00:00Z', 1n)),
			});
		const touch = (cidr: PrefixKey, value: string) =>
			api.patch(kinds.blocks, blockName(cidr), { metadata: { annotations: { touched: value } } }, merge);
		const [watched, other] = [prefixKey('10.211.0.0/30'), prefixKey('10.211.0.4/30')];
		await create(watched);
		await create(other);
		let events = 0;
		const common = { log: silentLogger, clock: systemClock, random: Math.random };
		const client = await connectAsNode(getServer(), folder);
		const end = watchBlock({ client, kinds, ...common }, watched, () => events++);
		t.teardown(end);
		await eventually('the watch has begun', () => events === 1, 90);
		await touch(other, 'one');
		await touch(watched, 'one');
		await eventually('the change is reported', () => events === 2, 90);
		await touch(other, 'two');
		await api.remove(kinds.blocks, blockName(watched));
		await eventually('the removal is reported', () => events === 3, 90);
		end();
		await create(watched);
		t.is(events, 3);
		for (const cidr of [watched, other]) await api.remove(kinds.blocks, blockName(cidr));
	});

	test.serial(
		"a daemon sets its Node's network condition, keeps its tunnel address consistent with the pools, and updates the condition at shutdown",
		async (t) => {
			const api = await connect(getServer(), folder);
			const daemon = await setUp(api);
			const read = () => api.get(coreKinds.nodes, node);
			const tunnel = (object: JsonObject | undefined) =>
				textAt(object, 'metadata', 'annotations', 'projectcalico.org/IPv4IPIPTunnelAddr');
			const held = async () => Object.keys(objectAt(await api.get(kinds.handles, handle), 'spec', 'block'));
			await daemon.start(t);
			const first = await until(
				'the network is up and the tunnel has its address',
				read,
				(object) => networkOf(object) === 'BgpmeshIsUp' && tunnel(object) !== undefined,
			);
			t.regex(tunnel(first) ?? '', /^10\.210\.0\./);

			// The other pool replaces it.
			await api.create(kinds.pools, pool('duty-two', '10.211.0.0/24'));
			await api.patch(kinds.pools, 'duty-one', { spec: { disabled: true } }, merge);
			await until('the address is of the new pool', read, (object) => tunnel(object)?.startsWith('10.211.0.') === true);
			const blocks = await until('the old address is given back', held, (all) => all.length === 1);
			t.regex(blocks[0] ?? '', /^10\.211\.0\./);

			// The pool no longer selects this node, and then selects it again.
			await api.patch(coreKinds.nodes, node, { metadata: { labels: { duty: 'no' } } }, merge);
			await until('the annotation is gone', read, (object) => tunnel(object) === undefined);
			await until(
				'the handle is gone',
				() => api.get(kinds.handles, handle),
				(object) => object === undefined,
			);
			const claimed = async () =>
				(await api.list(kinds.affinities)).items.flatMap((claim) => textAt(claim, 'spec', 'cidr') ?? '');
			await until('its empty block is given up', claimed, (all) => !all.some((cidr) => cidr.startsWith('10.211.')));
			t.true(
				(await claimed()).some((cidr) => cidr.startsWith('10.210.')),
				'of a disabled pool it stays',
			);
			await api.patch(coreKinds.nodes, node, { metadata: { labels: { duty: 'yes' } } }, merge);
			await until('there is an address again', read, (object) => tunnel(object)?.startsWith('10.211.0.') === true);

			// Calico's agent, which this daemon replaces, stops after the daemon started.
			const down = { type: 'NetworkUnavailable', status: 'True', reason: 'CalicoIsDown', message: '' };
			await api.patch(
				coreKinds.nodes,
				node,
				{ status: { conditions: [down] } },
				'application/strategic-merge-patch+json',
				{ subresource: 'status' },
			);
			await until('the network is up all the same', read, (object) => networkOf(object) === 'BgpmeshIsUp');

			daemon.signal('SIGTERM');
			await daemon.ended();
			t.is(networkOf(await read()), 'BgpmeshIsDown');
			await daemon.start(t);
			await until('the network is up again', read, (object) => networkOf(object) === 'BgpmeshIsUp');
			// A stop for restart writes no condition.
			daemon.signal('SIGUSR2');
			await daemon.ended();
			t.is(networkOf(await read()), 'BgpmeshIsUp');
			await tidy(api);
		},
	);

	test.serial(
		'with host-local a node assigns and announces addresses of its podCIDRs, and assigns none twice after a crash',
		async (t) => {
			const api = await connect(getServer(), folder);
			const daemon = await setUp(
				api,
				{ podCIDRs: ['10.212.1.0/28'], podCIDR: '10.212.1.0/28' },
				`ipam: { mode: host-local, directory: ${mkdtempSync(join(tmpdir(), 'bgpmesh-addresses-'))} }\n`,
			);
			await daemon.start(t);
			const client = new ControlClient(daemon.socket);
			const add = async (containerId: string) => {
				const request = {
					network: 'net',
					containerId,
					ifname: 'eth0',
					pod: undefined,
					families: ['ipv4' as const],
					ipv4Pools: [],
					ipv6Pools: [],
				};
				return (await client.ask('cniAdd', { request })).addresses.map(
					({ address, block }) => `${address} of ${block}`,
				);
			};
			t.deepEqual(await add('one'), ['10.212.1.2 of 10.212.1.0/28']);
			t.deepEqual(await add('two'), ['10.212.1.3 of 10.212.1.0/28']);
			const { routes } = await daemon.until(
				'the range is announced',
				(control) => control.ask('routes', {}),
				(answer) => answer.routes.length > 0,
			);
			t.deepEqual(
				routes.map(({ prefix, source }) => `${prefix} ${source}`),
				['10.212.1.0/28 local'],
			);
			const tunnel = () =>
				api
					.get(coreKinds.nodes, node)
					.then((object) => textAt(object, 'metadata', 'annotations', 'projectcalico.org/IPv4IPIPTunnelAddr'));
			await until("the tunnel has the range's second address", tunnel, (address) => address === '10.212.1.1');
			daemon.signal('SIGKILL');
			await daemon.ended();
			await daemon.start(t);
			t.deepEqual(await add('three'), ['10.212.1.4 of 10.212.1.0/28']);
			t.deepEqual(await add('one'), ['10.212.1.2 of 10.212.1.0/28']);
			t.deepEqual(
				(
					await client.ask('cniDelete', {
						request: { network: 'net', containerId: 'two', ifname: 'eth0', pod: undefined },
					})
				).addresses,
				['10.212.1.3'],
			);
			t.deepEqual(
				(await api.list(kinds.blocks)).items.filter((block) => textAt(block, 'spec', 'affinity') === `host:${node}`),
				[],
				'no block is claimed',
			);
			daemon.signal('SIGTERM');
			await daemon.ended();
			await tidy(api);
		},
	);

	test.serial(
		'a daemon writes the status of each CalicoNodeStatus of its node, with the requested classes and period',
		async (t) => {
			const api = await connect(getServer(), folder);
			const daemon = await setUp(api);
			const ask = (name: string, of: string, more: JsonObject) =>
				api.create(kinds.nodeStatuses, {
					apiVersion: layout,
					kind: 'CalicoNodeStatus',
					metadata: { name },
					spec: { node: of, classes: ['Agent', 'BGP', 'Routes'], ...more },
				});
			await ask('duty-often', node, { updatePeriodSeconds: 1 });
			await ask('duty-other', 'another', { updatePeriodSeconds: 1 });
			await daemon.start(t);
			const read = (name: string) => async () => objectAt(await api.get(kinds.nodeStatuses, name), 'status');
			const first = await until(
				'the status is written',
				read('duty-often'),
				(status) => textAt(status, 'lastUpdated') !== undefined,
			);
			t.is(textAt(first, 'agent', 'birdV4', 'state'), 'Ready');
			t.is(textAt(first, 'agent', 'birdV4', 'routerID'), '127.0.0.1');
			t.like(objectAt(first, 'bgp'), { numberEstablishedV4: 0, numberNotEstablishedV4: 0 });
			const block = (status: JsonObject) =>
				arrayAt(status, 'routes', 'routesV4').some(
					(route) => textAt(route, 'destination')?.startsWith('10.210.0.') === true,
				);
			await until(
				"the block of the tunnel's address is reported, and again and again",
				read('duty-often'),
				(status) => block(status) && textAt(status, 'lastUpdated') !== textAt(first, 'lastUpdated'),
			);

			await api.patch(kinds.nodeStatuses, 'duty-often', { spec: { classes: ['BGP'] } }, merge);
			const less = await until(
				'what is not asked for any more is gone',
				read('duty-often'),
				(status) => status['agent'] === undefined && status['routes'] === undefined,
			);
			t.truthy(less['bgp']);
			await ask('duty-once', node, { updatePeriodSeconds: 0 });
			await until(
				'one that asks once is answered',
				read('duty-once'),
				(status) => textAt(status, 'lastUpdated') !== undefined,
			);
			t.deepEqual(await read('duty-other')(), {});

			// As in the definition of an older Calico, where status is an ordinary part of the
			// object.
			const define = async (subresources: JsonObject) => {
				const now = (await api.get(definitions, 'caliconodestatuses.crd.projectcalico.org')) ?? {};
				const versions = arrayAt(now, 'spec', 'versions').map((version) => ({
					...(isObject(version) ? version : {}),
					subresources,
				}));
				await api.replace(definitions, { ...now, spec: { ...objectAt(now, 'spec'), versions } });
			};
			await define({});
			await until(
				'there is no subresource',
				() =>
					api.patch(kinds.nodeStatuses, 'duty-other', {}, merge, { subresource: 'status' }).then(() => 'there', String),
				(answer) => answer !== 'there',
			);
			await ask('duty-old', node, { updatePeriodSeconds: 0 });
			await until(
				'the status is written all the same',
				read('duty-old'),
				(status) => textAt(status, 'lastUpdated') !== undefined,
			);
			await api.remove(kinds.nodeStatuses, 'duty-old');
			await define({ status: {} });
			daemon.signal('SIGTERM');
			await daemon.ended();
			for (const name of ['duty-often', 'duty-other', 'duty-once']) await api.remove(kinds.nodeStatuses, name);
			await tidy(api);
		},
	);
}

/** Removes these objects, so that other tests on the server do not meet them. */
async function tidy(api: ApiClient): Promise<void> {
	for (const name of ['duty-one', 'duty-two']) await api.remove(kinds.pools, name);
	await api.remove(coreKinds.nodes, node);
	await api.remove(kinds.handles, handle);
	for (const kind of [kinds.affinities, kinds.blocks])
		for (const object of (await api.list(kind)).items)
			if (/^10\.21[01]\./.test(textAt(object, 'spec', 'cidr') ?? ''))
				await api.remove(kind, textAt(object, 'metadata', 'name') ?? '');
}
