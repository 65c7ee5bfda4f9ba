import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { defaultConfigFile } from '../../src/config/index.ts';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');

/**
 * Every file that contains a path on a node: documentation, unit, image, manifests and the help of
 * commands.
 */
const places = [
	'README.md',
	'Dockerfile',
	...['docs', 'systemd', 'config', 'src/cli', 'src/daemon'].flatMap((folder) =>
		readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
			.filter((file) => /\.(md|ts|yaml|service|conf)$/.test(file))
			.map((file) => join(folder, file)),
	),
];

test('the configuration file has one path everywhere', (t) => {
	const found = places.flatMap((file) =>
		[...read(file).matchAll(/\/etc\/bgpmesh\/[\w.-]*\.ya?ml/g)].map(([path]) => ({ file, path })),
	);
	t.true(found.length >= 6);
	t.deepEqual(
		found.filter(({ path }) => path !== defaultConfigFile),
		[],
	);
});

test('unit, image and DaemonSet start the daemon with that path', (t) => {
	t.regex(
		read('systemd/bgpmeshd.service'),
		new RegExp(`^ExecStart=/usr/bin/bgpmeshd --config ${defaultConfigFile}$`, 'm'),
	);
	t.regex(read('Dockerfile'), new RegExp(`^CMD \\["--config", "${defaultConfigFile}"\\]$`, 'm'));
	const manifest = read('config/daemonset.yaml');
	t.regex(manifest, /mountPath: \/etc\/bgpmesh,/);
	t.regex(manifest, /^ {2}bgpmeshd\.yaml: \|$/m);
});
