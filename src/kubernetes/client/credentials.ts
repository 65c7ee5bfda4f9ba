import { existsSync } from 'node:fs';
import { type AgentOptions, Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent, type AgentOptions as HttpsAgentOptions, type RequestOptions } from 'node:https';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Duplex } from 'node:stream';
import { checkServerIdentity } from 'node:tls';
import type { ServerAddresses } from './server-addresses.ts';

/** The address of an API server, and the client's credentials. */
export interface Credentials {
	/** `https://host:port`, with the path of the kubeconfig, if any. */
	readonly server: string;
	/** The namespace of the context; `default` if it has none. */
	readonly namespace: string;
	/**
	 * Agent and headers of the next request. Token files are read again after rotation; exec
	 * plugins run again after expiry.
	 */
	options(use: 'request' | 'watch'): Promise<Pick<RequestOptions, 'agent' | 'headers'>>;
}

/** Cache time for the results of credential plugins and token files, in milliseconds. */
const freshMs = 60_000;

/**
 * Idle time of a connection, in milliseconds: shorter than that of API servers (kube-apiserver 90
 * s), of proxies before them, and than the time the server announces. A request on a connection
 * that the server closes at the same moment is lost.
 */
const idleMs = 30_000;

/** Requests share a bounded number of connections; a watch holds its own connection for minutes. */
const agentOptions: Readonly<Record<'request' | 'watch', AgentOptions>> = {
	request: { keepAlive: true, timeout: idleMs, maxSockets: 64, scheduling: 'lifo' },
	watch: { keepAlive: true, timeout: idleMs, scheduling: 'lifo' },
};

/**
 * `npm run build` bundles the required part of the package into one file: it loads in 0.13 s, the
 * package in almost 1 s. After `tsc` alone there is no bundle.
 */
const bundle = new URL('../../../client-node.mjs', import.meta.url);

const loadLibrary = (): Promise<Pick<typeof import('@kubernetes/client-node'), 'KubeConfig'>> =>
	existsSync(bundle) ? import(bundle.href) : import('@kubernetes/client-node');

/** One agent per use, and the options from which they were created. */
type Agents = Readonly<Record<'request' | 'watch', HttpAgent>>;

/** The service account token in a pod. */
const serviceAccountToken = '/var/run/secrets/kubernetes.io/serviceaccount/token';

/** A possible location of a kubeconfig, and its description in errors. */
export interface KubeconfigPlace {
	readonly path: string;
	readonly title: string;
}

/** The locations for credentials without `--kubeconfig`, in order. Pure. */
function kubeconfigPlaces(
	environment: Readonly<Record<string, string | undefined>>,
	home: string,
): readonly KubeconfigPlace[] {
	const given = environment['KUBECONFIG'] ?? '';
	const files = given === '' ? [join(home, '.kube', 'config')] : given.split(delimiter);
	return [
		...files.map((path) => ({ path, title: given === '' ? path : `${path} (KUBECONFIG)` })),
		{ path: serviceAccountToken, title: `${serviceAccountToken} (service account of a pod)` },
	];
}

/**
 * Without any kubeconfig the library would use localhost:8080. @throws Error that lists the
 * locations
 */
function checkPlaces(places: readonly KubeconfigPlace[]): void {
	if (places.some(({ path }) => existsSync(path))) return;
	throw new Error(
		`no kubeconfig was found: there is no ${places.map(({ title }) => title).join(', no ')}; ` +
			'name one with --kubeconfig or KUBECONFIG',
	);
}

/**
 * Loads credentials as `kubectl` does: from the given file, `KUBECONFIG`, `~/.kube/config`, or the
 * pod's service account. The library is loaded here, at the first use. `addresses`: connect to
 * these in place of the named server. @throws Error from the library, for a file that can not be
 * read or used
 */
export async function loadCredentials(
	kubeconfig: string | undefined,
	addresses?: ServerAddresses,
): Promise<Credentials> {
	if (kubeconfig === undefined) checkPlaces(kubeconfigPlaces(process.env, homedir()));
	const { KubeConfig } = await loadLibrary();
	const config = new KubeConfig();
	if (kubeconfig === undefined) config.loadFromDefault();
	else config.loadFromFile(kubeconfig);
	const cluster = config.getCurrentCluster();
	if (cluster === null)
		throw new Error(`the kubeconfig ${kubeconfig ?? 'in use'} has no current cluster: set current-context`);
	let known:
		| {
				readonly agents: Agents;
				readonly headers: Record<string, string>;
				readonly identity: string;
				readonly atMs: number;
		  }
		| undefined;
	return {
		server: cluster.server.replace(/\/$/, ''),
		namespace: config.getContextObject(config.getCurrentContext())?.namespace ?? 'default',
		async options(use) {
			if (known !== undefined && performance.now() - known.atMs < freshMs)
				return { agent: known.agents[use], headers: known.headers };
			const options: RequestOptions = {};
			await config.applyToHTTPSOptions(options);
			const identity = JSON.stringify(
				[options.ca, options.cert, options.key, options.rejectUnauthorized, options.servername].map((part) =>
					part === undefined ? null : String(part),
				),
			);
			// The library creates an agent per call. This agent keeps connections open as long as
			// the certificates are unchanged.
			const make = (agent: AgentOptions) => makeAgent(cluster.server, cluster.proxyUrl, options, agent, addresses);
			const agents =
				known?.identity === identity
					? known.agents
					: { request: make(agentOptions.request), watch: make(agentOptions.watch) };
			// The library writes headers as a plain object of strings.
			known = { agents, identity, headers: (options.headers ?? {}) as Record<string, string>, atMs: performance.now() };
			return { agent: agents[use], headers: known.headers };
		},
	};
}

function makeAgent(
	server: string,
	proxy: string | undefined,
	{ agent, ca, cert, key, rejectUnauthorized, servername }: RequestOptions,
	own: AgentOptions,
	addresses: ServerAddresses | undefined,
): HttpAgent {
	if (proxy !== undefined && agent instanceof HttpAgent) return agent;
	if (server.startsWith('http:')) return new HttpAgent(own);
	const secured: HttpsAgentOptions = {
		...own,
		ca,
		cert,
		key,
		...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }),
		...(servername === undefined ? {} : { servername }),
	};
	return addresses === undefined
		? new HttpsAgent(secured)
		: new ElsewhereAgent(secured, servername ?? new URL(server).hostname.replace(/^\[|\]$/g, ''), addresses);
}

/** Connects to other addresses than the URL's; the certificate must still be valid for `name`. */
class ElsewhereAgent extends HttpsAgent {
	readonly #name: string;
	readonly #addresses: ServerAddresses;

	constructor(options: HttpsAgentOptions, name: string, addresses: ServerAddresses) {
		super(options);
		this.#name = name;
		this.#addresses = addresses;
	}

	override createConnection(
		options: RequestOptions,
		callback?: (error: Error | null, stream: Duplex) => void,
	): Duplex | null | undefined {
		const address = this.#addresses.current();
		const elsewhere: RequestOptions = {
			...options,
			...(address === undefined ? {} : { host: address.host, port: address.port }),
			checkServerIdentity: (_, certificate) => checkServerIdentity(this.#name, certificate),
		};
		const socket = super.createConnection(elsewhere, callback);
		socket?.once('error', () => this.#addresses.failed(address));
		return socket;
	}
}
