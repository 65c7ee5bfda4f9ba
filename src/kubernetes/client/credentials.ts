import { existsSync } from 'node:fs';
import { type AgentOptions, Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent, type RequestOptions } from 'node:https';

/** How to reach an API server, and who we are to it. */
export interface Credentials {
	/** `https://host:port`, with the path the kubeconfig gives, if any. */
	readonly server: string;
	/** The namespace of the context, `default` without one. */
	readonly namespace: string;
	/** Agent and headers of the next request: tokens are read again as they rotate, exec plugins asked again as they expire. */
	options(use: 'request' | 'watch'): Promise<Pick<RequestOptions, 'agent' | 'headers'>>;
}

/** How long what a credential plugin or token file said is used before it is asked again, in milliseconds. */
const freshMs = 60_000;

/**
 * How long an unused connection is kept, in milliseconds: less than servers and what stands before them keep one (kube-apiserver 90 s), or
 * than what the server says it does; a request on a connection that the server ends at the same moment is lost.
 */
const idleMs = 30_000;

/** Requests share a bounded number of connections; a watch holds its own for minutes, and none of theirs. */
const agentOptions: Readonly<Record<'request' | 'watch', AgentOptions>> = {
	request: { keepAlive: true, timeout: idleMs, maxSockets: 64, scheduling: 'lifo' },
	watch: { keepAlive: true, timeout: idleMs, scheduling: 'lifo' },
};

/** `npm run build` makes one file of what is needed here, which loads in an eighth of a second; the package costs most of a whole one. After `tsc` alone there is none. */
const bundle = new URL('../../../client-node.mjs', import.meta.url);

const loadLibrary = (): Promise<Pick<typeof import('@kubernetes/client-node'), 'KubeConfig'>> =>
	existsSync(bundle) ? import(bundle.href) : import('@kubernetes/client-node');

/** An agent for each use, and what they were made from. */
type Agents = Readonly<Record<'request' | 'watch', HttpAgent>>;

/**
 * Credentials as `kubectl` would use them: from the file given, `KUBECONFIG`, `~/.kube/config`, or those of the pod's service account.
 * The library is loaded here and not before.
 * @throws Error from the library, about a file that can't be read or used
 */
export async function loadCredentials(kubeconfig: string | undefined): Promise<Credentials> {
	const { KubeConfig } = await loadLibrary();
	const config = new KubeConfig();
	if (kubeconfig === undefined) config.loadFromDefault();
	else config.loadFromFile(kubeconfig);
	const cluster = config.getCurrentCluster();
	if (cluster === null) throw new Error(`the kubeconfig ${kubeconfig ?? 'in use'} has no current cluster: set current-context`);
	let known: { readonly agents: Agents; readonly headers: Record<string, string>; readonly identity: string; readonly atMs: number } | undefined;
	return {
		server: cluster.server.replace(/\/$/, ''),
		namespace: config.getContextObject(config.getCurrentContext())?.namespace ?? 'default',
		async options(use) {
			if (known !== undefined && performance.now() - known.atMs < freshMs) return { agent: known.agents[use], headers: known.headers };
			const options: RequestOptions = {};
			await config.applyToHTTPSOptions(options);
			const identity = JSON.stringify(
				[options.ca, options.cert, options.key, options.rejectUnauthorized, options.servername].map((part) => (part === undefined ? null : String(part))),
			);
			// The library makes an agent each time; ours keeps connections open, and lives while the certificates stay the same.
			const make = (agent: AgentOptions) => makeAgent(cluster.server, cluster.proxyUrl, options, agent);
			const agents = known?.identity === identity ? known.agents : { request: make(agentOptions.request), watch: make(agentOptions.watch) };
			// The library writes headers as an object of text.
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
): HttpAgent {
	if (proxy !== undefined && agent instanceof HttpAgent) return agent;
	if (server.startsWith('http:')) return new HttpAgent(own);
	return new HttpsAgent({
		...own,
		ca,
		cert,
		key,
		...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }),
		...(servername === undefined ? {} : { servername }),
	});
}
