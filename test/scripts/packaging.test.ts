import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { eventually } from '../support/eventually.ts';
import { loopbackAddress, testPort } from '../support/loopback.ts';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-pack-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

const packSeconds = 60;
const installSeconds = 180;
const commandSeconds = 60;

interface Packed {
	readonly filename: string;
	readonly files: readonly { readonly path: string }[];
}

function npm(given: readonly string[], cwd: string, seconds: number) {
	return spawnSync('npm', given, {
		cwd,
		encoding: 'utf8',
		timeout: seconds * 1000,
		// Settings that a surrounding `npm run` passes on would apply to this call, too.
		env: Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('npm_'))),
	});
}

/**
 * `npm pack` of the repository, or of a workspace: the list of files, and the archive in `folder`.
 */
function pack(t: ExecutionContext, ...given: readonly string[]): Packed {
	const { status, stdout, stderr } = npm(
		['pack', '--ignore-scripts', '--json', '--pack-destination', folder, ...given],
		root,
		packSeconds,
	);
	t.is(status, 0, stderr);
	const packed = (JSON.parse(stdout) as readonly Packed[])[0];
	if (packed === undefined) throw new Error('npm pack listed no package');
	return packed;
}

/**
 * Installs an archive into an empty folder. `undefined`: the registry with its dependencies is
 * unreachable.
 */
function install(t: ExecutionContext, { filename }: Packed): string | undefined {
	const into = mkdtempSync(join(folder, 'install-'));
	writeFileSync(join(into, 'package.json'), '{}');
	const { status, stderr } = npm(
		['install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', join(folder, basename(filename))],
		into,
		installSeconds,
	);
	if (status !== 0 && /ENOTFOUND|ECONNREFUSED|ECONNRESET|EAI_AGAIN|ETIMEDOUT|ENETUNREACH/.test(stderr)) {
		t.log(`skipped: the package registry is out of reach\n${stderr}`);
		t.pass();
		return undefined;
	}
	t.is(status, 0, stderr);
	return into;
}

/** Runs the four commands, each through the file that `command` names. */
async function runAll(t: ExecutionContext, command: (name: string) => string): Promise<void> {
	const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly version: string };
	const run = (name: string, given: readonly string[], environment: Readonly<Record<string, string>> = {}) =>
		spawnSync(command(name), given, {
			encoding: 'utf8',
			input: '',
			timeout: commandSeconds * 1000,
			env: { ...process.env, PATH: `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`, ...environment },
		});
	const plugin = run('bgpmesh-ipam', [], { CNI_COMMAND: 'VERSION' });
	t.is(plugin.status, 0, plugin.stderr);
	t.regex(plugin.stdout, /"supportedVersions"/);
	const here = mkdtempSync(join(folder, 'run-'));
	const installer = run('bgpmesh-cni', [
		'install',
		'--json',
		'--bin-dir',
		join(here, 'bin'),
		'--conf-dir',
		join(here, 'net.d'),
	]);
	t.is(installer.status, 0, installer.stderr);
	t.true(existsSync(join(here, 'bin/bgpmesh-ipam')));

	const socket = join(here, 'control.sock');
	const config = join(here, 'bgpmeshd.yaml');
	writeFileSync(
		config,
		`node: packed\nbgp: { asNumber: 64512, routerId: 192.0.2.1, listen: { address: ${loopbackAddress()}, port: ${testPort} } }
fib: { enabled: false }\ncontrol: { socket: ${socket} }\nlog: { format: text }\n`,
	);
	t.is(run('bgpmesh', ['--version']).stdout.trim(), version);
	const checked = run('bgpmesh', ['config', 'check', config]);
	t.is(checked.status, 0, `${checked.stdout}${checked.stderr}`);
	let log = '';
	const daemon: ChildProcess = spawn(command('bgpmeshd'), ['--config', config], {
		stdio: ['ignore', 'ignore', 'pipe'],
		env: { ...process.env, PATH: `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}` },
	});
	t.teardown(() => daemon.kill('SIGKILL'));
	daemon.stderr?.setEncoding('utf8').on('data', (text: string) => {
		log += text;
	});
	await eventually(
		'the daemon is ready or has ended',
		() => log.includes(' ready ') || daemon.exitCode !== null,
		commandSeconds,
	);
	const status = run('bgpmesh', ['status', '--json', '--socket', socket]);
	t.is(status.status, 0, `${status.stdout}${status.stderr}${log}`);
	t.is((JSON.parse(status.stdout) as { readonly node: string }).node, 'packed');
	daemon.kill('SIGTERM');
	await eventually('the daemon has stopped', () => daemon.exitCode !== null, commandSeconds);
	t.is(daemon.exitCode, 0, log);
}

const testFile = /(^|\/)test\/|\.test\.js$|(^|\/)(bench|lab)\//;

test.serial('npm pack, npm install --ignore-scripts in an empty folder: all four commands run', async (t) => {
	t.timeout(300_000);
	const packed = pack(t);
	const into = install(t, packed);
	if (into === undefined) return;
	await runAll(t, (name) => join(into, 'node_modules/.bin', name));
});

test('the package contains no tests, benchmarks or laboratory', (t) => {
	const { files } = pack(t);
	t.deepEqual(
		files.map(({ path }) => path).filter((path) => testFile.test(path)),
		[],
	);
	for (const path of [
		'bin/bgpmeshd.js',
		'dist/bgpmesh-ipam.cjs',
		'dist/bgpmeshd/index.mjs',
		'config/daemonset.yaml',
		'systemd/bgpmeshd.service',
	])
		t.true(
			files.some((file) => file.path === path),
			path,
		);
});

test('bgp-packet packs separately: no tests, and an import works', (t) => {
	const packed = pack(t, '-w', 'bgp-packet');
	t.deepEqual(
		packed.files.map(({ path }) => path).filter((path) => testFile.test(path)),
		[],
	);
	const into = install(t, packed);
	if (into === undefined) return;
	const { status, stdout, stderr } = spawnSync(
		process.execPath,
		[
			'--input-type=module',
			'-e',
			"import { encodeMessage, packetContext } from 'bgp-packet'; console.log(encodeMessage({ type: 'keepalive' }, packetContext()).length)",
		],
		{ cwd: into, encoding: 'utf8', timeout: commandSeconds * 1000 },
	);
	t.is(status, 0, stderr);
	t.is(stdout, '19\n');
});

const copies = readFileSync(join(root, 'Dockerfile'), 'utf8')
	.split('\n')
	.flatMap((line) => {
		const match = /^COPY --from=build (.+) (\S+)$/.exec(line);
		return match === null ? [] : [{ sources: match[1]?.split(' ') ?? [], target: match[2] ?? '' }];
	});

test('the files that the image copies suffice for all four commands, and none is a test', async (t) => {
	t.timeout(300_000);
	const image = mkdtempSync(join(folder, 'image-'));
	const here = (path: string) => join(root, path.replace(/^\/opt\/bgpmesh\/?/, ''));
	t.true(copies.length >= 4);
	for (const { sources, target } of copies) {
		for (const source of sources) {
			const to = target.endsWith('/') ? join(image, target, basename(source)) : join(image, target);
			mkdirSync(dirname(to), { recursive: true });
			// Packages of other authors stay in place; the executables are a separate build.
			if (['node_modules', 'executables'].includes(basename(source))) continue;
			cpSync(here(source), to, { recursive: true });
		}
	}
	mkdirSync(join(image, 'node_modules'), { recursive: true });
	for (const name of Object.keys(
		(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly dependencies: Record<string, string> })
			.dependencies,
	)) {
		const target = name === 'bgp-packet' ? join(image, 'packages/bgp-packet') : join(root, 'node_modules', name);
		mkdirSync(dirname(join(image, 'node_modules', name)), { recursive: true });
		symlinkSync(target, join(image, 'node_modules', name));
	}
	const { stdout } = spawnSync('find', [image, '-type', 'f'], { encoding: 'utf8' });
	t.deepEqual(
		stdout
			.split('\n')
			.map((path) => path.slice(image.length + 1))
			.filter((path) => testFile.test(path)),
		[],
	);
	const files: Readonly<Record<string, string>> = { 'bgpmesh-ipam': 'dist/bgpmesh-ipam.cjs' };
	await runAll(t, (name) => join(image, files[name] ?? `bin/${name}.js`));
});
