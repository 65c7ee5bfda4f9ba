import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import test from 'ava';
import {
	type ConflistOptions,
	conflist,
	executableMark,
	installedText,
	isOurs,
	shadowedBy,
	shadowing,
	wasInstalled,
	whyUnusable,
} from '../../src/cni/install/conflist.ts';
import { type Installed, main, type Uninstalled } from '../../src/cni/install/index.ts';

const options: ConflistOptions = {
	name: 'k8s-pod-network',
	plugin: 'ptp',
	families: ['ipv4'],
	mtuBytes: undefined,
	socket: undefined,
	kubeconfig: '/etc/cni/net.d/calico-kubeconfig',
	chain: [],
};
const ipam = { type: 'bgpmesh-ipam', assign_ipv4: true, assign_ipv6: false };

const lists: readonly { title: string; options: Partial<ConflistOptions>; plugin: object }[] = [
	{
		title: 'ptp uses a gateway inside the block',
		options: {},
		plugin: { type: 'ptp', ipam: { ...ipam, gateway: 'auto' } },
	},
	{
		title: 'bridge has the gateway on the bridge',
		options: { plugin: 'bridge', mtuBytes: 1480 },
		plugin: {
			type: 'bridge',
			bridge: 'bgpmesh0',
			isGateway: true,
			hairpinMode: true,
			mtu: 1480,
			ipam: { ...ipam, gateway: 'auto' },
		},
	},
	{
		title: 'both families, another socket',
		options: { families: ['ipv4', 'ipv6'], socket: '/tmp/x.sock' },
		plugin: { type: 'ptp', ipam: { ...ipam, assign_ipv6: true, socket: '/tmp/x.sock', gateway: 'auto' } },
	},
	{
		title: 'calico has no gateway: it creates its own',
		options: { plugin: 'calico' },
		plugin: {
			type: 'calico',
			datastore_type: 'kubernetes',
			ipam,
			policy: { type: 'k8s' },
			kubernetes: { kubeconfig: '/etc/cni/net.d/calico-kubeconfig' },
		},
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
	test(`a foreign configuration: ${text}`, (t) => t.false(isOurs(text)));

test('a configuration that precedes ours is the first by name', (t) => {
	t.deepEqual(
		shadowedBy('10-bgpmesh.conflist', [
			'20-z.conf',
			'10-bgpmesh.conflist',
			'05-b.conf',
			'00-a.conflist',
			'00-notes.txt',
		]),
		['00-a.conflist', '05-b.conf'],
	);
	t.deepEqual(shadowedBy('10-bgpmesh.conflist', ['10-calico.conflist', '10-bgpmesh.conflist']), []);
	t.deepEqual(
		shadowing('10-bgpmesh.conflist', ['99-z.conf', '10-calico.conflist', '10-bgpmesh.conflist', '05-b.conf', 'notes']),
		['10-calico.conflist', '99-z.conf'],
	);
});

test('the plugin begins with an absolute interpreter path, unless the kernel does not accept it', (t) => {
	const plain = '#!/usr/bin/env node\n"use strict";\n';
	const mark = '// installed by bgpmesh-cni';
	t.is(installedText(plain, '/opt/node/bin/node'), `#!/opt/node/bin/node\n${mark}\n"use strict";\n`);
	for (const node of ['/opt/with space/node', `/${'x'.repeat(130)}`])
		t.is(installedText(plain, node), `#!/usr/bin/env node\n${mark}\n"use strict";\n`);
	const isInstalled = (text: string) => wasInstalled(Buffer.from(text));
	t.deepEqual([installedText(plain, '/n'), plain, ''].map(isInstalled), [true, false, false]);
});

/** The file names that the program has for a runtime. */
const programs = ['bgpmesh', 'bgpmesh-ipam'];

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
	const uninstalled = (...given: string[]) =>
		(JSON.parse(uninstall('--json', ...given).output) as Uninstalled).files.map(({ change }) => change);
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

test('install writes plugin and configuration, and the second run writes nothing', (t) => {
	const { installed, install, plugin, list, binDir, confDir } = setUp();
	t.deepEqual(
		installed().files.map(({ change }) => change),
		['written', 'written', 'written'],
	);
	t.is(execFileSync(plugin, { encoding: 'utf8' }), 'here\n');
	t.is(readFileSync(plugin, 'utf8').split('\n')[0], `#!${process.execPath}`);
	t.deepEqual([statSync(plugin).mode & 0o777, statSync(list).mode & 0o777], [0o755, 0o644]);
	t.deepEqual(
		JSON.parse(readFileSync(list, 'utf8')),
		conflist({ ...options, plugin: 'bgpmesh', chain: ['bandwidth', 'portmap'] }),
	);
	t.is(statSync(join(binDir, 'bgpmesh')).ino, statSync(plugin).ino, 'one file with two names');
	t.deepEqual([readdirSync(binDir), readdirSync(confDir)], [programs, ['10-bgpmesh.conflist']]);
	t.deepEqual(
		installed().files.map(({ change }) => change),
		['unchanged', 'unchanged', 'unchanged'],
	);
	chmodSync(plugin, 0o644);
	t.deepEqual(
		installed('--plugin', 'bridge').files.map(({ change }) => change),
		['written', 'written', 'written'],
	);
	const { code, output } = install('--plugin', 'bridge');
	t.is(code, 0);
	t.regex(output, /10-bgpmesh\.conflist: unchanged\nnote: .*\/bin\/bridge does not exist/);
});

test('a dry run lists the files to write, and writes none', (t) => {
	const { install, folder } = setUp();
	const { code, output } = install('--dry-run', '--mtu', '1400');
	t.is(code, 0);
	t.regex(output, /bgpmesh-ipam: would be written\n.*10-bgpmesh\.conflist: would be written\n\{\n/);
	t.regex(output, /"mtu": 1400/);
	t.deepEqual(readdirSync(folder), ['bundle.cjs']);
});

test('a foreign configuration is overwritten only with --force, and never partially', (t) => {
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

test('a foreign program is overwritten only with --force, and never partially', (t) => {
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

test('a program is replaced while it runs', async (t) => {
	const { install, bundle, plugin } = setUp();
	writeFileSync(
		bundle,
		'#!/usr/bin/env node\nconsole.log("old"); process.stdin.once("data", () => { console.log("still"); process.exit(); });\n',
	);
	install();
	const running = spawn(plugin, { stdio: ['pipe', 'pipe', 'inherit'] });
	await once(running.stdout, 'readable');
	writeFileSync(bundle, '#!/usr/bin/env node\nconsole.log("new");\n');
	t.is(install().code, 0);
	t.is(execFileSync(plugin, { encoding: 'utf8' }), 'new\n');
	running.stdin.end('.');
	t.is(await text(running.stdout), 'old\nstill\n');
});

test('other configurations, and readable credentials, are pointed out', (t) => {
	const { installed, confDir, binDir } = setUp();
	mkdirSync(confDir);
	mkdirSync(binDir);
	writeFileSync(join(binDir, 'calico'), '');
	writeFileSync(join(confDir, '10-calico.conflist'), '{}');
	const notes = () => installed('--plugin', 'calico', '--chain', 'none').notes;
	t.regex(notes()[0] ?? '', /10-calico\.conflist is there, too: the runtime takes 10-bgpmesh\.conflist/);
	t.regex(notes()[1] ?? '', /calico-kubeconfig does not exist/);
	const kubeconfig = join(confDir, 'calico-kubeconfig');
	writeFileSync(kubeconfig, '', { mode: 0o644 });
	t.regex(notes()[1] ?? '', /calico-kubeconfig has credentials and can be read by others than its owner: chmod 600/);
	chmodSync(kubeconfig, 0o600);
	t.is(notes().length, 1);
});

test('uninstall removes the installed files, and the second run removes nothing', (t) => {
	const { install, uninstall, uninstalled, binDir, confDir } = setUp();
	install();
	writeFileSync(join(binDir, 'ptp'), '');
	writeFileSync(join(binDir, 'bgpmesh-ipam.77.new'), 'half of it');
	writeFileSync(join(confDir, '20-other.conflist'), '{}');
	t.deepEqual(
		uninstalled('--dry-run'),
		Array.from({ length: 4 }, () => 'would be removed'),
	);
	t.deepEqual(readdirSync(binDir), ['bgpmesh', 'bgpmesh-ipam', 'bgpmesh-ipam.77.new', 'ptp']);
	const { code, output } = uninstall();
	t.is(code, 0);
	t.regex(
		output,
		/10-bgpmesh\.conflist: removed\n.*bgpmesh: removed\n.*bgpmesh-ipam: removed\n.*77\.new: removed\nnote: containers that have their addresses/,
	);
	t.deepEqual([readdirSync(binDir), readdirSync(confDir)], [['ptp'], ['20-other.conflist']]);
	t.deepEqual(uninstalled(), ['absent', 'absent', 'absent']);
});

test('uninstall without an installation succeeds', (t) => {
	const { uninstall } = setUp();
	const { code, output } = uninstall();
	t.is(code, 0);
	t.regex(output, /^.*10-bgpmesh\.conflist: absent\n.*bgpmesh: absent\n.*bgpmesh-ipam: absent\n$/);
});

test('uninstall refuses foreign files, and then removes nothing', (t) => {
	for (const kind of ['list', 'plugin'] as const) {
		const { install, uninstall, binDir, confDir, ...files } = setUp();
		install();
		writeFileSync(files[kind], '{"plugins":[]}');
		const { code, complaints } = uninstall();
		t.is(code, 1);
		t.regex(complaints, /--force removes it/);
		t.deepEqual([readdirSync(binDir), readdirSync(confDir)], [programs, ['10-bgpmesh.conflist']]);
		t.is(uninstall('--force').code, 0);
		t.deepEqual([readdirSync(binDir), readdirSync(confDir)], [[], []]);
	}
});

for (const [title, configuration] of [
	['a list', { plugins: [{ type: 'macvlan', ipam: { type: 'bgpmesh-ipam' } }] }],
	['a single plugin', { type: 'macvlan', ipam: { type: 'bgpmesh-ipam' } }],
] as const)
	test(`the plugin stays while another configuration uses it: ${title}`, (t) => {
		const { install, uninstall, confDir, binDir } = setUp();
		install();
		writeFileSync(join(confDir, '50-storage.conf'), JSON.stringify(configuration));
		const { code, output } = uninstall();
		t.is(code, 0);
		t.regex(output, /bgpmesh-ipam: kept\nnote: .*50-storage\.conf asks for bgpmesh-ipam\n$/);
		t.deepEqual([readdirSync(binDir), readdirSync(confDir)], [programs, ['50-storage.conf']]);
	});

test('a configuration that precedes ours is pointed out', (t) => {
	const { installed, confDir } = setUp();
	mkdirSync(confDir);
	writeFileSync(join(confDir, '05-other.conflist'), '{}');
	writeFileSync(join(confDir, '06-broken.conflist'), '{"name":');
	const notes = installed().notes.join('\n');
	t.regex(notes, /05-other\.conflist comes before 10-bgpmesh\.conflist: it can not be used \(it has no name\)/);
	t.regex(notes, /06-broken\.conflist comes before 10-bgpmesh\.conflist: it can not be used \(it is no JSON/);
	t.regex(notes, /portmap does not exist, and pods fail without it/);
	writeFileSync(join(confDir, '05-other.conflist'), '{"name":"n","plugins":[{"type":"bgpmesh-ipam"}]}');
	t.regex(
		installed().notes.join('\n'),
		/05-other\.conflist comes before 10-bgpmesh\.conflist: the runtime takes the first/,
	);
});

test('without the bundled plugin no file is installed', (t) => {
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

test('the executable is installed if it exists, and is recognised as ours', (t) => {
	const { folder, bundle, binDir, confDir, uninstalled } = setUp();
	const executable = join(folder, 'executable');
	writeFileSync(executable, Buffer.concat([Buffer.from('\x7fELF', 'latin1'), Buffer.from(executableMark)]), {
		mode: 0o755,
	});
	const run = (...given: string[]) =>
		main({
			arguments: ['install', '--bin-dir', binDir, '--conf-dir', confDir, ...given],
			...{ bundle, executable, node: process.execPath, write: () => {}, complain: (text) => t.log(text) },
		});
	t.is(run('--form', 'script'), 0);
	t.regex(readFileSync(join(binDir, 'bgpmesh'), 'latin1'), /^#!/);
	t.is(run(), 0);
	for (const name of programs) t.deepEqual(readFileSync(join(binDir, name)), readFileSync(executable));
	writeFileSync(join(binDir, 'bgpmesh'), Buffer.from('\x7fELF of another project', 'latin1'));
	t.is(run(), 1);
	t.is(run('--force'), 0);
	t.deepEqual(uninstalled(), ['removed', 'removed', 'removed']);
});

test('a folder that cannot be created is reported by name', (t) => {
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
	['--form binary: expected executable or script', 'install', '--form', 'binary'],
	['--plugin macvlan: expected one of bgpmesh, ptp, bridge, calico', 'install', '--plugin', 'macvlan'],
	['--mtu 20: expected bytes', 'install', '--mtu', '20'],
	['--families ipv5: expected', 'install', '--families', 'ipv5'],
	['--name ../x: expected letters', 'install', '--name', '../x'],
	['--colour', 'install', '--colour'],
];
for (const [message, ...given] of wrong) {
	test(`wrong usage exits with 2: ${given.join(' ')}`, (t) => {
		const { code, complaints } = setUp().run(...given.filter((word) => word !== ''));
		t.is(code, 2);
		t.true(complaints.includes(message), complaints);
	});
}

test('help of the program, with examples', async (t) => {
	const output = await new Promise<string>((done, failed) => {
		execFile(process.execPath, [join(repository, 'bin/bgpmesh-cni.js'), '--help'], (error, stdout) =>
			error === null ? done(stdout) : failed(error),
		);
	});
	t.regex(output, /Examples:\n {2}bgpmesh-cni install/);
});

test('conflist: bandwidth and portmap are chained after the interface plugin, portmap with snat', (t) => {
	const { plugins } = conflist({ ...options, chain: ['bandwidth', 'portmap'] }) as { plugins: readonly object[] };
	t.deepEqual(plugins.slice(1), [
		{ type: 'bandwidth', capabilities: { bandwidth: true } },
		{ type: 'portmap', snat: true, capabilities: { portMappings: true } },
	]);
});

const unusable: readonly [title: string, file: string, text: string, reason: RegExp | undefined][] = [
	['a list of installed plugins', 'a.conflist', '{"name":"n","plugins":[{"type":"ptp"}]}', undefined],
	['one installed plugin', 'a.conf', '{"name":"n","type":"ptp"}', undefined],
	['invalid JSON', 'a.conflist', '{"name":', /^it is no JSON/],
	['a JSON list', 'a.conf', '[]', /^it is no JSON object/],
	['no name', 'a.conf', '{"type":"ptp"}', /^it has no name/],
	['a list without plugins', 'a.conflist', '{"name":"n","plugins":[]}', /^it has no plugins/],
	['a single-plugin list in the wrong place', 'a.conflist', '{"name":"n","type":"ptp"}', /^it has no plugins/],
	['a plugin without a type', 'a.conflist', '{"name":"n","plugins":[{"type":"ptp"},null]}', /^it has a plugin without/],
	['plugins that are not installed', 'a.conflist', '{"name":"n","plugins":[{"type":"x"}]}', /^x is not in the folder/],
];
for (const [title, file, text, reason] of unusable) {
	test(`a runtime's view of a configuration with ${title}`, (t) => {
		const why = whyUnusable(file, text, (type) => type === 'ptp');
		if (reason === undefined) t.is(why, undefined);
		else t.regex(why ?? '', reason);
	});
}
