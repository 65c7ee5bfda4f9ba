import { setTimeout as sleep } from 'node:timers/promises';
import type { TestFn } from 'ava';
import { ControlError } from '../../../src/control/index.ts';
import { silentLogger, systemClock } from '../../../src/core/index.ts';
import { Allocator, conflictRetry } from '../../../src/ipam/index.ts';
import { textAt } from '../../../src/json/index.ts';
import { calicoKinds, coreKinds, selectorMatches } from '../../../src/kubernetes/index.ts';
import { GarbageService, type GarbageServiceDependencies } from '../../../src/node/garbage-service.ts';
import { followedStore } from '../../support/followed-store.ts';
import { connect, connectAsNode } from './cluster.ts';
import type { ServerUnderTest } from './transcript.ts';

const layout = 'crd.projectcalico.org/v1';
const kinds = calicoKinds(layout);
const dependencies = { log: silentLogger, clock: systemClock, random: Math.random };
const graceMs = 300;

/**
 * Election and scope of garbage collection on a server with real Leases and Pods. It also collects
 * leftovers of other tests, so it runs last.
 */
export function testGarbage(test: TestFn, getServer: () => ServerUnderTest, folder: string): void {
	test.serial(
		'one node at a time releases addresses whose pods are gone, after two observations, and no others',
		async (t) => {
			const client = await connect(getServer(), folder);
			await client.create(coreKinds.nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'gc-a' } });
			await client.create(kinds.pools, {
				apiVersion: layout,
				kind: 'IPPool',
				metadata: { name: 'gc' },
				spec: { cidr: '10.204.0.0/24', blockSize: 28, nodeSelector: 'all()' },
			});
			const asNode = await connectAsNode(getServer(), folder);
			const store = await followedStore(t, { client: asNode, layout, node: 'gc-a' });
			const retry = conflictRetry(Math.random);
			const allocator = new Allocator({ node: 'gc-a', store, retry, selectorMatches, ...dependencies });
			const service = (node: string, more: Partial<GarbageServiceDependencies> = {}) =>
				new GarbageService({
					node,
					mode: 'auto',
					graceMs,
					client: asNode,
					store,
					allocator,
					retry,
					...dependencies,
					...more,
				});
			const assign = async (pod: string) => {
				const result = await allocator.assign({
					handleId: `gc.${pod}`,
					attributes: { node: 'gc-a', pod, namespace: 'default' },
					families: ['ipv4'],
					use: 'Workload',
					pools: { ipv4: ['gc'] },
				});
				if (result.type !== 'assigned') throw new Error(result.reason);
				return result.addresses[0]?.address ?? '';
			};
			const pod = async (name: string, address: string | undefined, labels: Record<string, string> = {}) => {
				await client.create(
					coreKinds.pods,
					{
						apiVersion: 'v1',
						kind: 'Pod',
						metadata: { name, labels },
						spec: { nodeName: 'gc-a', containers: [{ name: 'c', image: 'c' }] },
					},
					'default',
				);
				if (address !== undefined)
					await client.patch(
						coreKinds.pods,
						name,
						{ status: { phase: 'Running', podIP: address, podIPs: [{ ip: address }] } },
						'application/merge-patch+json',
						{
							namespace: 'default',
							subresource: 'status',
						},
					);
			};
			await pod('alive', await assign('alive'));
			// Its address is assigned, and its status does not show it yet.
			await assign('starting');
			await pod('starting', undefined);
			const lost = await assign('gone');
			await client.create(kinds.handles, {
				apiVersion: layout,
				kind: 'IPAMHandle',
				metadata: { name: 'gc.orphan' },
				spec: { handleID: 'gc.orphan', block: {} },
			});

			const [a, b] = [service('gc-a'), service('gc-b')];
			const first = await a.handlers.ipamCollect({});
			t.like(first, { collector: 'running', collected: { addresses: 0, claims: 0, handles: 0 } });
			await t.throwsAsync(() => Promise.resolve(b.handlers.ipamCollect({})), {
				instanceOf: ControlError,
				message: /node gc-a holds the lease/,
			});
			const seen = await a.handlers.ipamGarbage({});
			t.deepEqual(
				seen.leaks
					.filter(({ handleId }) => handleId.startsWith('gc.'))
					.map(({ handleId, addresses, reason }) => ({ handleId, addresses, reason })),
				[{ handleId: 'gc.gone', addresses: [lost], reason: 'pod default/gone does not exist' }],
			);
			t.true(seen.handles.some(({ handleId }) => handleId === 'gc.orphan'));
			t.not(await client.get(kinds.handles, 'gc.gone'), undefined, 'a look touches nothing');

			await sleep(graceMs + 50);
			const { collected } = await a.handlers.ipamCollect({});
			t.true((collected?.addresses ?? 0) >= 1 && (collected?.handles ?? 0) >= 1);
			t.is(a.total.addresses, collected?.addresses ?? -1);
			for (const name of ['gc.gone', 'gc.orphan']) t.is(await client.get(kinds.handles, name), undefined, name);
			for (const name of ['gc.alive', 'gc.starting']) t.not(await client.get(kinds.handles, name), undefined, name);

			t.is(
				textAt(
					await client.get(coreKinds.leases, 'bgpmesh-ipam-garbage-collector', 'kube-system'),
					'spec',
					'holderIdentity',
				),
				'gc-a',
			);
			await a.stop();
			t.like(await b.handlers.ipamCollect({}), { collector: 'running' }, 'who stops lets go of the lease');

			await pod('kube-controllers', undefined, { 'k8s-app': 'calico-kube-controllers' });
			await t.throwsAsync(() => Promise.resolve(b.handlers.ipamCollect({})), {
				message: /Calico's kube-controllers run/,
			});
			t.like(
				await service('gc-b', { mode: 'on' }).handlers.ipamCollect({}),
				{ collector: 'running' },
				'unless it is configured to',
			);
			await t.throwsAsync(() => Promise.resolve(service('gc-b', { mode: 'off' }).handlers.ipamCollect({})), {
				message: /garbageCollection is off/,
			});
			for (const name of ['alive', 'starting', 'kube-controllers'])
				await client.remove(coreKinds.pods, name, { namespace: 'default' });
			for (const name of ['gc.alive', 'gc.starting']) await allocator.release(name);
			await client.remove(kinds.pools, 'gc');
			await client.remove(coreKinds.nodes, 'gc-a');
		},
	);
}
