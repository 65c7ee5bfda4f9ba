import type { JsonObject } from '../json/index.ts';

/** What a client needs to reach a server. */
export interface KubeconfigEntry {
	/** `https://ADDRESS:PORT` */
	readonly server: string;
	/** The certificate (PEM) that the client trusts, or the path of a file with it. */
	readonly certificate: string | { readonly file: string };
	readonly token: string;
	/** Name of the user; default `admin`. */
	readonly user?: string;
}

/**
 * A kubeconfig (kind `Config`) with one cluster, one user and one context, for kubectl and for the
 * client of this project. Pure.
 */
export function kubeconfigOf({ server, certificate, token, user = 'admin' }: KubeconfigEntry): JsonObject {
	const authority =
		typeof certificate === 'string'
			? { 'certificate-authority-data': Buffer.from(certificate).toString('base64') }
			: { 'certificate-authority': certificate.file };
	const cluster = { server, ...authority };
	return {
		apiVersion: 'v1',
		kind: 'Config',
		'current-context': 'bgpmesh',
		clusters: [{ name: 'bgpmesh', cluster }],
		users: [{ name: user, user: { token } }],
		contexts: [{ name: 'bgpmesh', context: { cluster: 'bgpmesh', user } }],
	};
}
