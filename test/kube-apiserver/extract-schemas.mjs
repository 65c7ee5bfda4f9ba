/**
 * Writes config/kubernetes/schemas.ndjson: the shapes of the built-in kinds that the embedded API server serves, as a real kube-apiserver declares them
 * in its OpenAPI documents: members, types, defaults, list and merge keys; no prose. Run it when the Kubernetes release changes:
 *
 *     node test/kube-apiserver/extract-schemas.mjs https://127.0.0.1:PORT TOKEN      (NODE_TLS_REJECT_UNAUTHORIZED=0 for a self-signed one)
 */
import { writeFileSync } from 'node:fs';

const [, , server = '', token = ''] = process.argv;
const kinds = {
	'api/v1': [
		'Namespace',
		'Node',
		'Pod',
		'Secret',
		'ConfigMap',
		'Service',
		'ServiceAccount',
		'Endpoints',
		'Event',
		'Eviction',
	],
	'apis/apps/v1': ['DaemonSet', 'Deployment'],
	'apis/coordination.k8s.io/v1': ['Lease'],
	'apis/discovery.k8s.io/v1': ['EndpointSlice'],
	'apis/networking.k8s.io/v1': ['NetworkPolicy'],
	'apis/rbac.authorization.k8s.io/v1': ['ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding'],
	'apis/apiextensions.k8s.io/v1': ['CustomResourceDefinition'],
};
const kept = new Set(['type', 'format', 'required', 'default', 'enum', 'nullable']);

/** A schema without prose; `allOf` of one reference becomes the reference. */
function bare(schema) {
	const result = {};
	const only = schema.allOf?.length === 1 ? schema.allOf[0].$ref : schema.$ref;
	if (only !== undefined) result.$ref = only.split('/').at(-1);
	for (const [key, value] of Object.entries(schema))
		if (kept.has(key) || key.startsWith('x-kubernetes-')) result[key] = value;
	if (JSON.stringify(result.default) === '{}') delete result.default;
	if (schema.properties)
		result.properties = Object.fromEntries(
			Object.entries(schema.properties).map(([name, child]) => [name, bare(child)]),
		);
	if (schema.items) result.items = bare(schema.items);
	if (schema.additionalProperties) result.additionalProperties = bare(schema.additionalProperties);
	if (schema.oneOf) result['x-kubernetes-int-or-string'] ??= true;
	return result;
}

const definitions = {};
function collect(name, all) {
	if (name in definitions) return;
	definitions[name] = bare(all[name]);
	for (const [, reference] of JSON.stringify(definitions[name]).matchAll(/"\$ref":"([^"]+)"/g)) collect(reference, all);
}

for (const [path, wanted] of Object.entries(kinds)) {
	const response = await fetch(`${server}/openapi/v3/${path}`, { headers: { authorization: `Bearer ${token}` } });
	const { schemas } = (await response.json()).components;
	if (path === 'api/v1') collect('io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions', schemas);
	for (const [name, schema] of Object.entries(schemas)) {
		const kind = schema['x-kubernetes-group-version-kind'];
		if (kind?.length === 1 && wanted.includes(kind[0].kind) && !name.endsWith('List')) collect(name, schemas);
	}
}
const sorted = Object.fromEntries(Object.entries(definitions).sort(([left], [right]) => (left < right ? -1 : 1)));
const lines = Object.entries(sorted).map((entry) => JSON.stringify(entry));
writeFileSync('config/kubernetes/schemas.ndjson', `${lines.join('\n')}\n`);
