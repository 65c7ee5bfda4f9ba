import {
	CoordinationV1Api,
	CoreV1Api,
	CustomObjectsApi,
	KubeConfig,
	makeInformer,
	Watch,
} from '@kubernetes/client-node';
import type { TestFn } from 'ava';
import type { ServerUnderTest } from './transcript.ts';

function configOf(server: ServerUnderTest): KubeConfig {
	const config = new KubeConfig();
	config.loadFromOptions({
		clusters: [
			{
				name: 'c',
				server: server.url,
				caData: Buffer.from(server.certificateAuthority).toString('base64'),
				skipTLSVerify: false,
			},
		],
		users: [{ name: 'u', token: server.token }],
		contexts: [{ name: 'x', cluster: 'c', user: 'u' }],
		currentContext: 'x',
	});
	return config;
}

/** The official client for Node.js: typed objects, errors, informers. */
export function testClientNode(test: TestFn, getServer: () => ServerUnderTest): void {
	test.serial('@kubernetes/client-node makes, reads, changes and deletes', async (t) => {
		const config = configOf(getServer());
		const core = config.makeApiClient(CoreV1Api);
		await core.createNamespace({ body: { metadata: { name: 'client' } } });
		const made = await core.createNamespacedConfigMap({
			namespace: 'client',
			body: { metadata: { name: 'a' }, data: { x: 'y' } },
		});
		t.is(made.data?.['x'], 'y');
		t.true(made.metadata?.creationTimestamp instanceof Date);
		const again = await core.replaceNamespacedConfigMap({
			namespace: 'client',
			name: 'a',
			body: { ...made, data: { x: 'z' } },
		});
		t.not(again.metadata?.resourceVersion, made.metadata?.resourceVersion);
		const conflict = await t.throwsAsync(
			core.replaceNamespacedConfigMap({ namespace: 'client', name: 'a', body: made }),
		);
		t.like(conflict, { code: 409 });
		t.like(await t.throwsAsync(core.readNamespacedConfigMap({ namespace: 'client', name: 'absent' })), { code: 404 });
		const list = await core.listNamespacedConfigMap({ namespace: 'client', labelSelector: '!none', limit: 1 });
		t.deepEqual(
			list.items.map((item) => item.metadata?.name),
			['a'],
		);
		await core.deleteNamespacedConfigMap({ namespace: 'client', name: 'a' });
		const leases = config.makeApiClient(CoordinationV1Api);
		const lease = await leases.createNamespacedLease({
			namespace: 'client',
			body: { metadata: { name: 'l' }, spec: { holderIdentity: 'me', leaseDurationSeconds: 10 } },
		});
		t.is(lease.spec?.holderIdentity, 'me');
		t.like(
			await t.throwsAsync(
				config
					.makeApiClient(CustomObjectsApi)
					.listClusterCustomObject({ group: 'absent.example.com', version: 'v1', plural: 'things' }),
			),
			{ code: 404 },
		);
	});

	test.serial('an informer of @kubernetes/client-node follows', async (t) => {
		const config = configOf(getServer());
		const core = config.makeApiClient(CoreV1Api);
		const informer = makeInformer(config, '/api/v1/nodes', () => core.listNode());
		const seen: string[] = [];
		for (const kind of ['add', 'update', 'delete'] as const)
			informer.on(kind, (node) => void seen.push(`${kind} ${node.metadata?.name}`));
		informer.on('error', (error: unknown) => void seen.push(`error ${String(error)}`));
		await informer.start();
		t.teardown(() => informer.stop());
		await core.createNode({ body: { metadata: { name: 'informed' } } });
		const until = async (expected: string) => {
			for (let attempt = 0; attempt < 200 && !seen.includes(expected); attempt++)
				await new Promise((resolve) => setTimeout(resolve, 25));
			t.true(seen.includes(expected), `${expected}: ${seen.join(', ')}`);
		};
		await until('add informed');
		const node = await core.readNode({ name: 'informed' });
		await core.replaceNode({ name: 'informed', body: { ...node, metadata: { ...node.metadata, labels: { a: 'b' } } } });
		await until('update informed');
		await core.deleteNode({ name: 'informed' });
		await until('delete informed');
	});

	test.serial('a watch of @kubernetes/client-node ends when it is aborted', async (t) => {
		const config = configOf(getServer());
		const events: string[] = [];
		const controller = await new Watch(config).watch(
			'/api/v1/namespaces',
			{ resourceVersion: '0' },
			(kind: string) => void events.push(kind),
			() => {},
		);
		for (let attempt = 0; attempt < 200 && events.length === 0; attempt++)
			await new Promise((resolve) => setTimeout(resolve, 25));
		controller.abort();
		t.is(events[0], 'ADDED');
	});
}
