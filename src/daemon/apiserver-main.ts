import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { stringify } from 'yaml';
import {
	type Certificate,
	kubeconfigOf,
	packagedDefinitions,
	parseTokenFile,
	selfSigned,
	startApiServer,
	TokenFileError,
	type TokenUser,
} from '../apiserver/index.ts';
import type { ApiServerRequest, RunApiServer } from '../cli/index.ts';
import { createLog } from './log.ts';

/**
 * `bgpmesh apiserver`: creates missing files (token, certificate, kubeconfig), serves until the
 * signal, and prints the address.
 */
export const runApiServer: RunApiServer = async (request, { write, complain, signal }) => {
	const { address, port, serviceCidr, files } = request;
	const log = createLog('info', 'text', process.stderr);
	try {
		if (files.data !== undefined) mkdirSync(files.data, { recursive: true, mode: 0o700 });
		const certificate = certificateOf(request);
		const users = usersOf(request);
		const server = await startApiServer({
			listen: { address, port },
			users,
			certificate,
			serviceCidr,
			log,
			...(files.data === undefined ? {} : { dataFolder: join(files.data, 'store') }),
			...(request.crds ? { customDefinitions: packagedDefinitions() } : {}),
		});
		const url = address === '0.0.0.0' || address === '::' ? `https://127.0.0.1:${server.port}` : server.url;
		const kubeconfig =
			files.kubeconfig ??
			join(
				files.data ?? tmpdir(),
				files.data === undefined ? `bgpmesh-apiserver-${server.port}.kubeconfig` : 'admin.kubeconfig',
			);
		const [administrator] = users.filter(({ groups }) => groups.includes('system:masters'));
		if (administrator !== undefined) writeKubeconfig(kubeconfig, url, certificate, administrator);
		write(`${server.url}\nkubectl --kubeconfig ${resolve(kubeconfig)} get nodes\n`);
		if (!signal.aborted) await new Promise((stopped) => signal.addEventListener('abort', stopped, { once: true }));
		await server.close();
		return 'done';
	} catch (error) {
		const known = error instanceof Error && ('code' in error || error instanceof TokenFileError);
		if (!known) throw error;
		complain(`bgpmesh apiserver: ${error.message}${causeOf(error)}\n`);
		return 'not-as-asked';
	} finally {
		await log.end();
	}
};

const causeOf = (error: Error): string => (error.cause instanceof Error ? `: ${error.cause.message}` : '');

/** The given certificate, or a generated one, stored if there is a folder. */
function certificateOf({ address, files }: ApiServerRequest): Certificate {
	if (files.tlsCert !== undefined && files.tlsKey !== undefined)
		return { cert: readFileSync(files.tlsCert, 'utf8'), key: readFileSync(files.tlsKey, 'utf8') };
	const [certFile, keyFile] =
		files.data === undefined
			? [undefined, undefined]
			: [join(files.data, 'server.crt'), join(files.data, 'server.key')];
	if (certFile !== undefined && existsSync(certFile) && existsSync(keyFile))
		return { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
	const names = [
		...new Set([
			'localhost',
			'127.0.0.1',
			'::1',
			hostname(),
			...(address === '0.0.0.0' || address === '::' ? [] : [address]),
		]),
	];
	const certificate = selfSigned('bgpmesh apiserver', names, Date.now());
	if (certFile !== undefined) {
		writeSecret(keyFile, certificate.key);
		writeFileSync(certFile, certificate.cert);
	}
	return certificate;
}

/** The accepted users: the token file, or one administrator with a generated token. */
function usersOf({ files }: ApiServerRequest): TokenUser[] {
	if (files.tokenFile !== undefined) return parseTokenFile(readFileSync(files.tokenFile, 'utf8'));
	const file = files.data === undefined ? undefined : join(files.data, 'token.csv');
	if (file !== undefined && existsSync(file)) return parseTokenFile(readFileSync(file, 'utf8'));
	const line = `${randomBytes(24).toString('base64url')},admin,admin,system:masters\n`;
	if (file !== undefined) writeSecret(file, line);
	return parseTokenFile(line);
}

function writeKubeconfig(file: string, server: string, { cert }: Certificate, { token, name }: TokenUser): void {
	writeSecret(file, stringify(kubeconfigOf({ server, certificate: cert, token, user: name })));
}

function writeSecret(file: string, text: string): void {
	writeFileSync(file, text, { mode: 0o600 });
	chmodSync(file, 0o600);
}
