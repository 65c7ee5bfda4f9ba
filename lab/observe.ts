import { request } from 'node:http';
import type { PeerView } from '../src/core/index.ts';
import { run } from './commands.ts';
import type { PeerRow, RouteRow } from './report.ts';
import type { LabNode, LabTopology } from './topology.ts';

/** What a daemon answers to a GET on its control socket; `undefined` where it does not answer. */
export function ask<T>(socketPath: string, path: string): Promise<T | undefined> {
	return new Promise((resolve) => {
		const asked = request({ socketPath, path, timeout: 3000 }, (answer) => {
			let text = '';
			answer.setEncoding('utf8').on('data', (chunk: string) => {
				text += chunk;
			});
			answer.on('end', () => {
				// The control socket is ours: its answers have the shapes of core/views.
				if (answer.statusCode === 200) resolve(JSON.parse(text) as T);
				else resolve(undefined);
			});
			answer.on('error', () => resolve(undefined));
		});
		asked.on('timeout', () => asked.destroy());
		asked.on('error', () => resolve(undefined));
		asked.end();
	});
}

/** The sessions of a node as its daemon tells them; none while it does not answer. */
export async function peersOf(node: LabNode, socket: string): Promise<PeerRow[]> {
	const peers = (await ask<readonly PeerView[]>(socket, '/v1/peers')) ?? [];
	return peers.map(({ name, address, asNumber, state, prefixes }) => ({
		node: node.name,
		peer: name,
		address,
		asNumber,
		state,
		received: prefixes.reduce((sum, { received }) => sum + received, 0),
		advertised: prefixes.reduce((sum, { advertised }) => sum + advertised, 0),
	}));
}

interface KernelRoute {
	readonly type?: string;
	readonly dst: string;
	readonly gateway?: string;
	readonly dev?: string;
}

/** The daemon's routes in the kernel of a node, as the kernel itself tells them. */
export async function routesOf(namespace: string, { nodes }: LabTopology): Promise<RouteRow[]> {
	const { stdout } = await run('ip', ['-n', namespace, '-json', 'route', 'show', 'proto', '80']);
	const blocks = new Set(nodes.map(({ block }) => block));
	return parseRoutes(stdout, blocks);
}

/** Reads `ip -json route`; `blocks` are the pod blocks, everything else came from outside. */
export function parseRoutes(json: string, blocks: ReadonlySet<string>): RouteRow[] {
	if (json.trim() === '') return [];
	const routes = JSON.parse(json) as readonly KernelRoute[];
	return routes.map(({ type, dst, gateway, dev }) => ({
		prefix: dst,
		type: type === 'blackhole' ? 'blackhole' : !blocks.has(dst) ? 'external' : dev === 'tunl0' ? 'tunnelled' : 'direct',
		...(gateway === undefined ? {} : { via: gateway }),
		...(dev === undefined ? {} : { device: dev }),
	}));
}
