import { type AgentOptions, Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent, type RequestOptions } from 'node:https';

/** How to reach an API server, and who we are to it. */
export interface Credentials {
	/** `https://host:port`, with the path the kubeconfig gives, if any. */
	readonly server: string;
	/** The namespace of the context, `default` without one. */
	readonly namespace: string;
	/** Agent and headers of the next request: tokens are read again as they rotate, exec plugins asked again as they expire. */
	options(): Promise<Pick<RequestOptions, 'agent' | 'headers'>>;
}

/** How long what a credential plugin or token file said is used before it is asked again, in milliseconds. */
const freshMs = 60_000;

const keepAlive: AgentOptions = { keepAlive: true, maxSockets: 64, scheduling: 'lifo' };

/**
 * Credentials as `kubectl` would use them: from the file given, `KUBECONFIG`, `~/.kube/config`, or those of the pod's service account.
 * The library is loaded here and not before: it costs most of a second.
 * @throws Error from the library, about a file that can't be read or used
 */
export async function loadCredentials(kubeconfig: string | undefined): Promise<Credentials> {
	const { KubeConfig } = await import('@kubernetes/client-node');
	const config = new KubeConfig();
	if (kubeconfig === undefined) config.loadFromDefault();
	else config.loadFromFile(kubeconfig);
	const cluster = config.getCurrentCluster();
	if (cluster === null) throw new Error(`the kubeconfig ${kubeconfig ?? 'in use'} has no current cluster: set current-context`);
	let known: { readonly agent: HttpAgent; readonly headers: Record<string, string>; readonly identity: string; readonly atMs: number } | undefined;
	return {
		server: cluster.server.replace(/\/$/, ''),
		namespace: config.getContextObject(config.getCurrentContext())?.namespace ?? 'default',
		async options() {
			if (known !== undefined && performance.now() - known.atMs < freshMs) return known;
			const options: RequestOptions = {};
			await config.applyToHTTPSOptions(options);
			const identity = JSON.stringify(
				[options.ca, options.cert, options.key, options.rejectUnauthorized, options.servername].map((part) => (part === undefined ? null : String(part))),
			);
			// The library makes an agent each time; ours keeps connections open, and lives while the certificates stay the same.
			const agent = known?.identity === identity ? known.agent : makeAgent(cluster.server, cluster.proxyUrl, options);
			// The library writes headers as an object of text.
			known = { agent, identity, headers: (options.headers ?? {}) as Record<string, string>, atMs: performance.now() };
			return known;
		},
	};
}

function makeAgent(server: string, proxy: string | undefined, { agent, ca, cert, key, rejectUnauthorized, servername }: RequestOptions): HttpAgent {
	if (proxy !== undefined && agent instanceof HttpAgent) return agent;
	if (server.startsWith('http:')) return new HttpAgent(keepAlive);
	return new HttpsAgent({
		...keepAlive,
		ca,
		cert,
		key,
		...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }),
		...(servername === undefined ? {} : { servername }),
	});
}
