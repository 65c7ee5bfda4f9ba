import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestFn } from 'ava';
import { parseAllDocuments } from 'yaml';
import { type JsonObject, textAt } from '../../../src/json/index.ts';
import { ask, type ServerUnderTest } from './transcript.ts';

const config = resolve(fileURLToPath(import.meta.url), '../../../../../config');
/** Base and component of the installation; a ServiceMonitor needs the definition of its operator. */
const files = ['rbac/node.yaml', 'daemonset.yaml', 'reflector/reflector.yaml'];

/** The collection of an object: `/apis/apps/v1/namespaces/kube-system/daemonsets`. */
function pathOf(object: JsonObject): string {
	const version = textAt(object, 'apiVersion') ?? '';
	const namespace = textAt(object, 'metadata', 'namespace');
	const inside = namespace === undefined ? '' : `/namespaces/${namespace}`;
	return `/${version.includes('/') ? 'apis' : 'api'}/${version}${inside}/${textAt(object, 'kind')?.toLowerCase()}s`;
}

/** The manifests in `config` are valid, without unknown members. */
export function testManifests(test: TestFn, getServer: () => ServerUnderTest): void {
	for (const file of files)
		test.serial(`accepts every object of config/${file}`, async (t) => {
			const objects = parseAllDocuments(readFileSync(resolve(config, file), 'utf8')).map(
				(document) => document.toJSON() as JsonObject,
			);
			t.true(objects.length > 0);
			for (const object of objects) {
				const path = `${pathOf(object)}?dryRun=All&fieldValidation=Strict`;
				const { code, text } = await ask(getServer(), { method: 'POST', path, body: object });
				t.is(code, 201, `${path}: ${text}`);
			}
		});
}
