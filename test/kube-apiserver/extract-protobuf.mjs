/**
 * Writes config/kubernetes/protobuf.ndjson: the field numbers by which typed clients (kubectl create, controllers) send built-in objects, as the tags of
 * the Go types declare them. Each line is `[TYPE, {NUMBER: [NAME, FLAGS]}]`; flags: `o` a zero value is left out, `i` the members stand in the object itself,
 * NAME then being the type they are of. Run it after extract-schemas.mjs, when the Kubernetes release changes:
 *
 *     node test/kube-apiserver/extract-protobuf.mjs "$(go env GOMODCACHE)/k8s.io" v0.34.4
 */
import { readFileSync, writeFileSync } from 'node:fs';

const [, , modules = '', version = ''] = process.argv;
const packages = {
	'io.k8s.api.apps.v1': 'api/apps/v1',
	'io.k8s.api.core.v1': 'api/core/v1',
	'io.k8s.api.coordination.v1': 'api/coordination/v1',
	'io.k8s.api.discovery.v1': 'api/discovery/v1',
	'io.k8s.api.networking.v1': 'api/networking/v1',
	'io.k8s.api.policy.v1': 'api/policy/v1',
	'io.k8s.api.rbac.v1': 'api/rbac/v1',
	'io.k8s.apimachinery.pkg.apis.meta.v1': 'apimachinery/pkg/apis/meta/v1',
};
const shorthands = { v1: 'io.k8s.api.core.v1', metav1: 'io.k8s.apimachinery.pkg.apis.meta.v1' };

const lines = [];
for (const [name, path] of Object.entries(packages)) {
	const [module, ...rest] = path.split('/');
	const source = readFileSync(`${modules}/${module}@${version}/${rest.join('/')}/types.go`, 'utf8');
	for (const [, type, body] of source.matchAll(/^type (\w+) struct \{\n([\s\S]*?)^\}/gm)) {
		const fields = {};
		for (const [, declared, json, tag] of body.matchAll(
			/^\t(?:\w+\s+)?([*[\]\w.]+)\s+`json:"([^"]*)"[^`]*protobuf:"([^"]*)"/gm,
		)) {
			const [member, ...options] = json.split(',');
			const number = tag.split(',')[1];
			if (options.includes('inline')) {
				const [prefix, bare] = declared.includes('.') ? declared.split('.') : [undefined, declared];
				fields[number] = [`${prefix === undefined ? name : shorthands[prefix]}.${bare}`, 'i'];
			} else fields[number] = [member, options.includes('omitempty') && !declared.startsWith('*') ? 'o' : ''];
		}
		if (Object.keys(fields).length > 0) lines.push(JSON.stringify([`${name}.${type}`, fields]));
	}
}
writeFileSync('config/kubernetes/protobuf.ndjson', `${lines.sort().join('\n')}\n`);
