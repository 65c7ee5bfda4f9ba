import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import test from 'ava';
import { type ConflistOptions, conflist, installedText, isOurs, shadowedBy, shadowing, wasInstalled } from '../../src/cni/install/conflist.ts';
import { type Installed, main, type Uninstalled } from '../../src/cni/install/index.ts';

const options: ConflistOptions = {
	name: 'k8s-pod-network',
	plugin: 'ptp',
	families: ['ipv4'],
	mtuBytes: undefined,
	socket: undefined,
	kubeconfig: '/etc/cni/net.d/calico-kubeconfig',
};
const ipam = { type: 'bgpmesh-ipam', assign_ipv4: true, assign_ipv6: false };

const lists: readonly { title: string; options: Partial<ConflistOptions>; plugin: object }[] = [
	{ title: 'ptp has a gateway inside the block', options: {}, plugin: { type: 'ptp', ipam: { ...ipam, gateway: 'auto' } } },
	{
		title: 'bridge has it on the bridge',
		options: { plugin: 'bridge', mtuBytes: 1480 },
		plugin: { type: 'bridge', bridge: 'bgpmesh0', isGateway: true, hairpinMode: true, mtu: 1480, ipam: { ...ipam, gateway: 'auto' } },
	},
	{
		title: 'both families, another socket',
		options: { families: ['ipv4', 'ipv6'], socket: '/tmp/x.sock' },
		plugin: { type: 'ptp', ipam: { ...ipam, assign_ipv6: true, socket: '/tmp/x.sock', gateway: 'auto' } },
	},
	{
		title: 'calico has none: it makes its own',
		options: { plugin: 'calico' },
		plugin: { type: 'calico', datastore_type: 'kubernetes', ipam, policy: { type: 'k8s' }, kubernetes: { kubeconfig: '/etc/cni/net.d/calico-kubeconfig' } },
	},
];
for (const { title, options: given, plugin } of lists) {
	test(`conflist: ${title}`, (t) => {
		const list = conflist({ ...options, ...given });
		t.deepEqual(list, { cniVersion: '1.0.0', name: 'k8s-pod-network', plugins: [plugin] });
		t.true(isOurs(JSON.stringify(list)));
	});
}

for (const text of ['{', 'null', '{"plugins":{}}', '{"plugins":[null,{"type":"ptp","ipam":{"type":"host-local"}}]}'])
	test(`somebody else's: ${text}`, (t) => t.false(isOurs(text)));

test('what the runtime takes before ours is the first of the names', (t) => {
	t.is(shadowedBy('10-bgpmesh.conflist', ['20-z.conf', '10-bgpmesh.conflist', '05-b.conf', '00-a.conflist', '00-notes.txt']), '00-a.conflist');
	t.is(shadowedBy('10-bgpmesh.conflist', ['10-calico.conflist', '10-bgpmesh.conflist']), undefined);
	t.deepEqual(shadowing('10-bgpmesh.conflist', ['99-z.conf', '10-calico.conflist', '10-bgpmesh.conflist', '05-b.conf', 'notes']), [
		'10-calico.conflist',
		'99-z.conf',
	]);
});

test('the plugin begins with an absolute path, unless the kernel does not take that', (t) => {
	const plain = '#!/usr/bin/env node\n"use strict";\n';
	const mark = '// installed by bgpmesh-cni';
	t.is(installedText(plain, '/opt/node/bin/node'), `#!/opt/node/bin/node\n${mark}\n"use strict";\n`);
	for (const node of ['/opt/with space/node', `/${'x'.repeat(130)}`]) t.is(installedText(plain, node), `#!/usr/bin/env node\n${mark}\n"use strict";\n`);
	t.deepEqual([wasInstalled(installedText(plain, '/n')), wasInstalled(plain), wasInstalled('')], [true, false, false]);
});

const repository = resolve(import.meta.dirname ?? '.', '../../..');

function setUp() {
	const folder = mkdtempSync(join(tmpdir(), 'cni-install-'));
	const bundle = join(folder, 'bundle.cjs');
	writeFileSync(bundle, '#!/usr/bin/env node\nconsole.log("here");\n');
	const [binDir, confDir] = [join(folder, 'bin'), join(folder, 'conf')];
	const run = (...given: string[]) => {
		const said = { code: -1, output: '', complaints: '' };
		said.code = main({
			arguments: given,
			bundle,
			node: process.execPath,
			write: (text) => {
				said.output += text;
			},
			complain: (text) => {
				said.complaints += text;
			},
		});
		return said;
	};
	const install = (...given: string[]) => run('install', '--bin-dir', binDir, '--conf-dir', confDir, ...given);
	const installed = (...given: string[]) => JSON.parse(install('--json', ...given).output) as Installed;
	const uninstall = (...given: string[]) => run('uninstall', '--bin-dir', binDir, '--conf-dir', confDir, ...given);
	const uninstalled = (...given: string[]) => (JSON.parse(uninstall('--json', ...given).output) as Uninstalled).files.map(({ change }) => change);
	return {
		folder,
		bundle,
		binDir,
		confDir,
		run,
		install,
		installed,
		uninstall,
		uninstalled,
		plugin: join(binDir, 'bgpmesh-ipam'),
		list: join(confDir, '10-bgpmesh.conflist'),
	};
}

test('install writes plugin and configuration, and nothing the second time', (t) => {
	const { installed, install, plugin, list, binDir, confDir } = setUp();
	t.deepEqual(
		installed().files.map(({ change }) => change),
		['written', 'written'],
	);
	t.is(execFileSync(plugin, { encoding: 'utf8' }), 'here\n');
	t.is(readFileSync(plugin, 'utf8').split('\n')[0], `#!${process.execPath}`);
	t.deepEqual([statSync(plugin).mode & 0o777, statSync(list).mode & 0o777], [0o755, 0o644]);
	t.deepEqual(JSON.parse(readFileSync(list, 'utf8')), conflist(options));
	t.deepEqual([readdirSync(binDir), readdirSync(confDir)], [['bgpmesh-ipam'], ['10-bgpmesh.conflist']]);
	t.deepEqual(
		installed().files.map(({ change }) => change),
		['unchanged', 'unchanged'],
	);
	chmodSync(plugin, 0o644);
	t.deepEqual(
		installed('--plugin', 'bridge').files.map(({ change }) => change),
		['written', 'written'],
	);
	const { code, output } = install('--plugin', 'bridge');
	t.is(code, 0);
	t.regex(output, /10-bgpmesh\.conflist: unchanged\nnote: .*\/bin\/bridge does not exist/);
});

test('a dry run says what would be written, and writes nothing', (t) => {
	const { install, folder } = setUp();
	const { code, output } = install('--dry-run', '--mtu', '1400');
	t.is(code, 0);
	t.regex(output, /bgpmesh-ipam: would be written\n.*10-bgpmesh\.conflist: would be written\n\{\n/);
	t.regex(output, /"mtu": 1400/);
	t.deepEqual(readdirSync(folder), ['bundle.cjs']);
});

test('somebody else’s configuration is overwritten with --force alone, and nothing is half done', (t) => {
	const { install, list, confDir, folder } = setUp();
	mkdirSync(confDir);
	writeFileSync(list, '{"plugins":[{"type":"ptp","ipam":{"type":"host-local"}}]}');
	const { code, complaints } = install();
	t.is(code, 1);
	t.regex(complaints, /is not a configuration for bgpmesh-ipam: --force overwrites it/);
	t.deepEqual(readdirSync(folder).sort(), ['bundle.cjs', 'conf']);
	t.is(install('--force').code, 0);
	t.true(isOurs(readFileSync(list, 'utf8')));
});

test('a program of somebody else’s is overwritten with --force alone, and nothing is half done', (t) => {
	const { install, binDir, plugin, folder } = setUp();
	mkdirSync(binDir);
	writeFileSync(plugin, '#!/bin/sh\necho theirs\n');
	const { code, complaints } = install();
	t.is(code, 1);
	t.regex(complaints, /bgpmesh-ipam was not put there by bgpmesh-cni: --force overwrites it/);
	t.deepEqual(readdirSync(folder).sort(), ['bin', 'bundle.cjs']);
	t.is(install('--force').code, 0);
	t.is(execFileSync(plugin, { encoding: 'utf8' }), 'here\n');
});

test('a program that runs is replaced under it', async (t) => {
	const { install, bundle, plugin } = setUp();
	writeFileSync(bundle, '#!/usr/bin/env node\nconsole.log("old"); process.stdin.once("data", () => { console.log("still"); process.exit(); });\n');
	install();
	const running = spawn(plugin, { stdio: ['pipe', 'pipe', 'inherit'] });
	await once(running.stdout, 'readable');
	writeFileSync(bundle, '#!/usr/bin/env node\nconsole.log("new");\n');
	t.is(install().code, 0);
	t.is(execFileSync(plugin, { encoding: 'utf8' }), 'new\n');
	running.stdin.end('.');
	t.is(await text(running.stdout), 'old\nstill\n');
});

test('what else is configured, and who can read credentials, is pointed out', (t) => {
	const { installed, confDir, binDir } = setUp();
	mkdirSync(confDir);
	mkdirSync(binDir);
	writeFileSync(join(binDir, 'calico'), '');
	writeFileSync(join(confDir, '10-calico.conflist'), '{}');
	const notes = () => installed('--plugin', 'calico').notes;
	t.regex(notes()[0] ?? '', /10-calico\.conflist is there, too: the runtime takes 10-bgpmesh\.conflist/);
	t.regex(notes()[1] ?? '', /calico-kubeconfig does not exist/);
	const kubeconfig = join(confDir, 'calico-kubeconfig');
	writeFileSync(kubeconfig, '', { mode: 0o644 });
	t.regex(notes()[1] ?? '', /calico-kubeconfig has credentials and can be read by others than its owner: chmod 600/);
	chmodSync(kubeconfig, 0o600);
	t.is(notes().length, 1);
});

test('uninstall removes what install put there, and nothing the second time', (t) => {
	const { install, uninstall, uninstalled, binDir, confDir } = setUp();
	install();
	writeFileSync(join(binDir, 'ptp'), '');
	writeFileSync(join(binDir, 'bgpmesh-ipam.77.new'), 'half of it');
	writeFileSync(join(confDir, '20-other.conflist'), '{}');
	t.deepEqual(uninstalled('--dry-run'), ['would be removed', 'would be removed', 'would be removed']);
	t.deepEqual(readdirSync(binDir), ['bgpmesh-ipam', 'bgpmesh-ipam.77.new', 'ptp']);
	const { code, output } = uninstall();
	t.is(code, 0);
	t.regex(output, /10-bgpmesh\.conflist: removed\n.*bgpmesh-ipam: removed\n.*77\.new: removed\nnote: containers that have their addresses/);
	t.deepEqual([readdirSync(binDir), readdirSync(confDir)], [['ptp'], ['20-other.conflist']]);
	t.deepEqual(uninstalled(), ['absent', 'absent']);
});

test('uninstall where nothing ever was', (t) => {
	const { uninstall } = setUp();
	const { code, output } = uninstall();
	t.is(code, 0);
	t.regex(output, /^.*10-bgpmesh\.conflist: absent\n.*bgpmesh-ipam: absent\n$/);
});

test('uninstall refuses what install has not put there, and then removes nothing', (t) => {
	for (const kind of ['list', 'plugin'] as const) {
		const { install, uninstall, binDir, confDir, ...files } = setUp();
		install();
		writeFileSync(files[kind], '{"plugins":[]}');
		const { code, complaints } = uninstall();
		t.is(code, 1);
		t.regex(complaints, /--force removes it/);
		t.deepEqual([readdirSync(binDir), readdirSync(confDir)], [['bgpmesh-ipam'], ['10-bgpmesh.conflist']]);
		t.is(uninstall('--force').code, 0);
		t.deepEqual([readdirSync(binDir), readdirSync(confDir)], [[], []]);
	}
});

for (const [title, configuration] of [
	['a list', { plugins: [{ type: 'macvlan', ipam: { type: 'bgpmesh-ipam' } }] }],
	['a single plugin', { type: 'macvlan', ipam: { type: 'bgpmesh-ipam' } }],
] as const)
	test(`the plugin stays while another configuration asks for it: ${title}`, (t) => {
		const { install, uninstall, confDir, binDir } = setUp();
		install();
		writeFileSync(join(confDir, '50-storage.conf'), JSON.stringify(configuration));
		const { code, output } = uninstall();
		t.is(code, 0);
		t.regex(output, /bgpmesh-ipam: kept\nnote: .*50-storage\.conf asks for bgpmesh-ipam\n$/);
		t.deepEqual([readdirSync(binDir), readdirSync(confDir)], [['bgpmesh-ipam'], ['50-storage.conf']]);
	});

test('a configuration that the runtime takes before ours is pointed out', (t) => {
	const { installed, confDir } = setUp();
	mkdirSync(confDir);
	writeFileSync(join(confDir, '05-other.conflist'), '{}');
	t.regex(installed().notes.join('\n'), /05-other\.conflist comes before 10-bgpmesh\.conflist/);
});

test('without the bundled plugin nothing is installed', (t) => {
	const { folder, binDir } = setUp();
	let complaints = '';
	const code = main({
		arguments: ['install', '--bin-dir', binDir, '--conf-dir', folder],
		bundle: join(folder, 'none.cjs'),
		node: process.execPath,
		write: () => {},
		complain: (text) => {
			complaints += text;
		},
	});
	t.is(code, 1);
	t.regex(complaints, /none\.cjs does not exist: npm run build makes it/);
});

test('a folder that cannot be made is said, with its name', (t) => {
	const { install, bundle } = setUp();
	const { code, complaints } = install('--conf-dir', join(bundle, 'under-a-file'));
	t.is(code, 1);
	t.regex(complaints, /under-a-file/);
});

const wrong: readonly (readonly [string, ...string[]])[] = [
	['what is to be done', ''],
	["'remove': expected install or uninstall", 'remove'],
	["'install uninstall': expected", 'install', 'uninstall'],
	['--plugin: uninstall does not have it', 'uninstall', '--plugin', 'ptp'],
	['--socket x.sock: expected an absolute path', 'install', '--socket', 'x.sock'],
	['--node node: expected an absolute path', 'install', '--node', 'node'],
	['--bin-dir is empty', 'install', '--bin-dir='],
	['--plugin macvlan: expected one of ptp, bridge, calico', 'install', '--plugin', 'macvlan'],
	['--mtu 20: expected bytes', 'install', '--mtu', '20'],
	['--families ipv5: expected', 'install', '--families', 'ipv5'],
	['--name ../x: expected letters', 'install', '--name', '../x'],
	['--colour', 'install', '--colour'],
];
for (const [message, ...given] of wrong) {
	test(`wrong usage ends with 2: ${given.join(' ')}`, (t) => {
		const { code, complaints } = setUp().run(...given.filter((word) => word !== ''));
		t.is(code, 2);
		t.true(complaints.includes(message), complaints);
	});
}

test('the program itself: help, with examples', async (t) => {
	const output = await new Promise<string>((done, failed) => {
		execFile(process.execPath, [join(repository, 'bin/bgpmesh-cni.js'), '--help'], (error, stdout) => (error === null ? done(stdout) : failed(error)));
	});
	t.regex(output, /Examples:\n {2}bgpmesh-cni install/);
});
