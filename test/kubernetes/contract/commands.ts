import { execFile } from 'node:child_process';
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
	'bang.yaml':
		'apiVersion: crd.projectcalico.org/v1\nkind: BGPPeer\nmetadata: { name: bang }\nspec:\n  nodeSelector: !has(rr)\n  peerSelector: has(rr)\n',
	'native.yaml':
		'apiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata: { name: cli-native }\nspec: { peerIP: 10.1.0.1, asNumber: 64501 }\n---\napiVersion: projectcalico.org/v3\nkind: IPAMConfiguration\nmetadata: { name: default }\nspec: { strictAffinity: false, autoAllocateBlocks: true }\n---\napiVersion: projectcalico.org/v3\nkind: UISettings\nmetadata: { name: p }\nspec: {}\n',
};

/** The output of `bgpmesh` with this standard input. */
function runPiped(given: readonly string[], input: string): Promise<string> {
	return new Promise((resolve, reject) => {
		const program = join(import.meta.dirname ?? '.', '../../../../bin/bgpmesh.js');
		const child = execFile(process.execPath, [program, ...given], (error, stdout, stderr) =>
			error === null ? resolve(stdout) : reject(new Error(stderr)),
		);
		child.stdin?.end(input);
	});
}

/** `bgpmesh apply` and `bgpmesh get` as used on a command line. */
export function testCommands(test: TestFn, getServer: () => ServerUnderTest, folder: string): void {
	const place = (name: keyof typeof files) => join(folder, name);
	const bgpmesh = (...given: string[]) =>
		run('bgpmesh.js', [...given, '--kubeconfig', kubeconfig(getServer(), folder)]);

	test.serial('bgpmesh apply creates, changes or leaves each object, and reports which', async (t) => {
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
		writeFileSync(
			place('first.yaml'),
			files['first.yaml'].replace('from: cli } }\nspec', 'from: cli, more: "yes" } }\nspec'),
		);
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

	test.serial('bgpmesh get shows the columns of the server, and whole objects with all digits', async (t) => {
		const table = await bgpmesh('get', 'ippools', '-l', 'from=cli');
		t.regex(table.stdout, /^NAME .*\ncli-pool .*\n$/, table.stderr);
		t.is((await bgpmesh('get', 'no', '-l', 'from=cli', '-o', 'name')).stdout, 'node/cli-node\n');
		const whole = await bgpmesh('get', 'ipamblock', '10-209-0-0-28', '-o', 'json');
		t.regex(whole.stdout, /"sequenceNumber": 9223372036854775783,?\n/, whole.stderr);
		t.regex(
			(await bgpmesh('get', 'ipamblocks.crd.projectcalico.org', '10-209-0-0-28', '-o', 'yaml')).stdout,
			/\n {2}sequenceNumber: 9223372036854775783\n/,
		);
		const all = await bgpmesh('get', 'leases', '-A');
		t.regex(all.stdout, /^NAMESPACE +NAME .*\n(.*\n)*default +cli-lease .*\n/, all.stderr);
		const list = await bgpmesh('get', 'ippools', '-l', 'from=cli', '--json');
		t.like(JSON.parse(list.stdout), {
			kind: 'List',
			items: [{ kind: 'IPPool', metadata: { name: 'cli-pool', labels: { more: 'yes' } } }],
		});
		const none = await bgpmesh('get', 'nodes', 'visitor');
		t.is(none.code, 1);
		t.regex(none.stderr, /nodes "visitor" not found/);
		t.regex((await bgpmesh('get', 'things')).stderr, /has no resource 'things'/);
	});

	test.serial('bgpmesh apply accepts the output of bgpmesh get, also from standard input', async (t) => {
		const printed = await bgpmesh('get', 'ippools', '-l', 'from=cli', '-o', 'yaml');
		t.notRegex(printed.stdout, /managedFields/);
		const file = join(folder, 'printed.yaml');
		writeFileSync(file, printed.stdout.replace(/more: "?yes"?/, 'more: "no"'));
		const taken = await bgpmesh('apply', '-f', file, '--force-conflicts');
		t.is(taken.stdout, 'ippool.crd.projectcalico.org/cli-pool configured\n', taken.stderr);
		const dump = (await connect(getServer(), folder)).get(
			{ kind: 'IPPool', apiVersion: 'crd.projectcalico.org/v1', plural: 'ippools', namespaced: false },
			'cli-pool',
		);
		// As from another cluster, with all fields that its server had set.
		writeFileSync(file, JSON.stringify(await dump));
		t.is((await bgpmesh('apply', '-f', file, '--force-conflicts')).code, 0);
		const piped = await runPiped(
			['apply', '-f', '-', '--kubeconfig', kubeconfig(getServer(), folder)],
			JSON.stringify(await dump),
		);
		t.regex(piped, /^ippool\.crd\.projectcalico\.org\/cli-pool (unchanged|configured)\n$/);
	});

	test.serial('resources of projectcalico.org/v3 are applied to a server of the v1 layout', async (t) => {
		const { code, stdout, stderr } = await bgpmesh('apply', '-f', place('native.yaml'));
		t.is(
			stdout,
			'bgppeer.crd.projectcalico.org/cli-native created\nipamconfig.crd.projectcalico.org/default created\n',
			stderr,
		);
		t.is(code, 1);
		t.regex(
			stderr,
			/UISettings\/p failed: .*has Calico's kinds of crd\.projectcalico\.org\/v1, and this one can not be translated/,
		);
		const api = await connect(getServer(), folder);
		const kind = { apiVersion: 'crd.projectcalico.org/v1', namespaced: false };
		await api.remove({ ...kind, kind: 'BGPPeer', plural: 'bgppeers' }, 'cli-native');
		await api.remove({ ...kind, kind: 'IPAMConfig', plural: 'ipamconfigs' }, 'default');
	});

	test.serial(
		'bgpmesh apply reports the invalid file and object, and applies no file if one does not parse',
		async (t) => {
			const rows = [
				{ file: 'broken.yaml', says: /broken\.yaml: .*at line 1, column 7/ },
				{ file: 'bang.yaml', says: /bang\.yaml: Unresolved tag: !has\(rr\) at line 5[\s\S]*must be quoted/ },
				{ file: 'nameless.yaml', says: /nameless\.yaml: metadata\.name is missing/ },
				{ file: 'unknown.yaml', says: /Thing\/one failed: .*unknown\.yaml: the server has no example\.org\/v1 Thing/ },
				{
					file: 'toolarge.yaml',
					says: /IPAMBlock\/large failed: .*toolarge\.yaml: .*sequenceNumber in body must be of type integer: "number"/,
				},
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
		},
	);
}
