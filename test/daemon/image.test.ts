import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { parseAllDocuments } from 'yaml';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
const lines = readFileSync(join(root, 'Dockerfile'), 'utf8').split('\n');

test('every file that the image copies is in the repository, or created by its build', (t) => {
	const copied = lines.flatMap((line) => {
		const fromBuild = /^COPY --from=build \/opt\/bgpmesh\/(\S+) /.exec(line)?.[1];
		const fromHere = /^COPY ((?!--|\. )\S+(?: \S+)*) \S+$/.exec(line)?.[1]?.split(' ') ?? [];
		return [...(fromBuild === undefined ? [] : [fromBuild]), ...fromHere];
	});
	t.true(copied.length >= 6, copied.join(' '));
	// Created by `npm run build:executables`, which the tests do not need.
	const elsewhere = ['node_modules', 'dist/executables'];
	for (const path of copied) t.true(elsewhere.includes(path) || existsSync(join(root, path)), path);
});

test('every command of the package is in the image', (t) => {
	const { bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { bin: Record<string, string> };
	const linked = lines.find((line) => line.includes('ln -s')) ?? '';
	for (const [name, file] of Object.entries(bin)) {
		t.is(file, `bin/${name}.js`);
		t.regex(linked, new RegExp(`\\b${name}\\b`));
	}
});

test('a stopped container leaves as for a restart', (t) => {
	t.deepEqual(
		lines.filter((line) => line.startsWith('STOPSIGNAL ')),
		['STOPSIGNAL SIGUSR2'],
	);
});

test('the image runs the newest LTS release of Node.js that the package allows', (t) => {
	const from = lines.filter((line) => line.startsWith('FROM '));
	t.deepEqual(new Set(from.map((line) => line.split(' ')[1])), new Set(['node:24-bookworm-slim']));
});

interface Container {
	readonly env?: readonly { readonly name: string; readonly value?: string }[];
	readonly volumeMounts: readonly { readonly mountPath: string }[];
	readonly securityContext: {
		readonly privileged?: boolean;
		readonly capabilities: { readonly drop: readonly string[]; readonly add?: readonly string[] };
	};
}

test('the DaemonSet drops all capabilities and adds those that the reference explains', (t) => {
	const manifests = parseAllDocuments(readFileSync(join(root, 'config/daemonset.yaml'), 'utf8')).map(
		(document) => document.toJS() as { readonly kind: string; readonly spec?: unknown },
	);
	const daemonSet = manifests.find(({ kind }) => kind === 'DaemonSet');
	if (daemonSet === undefined) throw new Error('there is no DaemonSet');
	// The shape of its specification.
	const { containers, initContainers } = (
		daemonSet.spec as {
			readonly template: { readonly spec: Readonly<Record<'containers' | 'initContainers', readonly Container[]>> };
		}
	).template.spec;
	for (const { securityContext } of [...containers, ...initContainers]) {
		t.not(securityContext.privileged, true);
		t.deepEqual(securityContext.capabilities.drop, ['ALL']);
	}
	const explained = readFileSync(join(root, 'docs/reference/security.md'), 'utf8')
		.split('\n')
		.flatMap((line) => /^\| `CAP_(\w+)` +\| \w+ +\| yes /.exec(line)?.[1] ?? []);
	t.deepEqual(containers[0]?.securityContext.capabilities.add, explained);
	const folder = containers[0]?.env?.find(({ name }) => name === 'BGPMESH_NET_SETTINGS')?.value;
	t.true(containers[0]?.volumeMounts.some(({ mountPath }) => mountPath === folder));
});

test('compiled code is kept on a volume of the node, so that the next container starts with it', (t) => {
	const text = readFileSync(join(root, 'config/daemonset.yaml'), 'utf8');
	const folder = /name: CACHE_DIRECTORY, value: (\S+) /.exec(text)?.[1] ?? '';
	const volume = [...text.matchAll(/name: (\S+), mountPath: (\S+?)[ ,}]/g)].find(
		([, , path = '-']) => folder === path || folder.startsWith(`${path}/`),
	)?.[1];
	t.regex(text, new RegExp(`name: ${volume}\\n +hostPath: \\{ path: \\S+, type: DirectoryOrCreate`));
	t.regex(
		readFileSync(join(root, 'bin/bgpmeshd.js'), 'utf8'),
		/enableCompileCache\?\.\(process\.env\.CACHE_DIRECTORY\)/,
	);
});
