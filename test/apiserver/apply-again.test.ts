import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { systemClock } from '../../src/core/index.ts';
import { arrayAt, type JsonObject, textAt } from '../../src/json/index.ts';
import { discoverKind } from '../../src/kubernetes/index.ts';
import { startEmptyKubeServer } from '../support/kube-server.ts';

const namespaced = (apiVersion: string, kind: string, fields: JsonObject): JsonObject => ({
	...{ apiVersion, kind },
	metadata: { name: 'a', namespace: 'default' },
	...fields,
});

/** Objects without fields that the server then sets, some in lists that an apply replaces whole. */
const rows: Readonly<Record<string, (port: number) => JsonObject>> = {
	NetworkPolicy: (port) =>
		namespaced('networking.k8s.io/v1', 'NetworkPolicy', {
			spec: { podSelector: {}, ingress: [{ from: [{ podSelector: {} }], ports: [{ port }] }] },
		}),
	Service: (port) => namespaced('v1', 'Service', { spec: { selector: { app: 'web' }, ports: [{ port }] } }),
	ConfigMap: (port) => namespaced('v1', 'ConfigMap', { data: { port: String(port) } }),
};

for (const [title, objectWith] of Object.entries(rows))
	test(`${title}: the same apply at a later time changes nothing, another one does`, async (t) => {
		let nowMs = Date.parse('2026-01-02T03:04:05Z');
		const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-apply-'));
		const clock = { ...systemClock, wallMs: () => nowMs };
		const { client } = await startEmptyKubeServer(t, folder, '127.0.0.1', clock);
		const kind = await discoverKind(client, textAt(objectWith(80), 'apiVersion') ?? '', title);
		if (kind === undefined) throw new Error(`${title} is not served`);
		const apply = async (body: JsonObject) => {
			const answer = await client.patch(kind, 'a', body, 'application/apply-patch+yaml', {
				namespace: 'default',
				query: { fieldManager: 'test', force: 'false' },
			});
			nowMs += 60_000;
			const [manager] = arrayAt(answer, 'metadata', 'managedFields');
			return {
				version: textAt(answer, 'metadata', 'resourceVersion'),
				time: textAt({ manager: manager ?? {} }, 'manager', 'time'),
			};
		};
		const first = await apply(objectWith(80));
		t.is(first.time, '2026-01-02T03:04:05Z');
		t.deepEqual(await apply(objectWith(80)), first);
		const after = await apply(objectWith(81));
		t.not(after.version, first.version);
		t.is(after.time, '2026-01-02T03:06:05Z');
	});
