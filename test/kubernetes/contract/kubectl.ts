import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestFn } from 'ava';
import type { ServerUnderTest } from './transcript.ts';

interface Outcome {
	readonly code: number;
	readonly stdout: string;
	readonly stderr: string;
}

const rightsOfNode = resolve(fileURLToPath(import.meta.url), '../../../../../config/rbac/node.yaml');
const unknown = 'apiVersion: nothing.example.com/v1\nkind: Thing\nmetadata: { name: x }\n';

const definition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: pools.kubectl.example.com }
spec:
  group: kubectl.example.com
  scope: Cluster
  names: { plural: pools, kind: Pool, shortNames: [pl] }
  versions:
    - name: v1
      served: true
      storage: true
      subresources: { scale: { specReplicasPath: .spec.count, statusReplicasPath: .status.count } }
      additionalPrinterColumns: [{ name: CIDR, type: string, jsonPath: .spec.cidr }]
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              required: [cidr]
              properties:
                cidr: { type: string, description: The addresses. }
                size: { type: integer, format: int64, default: 26 }
                count: { type: integer, default: 1 }
`;
const pool = (cidr: string, more = '') => `
apiVersion: kubectl.example.com/v1
kind: Pool
metadata: { name: p }
spec: { cidr: ${cidr}${more} }
`;
const configMap = (data: string) => `
apiVersion: v1
kind: ConfigMap
metadata: { name: c, namespace: kubectl }
data: ${data}
`;
const pod = (image: string) => `
apiVersion: v1
kind: Pod
metadata: { name: p, namespace: kubectl, labels: { app: x } }
spec: { containers: [{ name: a, image: "${image}" }] }
`;

/** kubectl with its own patches, tables, schemas and validation. */
export function testKubectl(test: TestFn, kubectl: string | undefined, getServer: () => ServerUnderTest): void {
	if (kubectl === undefined) {
		test.skip('kubectl: the one of this release is not here; `npm run setup:kube` builds it', () => {});
		return;
	}
	test.serial('kubectl works in common use', async (t) => {
		const server = getServer();
		const home = mkdtempSync(join(tmpdir(), 'bgpmesh-kubectl-'));
		t.teardown(() => rmSync(home, { recursive: true, force: true }));
		writeFileSync(join(home, 'ca.crt'), server.certificateAuthority);
		const run = (input: string, ...given: readonly string[]): Promise<Outcome> =>
			new Promise((resolve, reject) => {
				const flags = [
					'--server',
					server.url,
					'--certificate-authority',
					join(home, 'ca.crt'),
					'--token',
					server.token,
					...given,
				];
				const child = spawn(kubectl, flags, {
					env: { HOME: home, PATH: process.env['PATH'], KUBE_EDITOR: `sed -i s/size:.*/size:\\ 27/` },
				});
				let [stdout, stderr] = ['', ''];
				child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
				child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
				child.on('error', reject);
				child.on('close', (code) => resolve({ code: code ?? -1, stdout, stderr }));
				child.stdin.on('error', () => {});
				child.stdin.end(input);
			});
		const says = async (expected: RegExp, input: string, ...given: readonly string[]) => {
			const { code, stdout, stderr } = await run(input, ...given);
			t.is(code, 0, `${given.join(' ')}: ${stderr}`);
			t.regex(stdout, expected, `${given.join(' ')}: ${stderr}`);
		};
		const refuses = async (expected: RegExp, input: string, ...given: readonly string[]) => {
			const { code, stderr } = await run(input, ...given);
			t.not(code, 0, given.join(' '));
			t.regex(stderr, expected, given.join(' '));
		};
		await says(/namespace\/kubectl created/, '', 'create', 'namespace', 'kubectl');
		await says(/configmap\/made created/, '', 'create', 'configmap', 'made', '-n', 'kubectl', '--from-literal=a=b');
		await says(/^b$/, '', 'get', 'configmap', 'made', '-n', 'kubectl', '-o', 'jsonpath={.data.a}');
		await says(
			/secret\/s created/,
			'',
			'create',
			'secret',
			'generic',
			's',
			'-n',
			'kubectl',
			'--from-literal=password=x',
		);
		await says(/^eA==$/, '', 'get', 'secret', 's', '-n', 'kubectl', '-o', 'jsonpath={.data.password}');
		await says(/configmap\/c created/, configMap('{ a: "1", b: "2" }'), 'apply', '-f', '-');
		await says(/configmap\/c unchanged/, configMap('{ a: "1", b: "2" }'), 'apply', '-f', '-');
		await says(/configmap\/c configured/, configMap('{ a: "3" }'), 'apply', '-f', '-');
		await says(/^\{"a":"3"\}$/, '', 'get', 'configmap', 'c', '-n', 'kubectl', '-o', 'jsonpath={.data}');
		await says(/configmap\/c serverside-applied/, configMap('{ a: "3" }'), 'apply', '--server-side', '-f', '-');
		await refuses(
			/conflict with "kubectl"/,
			configMap('{ a: "4" }'),
			'apply',
			'--server-side',
			'--field-manager',
			'other',
			'-f',
			'-',
		);
		await says(
			/serverside-applied/,
			configMap('{ a: "4" }'),
			'apply',
			'--server-side',
			'--field-manager',
			'other',
			'--force-conflicts',
			'-f',
			'-',
		);
		await says(/^ +a: "3"/m, '', 'apply', 'view-last-applied', 'configmap/c', '-n', 'kubectl');
		await refuses(/unknown field "surprise"/, `${configMap('{}')}surprise: 1\n`, 'apply', '-f', '-');
		await says(/pod\/p created/, pod('i:1'), 'apply', '-f', '-');
		await says(/pod\/p configured/, pod('i:2'), 'apply', '-f', '-');
		await says(/p +0\/1 +Pending +0 +\d+s/, '', 'get', 'pods', '-n', 'kubectl');
		await says(/NAME.*NODE/, '', 'get', 'pods', '-n', 'kubectl', '-o', 'wide');
		await says(/pod\/p labeled/, '', 'label', 'pod', 'p', '-n', 'kubectl', 'more=yes');
		await says(/pod\/p annotated/, '', 'annotate', 'pod', 'p', '-n', 'kubectl', 'note=yes');
		await says(/^p$/m, '', 'get', 'pods', '-A', '-l', 'more=yes', '-o', 'custom-columns=:metadata.name');
		await says(/customresourcedefinition.*created/, definition, 'apply', '-f', '-');
		await says(
			/condition met/,
			'',
			'wait',
			'--for=condition=Established',
			'crd/pools.kubectl.example.com',
			'--timeout=30s',
		);
		await says(/pool.kubectl.example.com\/p created/, pool('10.0.0.0/16'), 'apply', '-f', '-');
		await says(/pool.kubectl.example.com\/p configured/, pool('10.1.0.0/16'), 'apply', '-f', '-');
		await refuses(/unknown field "spec.typo"/, pool('10.1.0.0/16', ', typo: 1'), 'apply', '-f', '-');
		await says(/NAME +CIDR\s+p +10\.1\.0\.0\/16/, '', 'get', 'pl');
		await says(
			/pool.kubectl.example.com\/p patched/,
			'',
			'patch',
			'pool',
			'p',
			'--type=merge',
			'-p',
			'{"spec":{"size":1780000000123456789}}',
		);
		await says(/^1780000000123456789$/, '', 'get', 'pool', 'p', '-o', 'jsonpath={.spec.size}');
		await says(
			/patched/,
			'',
			'patch',
			'pool',
			'p',
			'--type=json',
			'-p',
			'[{"op":"replace","path":"/spec/cidr","value":"10.2.0.0/16"}]',
		);
		await says(/pool.kubectl.example.com\/p edited/, '', 'edit', 'pool', 'p');
		await says(/^27$/, '', 'get', 'pool', 'p', '-o', 'jsonpath={.spec.size}');
		await says(/pool.kubectl.example.com\/p scaled/, '', 'scale', 'pool', 'p', '--replicas=28');
		await refuses(
			/Expected replicas to be 3, was 28/,
			'',
			'scale',
			'pool',
			'p',
			'--replicas=9',
			'--current-replicas=3',
		);
		await says(/NAME +DESIRED +AVAILABLE +AGE\s+p +28 +0/, '', 'get', 'pool', 'p', '--subresource=scale');
		await says(/replaced/, `${pool('10.3.0.0/16')}`, 'replace', '-f', '-');
		await says(/KIND: +Pool[\s\S]*cidr\s+<string>/, '', 'explain', 'pool.spec');
		await says(/The addresses\./, '', 'explain', 'pool.spec.cidr');
		await says(/KIND: +Node[\s\S]*podCIDR\s+<string>/, '', 'explain', 'node.spec');
		await says(/KIND: +Pod[\s\S]*spec\s+<PodSpec>/, '', 'explain', 'pod');
		await says(/KIND: +Secret[\s\S]*stringData\s+<map\[string\]string>/, '', 'explain', 'secret', '--recursive');
		await says(
			/pools +pl +kubectl\.example\.com\/v1 +false +Pool/,
			'',
			'api-resources',
			'--api-group=kubectl.example.com',
		);
		await says(/kubectl\.example\.com\/v1/, '', 'api-versions');
		await says(/Server Version: v1\.34/, '', 'version');
		await says(/admin/, '', 'auth', 'whoami');
		await says(/^yes/, '', 'auth', 'can-i', 'delete', 'nodes');
		await says(
			/clusterrole\S+\/bgpmesh-node (created|configured|unchanged)[\s\S]*rolebinding\S+\/bgpmesh-node/,
			'',
			'apply',
			'-f',
			rightsOfNode,
		);
		await says(
			/clusterrole\S+\/bgpmesh-node unchanged[\s\S]*rolebinding\S+\/bgpmesh-node unchanged/,
			'',
			'apply',
			'-f',
			rightsOfNode,
		);
		await says(/bgpmesh-node +Role\/bgpmesh-node +\d+s/, '', 'get', 'rolebindings', '-n', 'kube-system');
		await says(
			/ipamblocks\.crd\.projectcalico\.org +\[\] +\[\] +\[get list watch create update delete\]/,
			'',
			'describe',
			'clusterrole',
			'bgpmesh-node',
		);
		await says(
			/clusterrole\S+\/typed created/,
			'',
			'create',
			'clusterrole',
			'typed',
			'--verb=get,list',
			'--resource=pods',
			'--save-config',
		);
		await says(
			/^get list pods$/,
			'',
			'get',
			'clusterrole',
			'typed',
			'-o',
			'jsonpath={.rules[0].verbs[*]} {.rules[0].resources[0]}',
		);
		await says(
			/clusterrolebinding\S+\/typed created/,
			'',
			'create',
			'clusterrolebinding',
			'typed',
			'--clusterrole=typed',
			'--user=u',
			'--serviceaccount=a:b',
		);
		await says(
			/^User u ServiceAccount b$/,
			'',
			'get',
			'clusterrolebinding',
			'typed',
			'-o',
			'jsonpath={.subjects[0].kind} {.subjects[0].name} {.subjects[1].kind} {.subjects[1].name}',
		);
		await says(
			/node\/drained created/,
			'apiVersion: v1\nkind: Node\nmetadata: { name: drained }\n',
			'create',
			'-f',
			'-',
		);
		await says(
			/pod\/d created/,
			pod('i:1').replace('name: p,', 'name: d,').replace('spec: {', 'spec: { nodeName: drained,'),
			'create',
			'-f',
			'-',
		);
		await says(
			/evicting pod kubectl\/d|node\/drained drained/,
			'',
			'drain',
			'drained',
			'--force',
			'--grace-period=0',
			'--timeout=60s',
		);
		await refuses(/pods "d" not found/, '', 'get', 'pod', 'd', '-n', 'kubectl');
		// Validation requests the schema document of the kind in several formats, and none exists.
		await refuses(/no matches for kind "Thing" in version "nothing.example.com\/v1"/, unknown, 'apply', '-f', '-');
		await says(/Name: +p[\s\S]*Spec:/, '', 'describe', 'pool', 'p');
		await says(/^(kind: Pool|apiVersion)/m, '', 'get', 'pool', 'p', '-o', 'yaml');
		await says(/"p" deleted.*\(server dry run\)/, '', 'delete', 'pool', 'p', '--dry-run=server');
		await says(/"p" deleted.*\(server dry run\)/, '', 'delete', 'pools', '--all', '--dry-run=server');
		await says(/pool.kubectl.example.com "p" deleted/, '', 'delete', 'pool', 'p');
		await refuses(/pools.kubectl.example.com "p" not found/, '', 'get', 'pool', 'p');
		await says(/pod "p"( force)? deleted/, '', 'delete', 'pod', 'p', '-n', 'kubectl', '--now');
		await says(/configmap "c" deleted/, '', 'delete', 'configmap', '-n', 'kubectl', '--all');
		await says(/deleted/, '', 'delete', 'crd', 'pools.kubectl.example.com');
	});

	test.serial('kubectl follows changes', async (t) => {
		const server = getServer();
		const home = mkdtempSync(join(tmpdir(), 'bgpmesh-kubectl-'));
		t.teardown(() => rmSync(home, { recursive: true, force: true }));
		writeFileSync(join(home, 'ca.crt'), server.certificateAuthority);
		const flags = ['--server', server.url, '--certificate-authority', join(home, 'ca.crt'), '--token', server.token];
		const watching = spawn(kubectl, [...flags, 'get', 'nodes', '--watch', '--output-watch-events'], {
			env: { HOME: home },
		});
		let seen = '';
		watching.stdout.setEncoding('utf8').on('data', (chunk: string) => (seen += chunk));
		const until = async (expected: RegExp) => {
			for (let attempt = 0; attempt < 200 && !expected.test(seen); attempt++)
				await new Promise((resolve) => setTimeout(resolve, 50));
			t.regex(seen, expected);
		};
		const once = (input: string, ...given: readonly string[]) =>
			new Promise((resolve) => {
				const child = spawn(kubectl, [...flags, ...given], { env: { HOME: home } });
				child.on('close', resolve);
				child.stdin.end(input);
			});
		t.is(await once('{"apiVersion":"v1","kind":"Node","metadata":{"name":"watched"}}', 'apply', '-f', '-'), 0);
		await until(/ADDED +watched/);
		t.is(await once('', 'cordon', 'watched'), 0);
		await until(/MODIFIED +watched +Unknown,SchedulingDisabled/);
		t.is(await once('', 'delete', 'node', 'watched'), 0);
		await until(/DELETED +watched/);
		watching.kill();
	});
}
