import {
	ControlClient,
	ControlError,
	NoDaemonError,
	type PeersView,
	type PoolView,
	type StatusView,
} from '../src/control/index.ts';
import { hostPrefix, parseAddress, parsePrefix, prefixContains } from '../src/core/index.ts';
import { run } from './commands.ts';
import type { PeerRow, RouteRow } from './report.ts';
import type { LabNode, LabTopology } from './topology.ts';

/** The sessions of a node as its daemon reports them; none while it does not respond. */
export async function peersOf(node: LabNode, socket: string, { nodes }: LabTopology): Promise<PeerRow[]> {
	const { peers } = await new ControlClient(socket).ask('peers', {}).catch(notYet);
	return peers.map(({ name, address, asNumber, state, prefixes }) => ({
		node: node.name,
		// Daemons name neighbours from resources by their addresses.
		peer: address === node.subnet.tor ? 'tor' : (nodes.find((other) => other.address === address)?.name ?? name),
		address,
		asNumber,
		state,
		received: prefixes.reduce((sum, { received }) => sum + received, 0),
		advertised: prefixes.reduce((sum, { advertised }) => sum + advertised, 0),
	}));
}

function notYet(error: unknown): PeersView {
	if (error instanceof NoDaemonError || error instanceof ControlError) return { peers: [] };
	throw error;
}

/**
 * Which of these addresses are held, by the daemon of a node. @throws NoDaemonError, ControlError
 */
export async function usedOf(socket: string, addresses: readonly string[]): Promise<readonly string[]> {
	const client = new ControlClient(socket);
	const used: string[] = [];
	for (const address of addresses) {
		if ((await client.ask('ipamAddress', { address })).state === 'used') used.push(address);
	}
	return used;
}

/** The pools by the daemon of a node. @throws NoDaemonError, ControlError */
export const poolsOf = async (socket: string): Promise<readonly PoolView[]> =>
	(await new ControlClient(socket).ask('pools', {})).pools;

/**
 * The problems that the daemon of a node reports in its status. @throws NoDaemonError, ControlError
 */
export const problemsOf = async (socket: string): Promise<StatusView['problems']> =>
	(await new ControlClient(socket).ask('status', {})).problems;

interface KernelRoute {
	readonly type?: string;
	readonly dst: string;
	readonly gateway?: string;
	readonly dev?: string;
}

/** The daemon's routes in the kernel of a node, read from the kernel itself. */
export async function routesOf(namespace: string, { nodes }: LabTopology): Promise<RouteRow[]> {
	const { stdout } = await run('ip', ['-n', namespace, '-json', 'route', 'show', 'proto', '80']);
	const blocks = new Set(nodes.map(({ block }) => block));
	return parseRoutes(stdout, blocks);
}

/**
 * Does anything that a daemon keeps in the kernel of this node still use the address: a route of
 * ours, or an end of a VXLAN tunnel? Read from the kernel itself.
 */
export async function usesAddress(namespace: string, address: string): Promise<boolean> {
	const answers = await Promise.all([
		run('ip', ['-n', namespace, 'route', 'show', 'proto', '80']),
		run('ip', ['-n', namespace, '-d', 'link', 'show', 'type', 'vxlan']),
		// Without such a device the command fails, and there is no such entry.
		run('bridge', ['-n', namespace, 'fdb', 'show', 'dev', 'vxlan.calico']),
	]);
	return answers.some(({ stdout }) => hasWord(stdout, address));
}

/** The text has the word, between white space. Pure. */
export const hasWord = (text: string, word: string): boolean => text.split(/\s+/).includes(word);

const isTunnel = (device: string | undefined): boolean => device === 'tunl0' || device === 'vxlan.calico';

/** Reads `ip -json route`; `blocks` are the pod blocks, all other prefixes are external. */
export function parseRoutes(json: string, blocks: ReadonlySet<string>): RouteRow[] {
	if (json.trim() === '') return [];
	const routes = JSON.parse(json) as readonly KernelRoute[];
	return routes.map(({ type, dst, gateway, dev }) => ({
		prefix: dst,
		type: type === 'blackhole' ? 'blackhole' : !blocks.has(dst) ? 'external' : isTunnel(dev) ? 'tunnelled' : 'direct',
		...(gateway === undefined ? {} : { via: gateway }),
		...(dev === undefined ? {} : { device: dev }),
	}));
}

/** Do routes lead to each of these addresses, through the tunnel or directly? */
export function leadsTo(routes: readonly RouteRow[], addresses: readonly string[], tunnelled: boolean): boolean {
	const fitting = routes.filter(({ type, device }) => type !== 'blackhole' && isTunnel(device) === tunnelled);
	const prefixes = fitting.map(({ prefix }) => parsePrefix(prefix.includes('/') ? prefix : hostPrefix(prefix)));
	return addresses.map(parseAddress).every((address) => prefixes.some((prefix) => prefixContains(prefix, address)));
}
