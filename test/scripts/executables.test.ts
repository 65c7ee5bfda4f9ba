import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import anyTest from 'ava';
import { wasInstalled } from '../../src/cni/install/conflist.ts';
import { noNamespaces } from '../support/namespace.ts';

const repository = resolve(import.meta.dirname ?? '.', '../../..');
const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-executable-'));
const file = join(folder, 'bgpmesh');

/**
 * The executable, or the reason why it cannot be built here: its runtime comes from the npm
 * registry.
 */
const built = await (async () => {
	const { buildExecutable, here } = (await import(join(repository, 'scripts/lib/executables.mjs'))) as {
		buildExecutable(target: string, out: string): Promise<string>;
		here(): string;
	};
	return buildExecutable(here(), file).then(
		() => undefined,
		(error: unknown) => (error instanceof Error ? error.message : String(error)),
	);
})();

const test = built === undefined ? anyTest : anyTest.skip;
const note = built === undefined ? '' : ` (skipped: ${built.split('\n')[0]})`;

anyTest.after.always(() => rmSync(folder, { recursive: true, force: true }));

const environment = (more: Record<string, string> = {}) => ({ PATH: '/nonexistent', HOME: folder, ...more });

test(`the executable acts as the CNI plugin if a runtime calls it, without Node.js${note}`, (t) => {
	const input = JSON.stringify({ cniVersion: '1.0.0', name: 'pods' });
	const answer = execFileSync(file, { input, env: environment({ CNI_COMMAND: 'VERSION' }), encoding: 'utf8' });
	t.deepEqual(JSON.parse(answer), {
		cniVersion: '1.0.0',
		supportedVersions: ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'],
	});
});

/** Calls the plugin with a daemon that writes `pieces` and ends; returns its output and the request. */
async function call(name: string, command: string, pieces: readonly string[]) {
	let request = '';
	const socket = join(folder, `${name}.sock`);
	const server = createServer((connection) => {
		connection.setEncoding('utf8').on('data', (data: string) => {
			request += data;
			const length = /content-length: (\d+)/.exec(request)?.[1] ?? '0';
			const body = request.split('\r\n\r\n')[1];
			if (body === undefined || body.length < Number(length)) return;
			for (const piece of pieces) connection.write(piece);
			connection.end();
		});
	});
	await new Promise<void>((listening) => server.listen(socket, listening));
	const child = spawn(file, [], {
		stdio: ['pipe', 'pipe', 'inherit'],
		env: environment({
			...{ CNI_COMMAND: command, CNI_CONTAINERID: 'c1', CNI_IFNAME: 'eth0', CNI_NETNS: '/run/netns/a' },
			CNI_PATH: '/none',
		}),
	});
	// A request that does not fit into one write.
	const attachments = Array.from({ length: 20_000 }, (_, index) => ({ containerID: `c${index}`, ifname: 'eth0' }));
	child.stdin.end(
		JSON.stringify({
			...{ cniVersion: '1.1.0', name: 'pods', type: 'bgpmesh', ipam: { socket } },
			'cni.dev/valid-attachments': attachments,
		}),
	);
	const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
	const output = await text(child.stdout);
	const status = await ended;
	server.close();
	return { output, status, request };
}

test(`the executable sends a long request as a whole, and reads a response in pieces${note}`, async (t) => {
	const body = JSON.stringify({ addresses: [] });
	const head = `HTTP/1.0 200 OK\r\ncontent-length: ${body.length}\r\n\r\n`;
	const { output, status, request } = await call('gc', 'GC', [head, body.slice(0, 5), body.slice(5)]);
	t.is(status, 0, output);
	t.is(output, '');
	const sent = JSON.parse(request.split('\r\n\r\n')[1] ?? '') as { request: { validAttachments: unknown[] } };
	t.is(sent.request.validAttachments.length, 20_000);
});

test(`the executable reports a response that breaks off${note}`, async (t) => {
	const { output, status } = await call('half', 'STATUS', ['HTTP/1.0 200 OK\r\ncontent-length: 100\r\n\r\n{']);
	t.is(status, 1);
	t.like(JSON.parse(output), { code: 50 });
	t.regex(output, /ECONNRESET/);
});

test(`the executable acts as the command otherwise${note}`, (t) => {
	const { version } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as { version: string };
	t.is(execFileSync(file, ['--version'], { env: environment(), encoding: 'utf8' }).trim(), version);
	const absent = spawnSync(file, ['status', '--socket', join(folder, 'none.sock')], {
		env: environment(),
		encoding: 'utf8',
	});
	t.is(absent.status, 3);
	t.regex(absent.stderr, /no daemon answers at .*none\.sock/);
});

const namespaceTest = noNamespaces === undefined ? test : anyTest.skip;

namespaceTest(`the executable changes the kernel from any folder: its native module is inside${note}`, (t) => {
	const { status, stdout, stderr } = spawnSync('unshare', ['--net', file, 'cleanup'], {
		cwd: '/',
		env: { ...environment(), PATH: process.env['PATH'] },
		encoding: 'utf8',
	});
	t.is(status, 0, stderr);
	t.regex(stdout, /nothing of bgpmesh/);
});

test(`the executable installs itself under both names${note}`, (t) => {
	const [binDir, confDir] = [join(folder, 'bin'), join(folder, 'net.d')];
	const { status, stderr } = spawnSync(file, ['install', '--bin-dir', binDir, '--conf-dir', confDir], {
		argv0: 'bgpmesh-cni',
		env: environment(),
		encoding: 'utf8',
	});
	t.is(status, 0, stderr);
	t.deepEqual(readdirSync(binDir).sort(), ['bgpmesh', 'bgpmesh-ipam']);
	t.true(wasInstalled(readFileSync(join(binDir, 'bgpmesh'))));
	t.true(readFileSync(join(binDir, 'bgpmesh')).equals(readFileSync(file)));
});
