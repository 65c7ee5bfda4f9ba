import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { parseTokenFile, selfSigned, startApiServer } from '../../../src/apiserver/index.ts';
import type { ServerUnderTest } from './transcript.ts';

const kubernetesVersion = 'v1.34.4';
const tokens = 'secret,admin,admin,system:masters\nstranger,visitor,visitor,nogroup\n';

/**
 * The folder of the real binaries: the conventional variable, or the output of `npm run
 * setup:kube`.
 */
const folders = [
	process.env['KUBEBUILDER_ASSETS'],
	join(homedir(), '.cache/bgpmesh/kube', kubernetesVersion),
	...(process.env['PATH'] ?? '').split(delimiter),
];

function binary(name: string): string | undefined {
	return folders
		.map((folder) => (folder === undefined || folder === '' ? '' : join(folder, name)))
		.find((file) => file !== '' && existsSync(file));
}

/**
 * The kubectl of the release whose behaviour is the contract; another release proves no
 * conformance.
 */
export const kubectl: string | undefined = folders
	.slice(0, 2)
	.map((folder) => (folder === undefined || folder === '' ? '' : join(folder, 'kubectl')))
	.find((file) => file !== '' && existsSync(file));

/** The missing binaries of the real server; empty if all are present. */
export const missing: readonly string[] = ['kube-apiserver', 'etcd'].filter((name) => binary(name) === undefined);

/** The embedded server, in memory or with a folder. */
export async function startEmbedded(
	dataFolder?: string,
): Promise<ServerUnderTest & { compact(): void; readonly port: number }> {
	const certificate = selfSigned('bgpmesh apiserver', ['127.0.0.1', 'localhost'], Date.now());
	const server = await startApiServer({
		listen: { address: '127.0.0.1', port: 0 },
		users: parseTokenFile(tokens),
		certificate,
		...(dataFolder === undefined ? {} : { dataFolder }),
	});
	return {
		url: server.url,
		port: server.port,
		certificateAuthority: certificate.cert,
		token: 'secret',
		strangerToken: 'stranger',
		compact: server.compact,
		stop: server.close,
	};
}

async function freePort(): Promise<number> {
	const server = createServer();
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	const address = server.address();
	await new Promise((resolve) => server.close(resolve));
	return typeof address === 'object' && address !== null ? address.port : 0;
}

/** A kube-apiserver with its own etcd, in a temporary folder. */
export async function startReal(): Promise<ServerUnderTest> {
	const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-kube-'));
	const [client, peer, port] = [await freePort(), await freePort(), await freePort()];
	const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
	writeFileSync(join(folder, 'sa.key'), privateKey.export({ type: 'pkcs1', format: 'pem' }));
	writeFileSync(join(folder, 'sa.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
	writeFileSync(join(folder, 'tokens.csv'), tokens);
	// Its own one is valid for a year from now, by its clock: not under a shifted clock of the test.
	const certificate = selfSigned('kube-apiserver', ['127.0.0.1', 'localhost'], Date.now());
	writeFileSync(join(folder, 'apiserver.crt'), certificate.cert);
	writeFileSync(join(folder, 'apiserver.key'), certificate.key);
	const run = (name: string, ...flags: readonly string[]) =>
		spawn(binary(name) ?? name, flags, { stdio: 'ignore', env: { PATH: process.env['PATH'], HOME: folder } });
	const etcdUrl = `http://127.0.0.1:${client}`;
	const etcd = run(
		'etcd',
		'--data-dir',
		join(folder, 'etcd'),
		'--listen-client-urls',
		etcdUrl,
		'--advertise-client-urls',
		etcdUrl,
		'--listen-peer-urls',
		`http://127.0.0.1:${peer}`,
	);
	const api = run(
		'kube-apiserver',
		`--etcd-servers=${etcdUrl}`,
		`--secure-port=${port}`,
		'--bind-address=127.0.0.1',
		'--advertise-address=127.0.0.1',
		`--cert-dir=${folder}`,
		`--tls-cert-file=${join(folder, 'apiserver.crt')}`,
		`--tls-private-key-file=${join(folder, 'apiserver.key')}`,
		'--service-account-issuer=https://kubernetes.default.svc',
		`--service-account-key-file=${join(folder, 'sa.pub')}`,
		`--service-account-signing-key-file=${join(folder, 'sa.key')}`,
		`--token-auth-file=${join(folder, 'tokens.csv')}`,
		'--authorization-mode=RBAC',
		'--service-cluster-ip-range=10.96.0.0/16',
		'--disable-admission-plugins=ServiceAccount',
		// The DaemonSet is privileged.
		'--allow-privileged',
	);
	const url = `https://127.0.0.1:${port}`;
	const stop = async () => {
		const ended = [api, etcd].map((child) =>
			child.exitCode !== null || child.signalCode !== null
				? undefined
				: new Promise((resolve) => child.once('exit', resolve)),
		);
		for (const child of [api, etcd]) child.kill('SIGKILL');
		await Promise.all(ended);
		rmSync(folder, { recursive: true, force: true });
	};
	try {
		await ready(url, certificate.cert);
	} catch (error) {
		await stop();
		throw error;
	}
	return {
		url,
		certificateAuthority: certificate.cert,
		token: 'secret',
		strangerToken: 'stranger',
		stop,
	};
}

async function ready(url: string, certificateAuthority: string): Promise<void> {
	const { ask } = await import('./transcript.ts');
	for (let attempt = 0; attempt < 300; attempt++) {
		await new Promise((resolve) => setTimeout(resolve, 200));
		const server = {
			url,
			certificateAuthority,
			token: 'secret',
			strangerToken: '',
			stop: async () => {},
		};
		const reply = await ask(server, { path: '/readyz' }).catch(() => undefined);
		if (reply?.code === 200) return;
	}
	throw new Error('kube-apiserver did not become ready');
}
