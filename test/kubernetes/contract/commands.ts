import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestFn } from 'ava';
import { run } from '../../support/daemon.ts';
import { connect, kubeconfig } from './cluster.ts';
import type { ServerUnderTest } from './transcript.ts';

const files = {
	'first.yaml': `# two documents, one of them a list
apiVersion: crd.projectcalico.org/v1
kind: IPPool
metadata: { name: cli-pool, labels: { from: cli } }
spec: { cidr: 10.209.0.0/24, blockSize: 28, nodeSelector: all() }
---
apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: Node
    metadata: { name: cli-node, labels: { from: cli } }
  - apiVersion: crd.projectcalico.org/v1
    kind: IPAMBlock
    metadata: { name: 10-209-0-0-28 }
    spec: { cidr: 10.209.0.0/28, allocations: [null], attributes: [], unallocated: [0], strictAffinity: false, sequenceNumber: 9223372036854775783 }
---
# nothing
`,
	'lease.json': `{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"cli-lease"},"spec":{"holderIdentity":"me"}}`,
	'broken.yaml': 'kind: Node\n  metadata: [',
	'unknown.yaml': 'apiVersion: example.org/v1\nkind: Thing\nmetadata: { name: one }\n',
	'invalid.yaml': 'apiVersion: v1\nkind: Node\nmetadata: { name: Not_A_Name }\n',
	'toolarge.yaml':
		'apiVersion: crd.projectcalico.org/v1\nkind: IPAMBlock\nmetadata: { name: large }\nspec: { cidr: 10.209.1.0/28, allocations: [], attributes: [], unallocated: [], strictAffinity: false, sequenceNumber: 9223372036854775808 }\n',
	'nameless.yaml': 'apiVersion: v1\nkind: Node\n',
};

/** `bgpmesh apply` and `bgpmesh get` as a person types them. */
export function testCommands(test: TestFn, getServer: () => ServerUnderTest, folder: string): void {
	const place = (name: keyof typeof files) => join(folder, name);
	const bgpmesh = (...given: string[]) => run('bgpmesh.js', [...given, '--kubeconfig', kubeconfig(getServer(), folder)]);

	test.serial('bgpmesh apply creates, changes and leaves alone, and says which', async (t) => {
		await connect(getServer(), folder);
		for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
		const dry = await bgpmesh('apply', '-f', place('lease.json'), '--dry-run');
		t.is(dry.stdout, 'lease.coordination.k8s.io/cli-lease created (dry run)\n', dry.stderr);
		const first = await bgpmesh('apply', '-f', place('first.yaml'), '-f', place('lease.json'));
		t.is(
			first.stdout,
			'ippool.crd.projectcalico.org/cli-pool created\nnode/cli-node created\nipamblock.crd.projectcalico.org/10-209-0-0-28 created\nlease.coordination.k8s.io/cli-lease created\n',
			first.stderr,
		);
		t.is(first.code, 0);
		writeFileSync(place('first.yaml'), files['first.yaml'].replace('from: cli } }\nspec', 'from: cli, more: "yes" } }\nspec'));
		const again = await bgpmesh('apply', '-f', place('first.yaml'), '--json');
		t.deepEqual(
			again.stdout
				.trim()
				.split('\n')
				.map((line) => JSON.parse(line)),
			[
				{ object: 'ippool.crd.projectcalico.org/cli-pool', outcome: 'configured' },
				{ object: 'node/cli-node', outcome: 'unchanged' },
				{ object: 'ipamblock.crd.projectcalico.org/10-209-0-0-28', outcome: 'unchanged' },
			],
			again.stderr,
		);
	});

	test.serial('bgpmesh get shows the columns of the server, and whole objects with every digit', async (t) => {
		const table = await bgpmesh('get', 'ippools', '-l', 'from=cli');
		t.regex(table.stdout, /^NAME .*\ncli-pool .*\n$/, table.stderr);
		t.is((await bgpmesh('get', 'no', '-l', 'from=cli', '-o', 'name')).stdout, 'node/cli-node\n');
		const whole = await bgpmesh('get', 'ipamblock', '10-209-0-0-28', '-o', 'json');
		t.regex(whole.stdout, /"sequenceNumber": 9223372036854775783,?\n/, whole.stderr);
		t.regex((await bgpmesh('get', 'ipamblocks.crd.projectcalico.org', '10-209-0-0-28', '-o', 'yaml')).stdout, /\n {2}sequenceNumber: 9223372036854775783\n/);
		const all = await bgpmesh('get', 'leases', '-A');
		t.regex(all.stdout, /^NAMESPACE +NAME .*\n(.*\n)*default +cli-lease .*\n/, all.stderr);
		const list = await bgpmesh('get', 'ippools', '-l', 'from=cli', '--json');
		t.like(JSON.parse(list.stdout), { kind: 'List', items: [{ kind: 'IPPool', metadata: { name: 'cli-pool', labels: { more: 'yes' } } }] });
		const none = await bgpmesh('get', 'nodes', 'nobody');
		t.is(none.code, 1);
		t.regex(none.stderr, /nodes "nobody" not found/);
		t.regex((await bgpmesh('get', 'things')).stderr, /has no resource 'things'/);
	});

	test.serial('bgpmesh apply says which file and object is wrong, and applies nothing of files that do not parse', async (t) => {
		const rows = [
			{ file: 'broken.yaml', says: /broken\.yaml: .*at line 1, column 7/ },
			{ file: 'nameless.yaml', says: /nameless\.yaml: metadata\.name is missing/ },
			{ file: 'unknown.yaml', says: /Thing\/one failed: .*unknown\.yaml: the server has no example\.org\/v1 Thing/ },
			{ file: 'toolarge.yaml', says: /IPAMBlock\/large failed: .*toolarge\.yaml: .*sequenceNumber in body must be of type integer: "number"/ },
			{ file: 'invalid.yaml', says: /Node\/Not_A_Name failed: .*invalid\.yaml: .*RFC 1123/ },
		] as const;
		for (const { file, says } of rows) {
			const { code, stderr } = await bgpmesh('apply', '-f', place(file));
			t.is(code, 1, file);
			t.regex(stderr, says);
		}
		const { code, stderr } = await bgpmesh('apply', '-f', join(folder, 'absent.yaml'));
		t.is(code, 1);
		t.regex(stderr, /absent\.yaml can't be read/);
		t.is((await bgpmesh('get', 'ippools', 'x', '-A')).code, 2);
		await bgpmesh('get', 'ippools');
		const api = await connect(getServer(), folder);
		for (const [plural, kind, apiVersion, name] of [
			['ippools', 'IPPool', 'crd.projectcalico.org/v1', 'cli-pool'],
			['ipamblocks', 'IPAMBlock', 'crd.projectcalico.org/v1', '10-209-0-0-28'],
			['nodes', 'Node', 'v1', 'cli-node'],
		] as const)
			await api.remove({ plural, kind, apiVersion, namespaced: false }, name);
	});
}
