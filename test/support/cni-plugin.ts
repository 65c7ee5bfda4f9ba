import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';

const repository = resolve(import.meta.dirname ?? '.', '../../..');
const plugin = join(mkdtempSync(join(tmpdir(), 'cni-plugin-')), 'bgpmesh-ipam');

/** The shipped plugin is one file; the scripts that build it are plain JavaScript. */
export async function bundle(): Promise<void> {
	const { bundlePlugin } = (await import(join(repository, 'scripts/lib/bundle-plugin.mjs'))) as {
		bundlePlugin(outfile: string): Promise<string>;
	};
	await bundlePlugin(plugin);
}

/** A separate socket for each caller. */
export const newSocket = (): string => join(mkdtempSync(join(tmpdir(), 'cni-')), 'bgpmesh.sock');

/** Runs the plugin as a container runtime does. */
export async function runPlugin(
	environment: Record<string, string>,
	input: string | Uint8Array,
): Promise<{ code: number | null; output: string }> {
	const child = spawn(process.execPath, [plugin], { env: environment, stdio: ['pipe', 'pipe', 'inherit'] });
	child.stdin.end(input);
	const output = await text(child.stdout);
	const code = child.exitCode ?? (await new Promise<number | null>((done) => child.once('exit', done)));
	return { code, output };
}

/** A daemon with one path that records its requests. */
export async function daemon(answers: Record<string, { status: number; body: object }>) {
	const asked: { path: string; body: unknown }[] = [];
	const socket = newSocket();
	const server = createServer(async (request, response) => {
		const body = await text(request);
		asked.push({ path: request.url ?? '', body: body === '' ? undefined : JSON.parse(body) });
		const { status, body: answer } = answers[request.url ?? ''] ?? {
			status: 404,
			body: { error: { code: 'no-such-endpoint', message: 'nothing' } },
		};
		response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
	});
	await new Promise<void>((done) => server.listen(socket, done));
	return { socket, asked, close: () => server.close() };
}

/** The environment of a container of pod `web-1`. */
export const pod = {
	CNI_CONTAINERID: 'c0ffee',
	CNI_NETNS: '/run/netns/x',
	CNI_IFNAME: 'eth0',
	CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-1;K8S_POD_UID=u1',
};
/** A network configuration. */
export const network = (socket: string, overrides: object = {}, ipam: object = {}) =>
	JSON.stringify({
		cniVersion: '1.0.0',
		name: 'k8s-pod-network',
		type: 'ptp',
		ipam: { type: 'bgpmesh-ipam', socket, ...ipam },
		...overrides,
	});
