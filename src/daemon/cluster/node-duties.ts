import { networkInterfaces } from 'node:os';
import { formatAddress, type Logger, parseAddress, parsePrefix, prefixContains } from '../../core/index.ts';
import type { Allocator, IpamStore } from '../../ipam/index.ts';
import {
	type ApiClient,
	coreKinds,
	type Informer,
	type JsonObject,
	type NodeFacts,
	nodeAnnotations,
	selectorMatches,
	toNodeFacts,
	toPool,
	toPoolRouting,
} from '../../kubernetes/index.ts';

export interface NodeDutiesOptions {
	readonly node: string;
	readonly client: ApiClient;
	readonly nodes: Informer;
	readonly pools: Informer;
	readonly allocator: Allocator;
	readonly store: IpamStore;
	readonly log: Logger;
}

/** Devices that never carry a node's own address. Calico's first-found excludes these. */
const notOwn =
	/^(docker|cbr|dummy|podman|virbr|lxcbr|veth|lo$|br-|cali|tunl|flannel|kube-ipvs|cni|vxlan\.calico|vxlan-v6\.calico|wireguard\.cali|wg-v6\.cali|nodelocaldns)/;

/** What a node writes about itself: its addresses, its tunnel's address, and that its network is up. */
export class NodeDuties {
	readonly #options: NodeDutiesOptions;
	#running: Promise<void> | undefined;

	constructor(options: NodeDutiesOptions) {
		this.#options = options;
	}

	/** Brings the Node resource to what it should say; one at a time. Never rejects: what failed is logged and done at the next change. */
	perform(): Promise<void> {
		this.#running ??= this.#perform()
			.catch((error: unknown) => this.#options.log.warn('could not write about this node', { error: error instanceof Error ? error.message : String(error) }))
			.finally(() => {
				this.#running = undefined;
			});
		return this.#running;
	}

	async #perform(): Promise<void> {
		const { node, client, nodes, log } = this.#options;
		const resource = nodes.items.get(node);
		if (resource === undefined) {
			log.warn('this node is not in the cluster', { node, hint: 'is `node` in the configuration the name of its Node resource?' });
			return;
		}
		const facts = toNodeFacts(resource);
		const annotations = { ...ownAddresses(facts), ...(await this.#tunnelAnnotation(facts)) };
		const missing = Object.entries(annotations).filter(([key, value]) => resource.annotations[key] !== value);
		if (missing.length === 0) return;
		const written = await client.patch(coreKinds.nodes, node, { metadata: { annotations: Object.fromEntries(missing) } }, 'application/merge-patch+json');
		nodes.absorb(written);
		await client.patch(coreKinds.nodes, node, networkUp(new Date()), 'application/strategic-merge-patch+json', { subresource: 'status' });
		log.info('wrote about this node', { annotations: Object.fromEntries(missing) });
	}

	/** The tunnel's address, from a pool with IPIP that selects this node; none where there is no such pool. Asking again gives the same. */
	async #tunnelAnnotation({ tunnelAddresses, labels }: NodeFacts): Promise<Record<string, string>> {
		const { node, allocator, pools } = this.#options;
		const tunnelled = [...pools.items.values()].flatMap((resource) => {
			const routing = toPoolRouting(resource);
			const selected = selectorMatches(toPool(resource).nodeSelector, labels);
			return selected && !routing.disabled && routing.ipipMode !== 'Never' ? [{ name: resource.name, prefix: parsePrefix(routing.cidr) }] : [];
		});
		if (tunnelled.length === 0) return {};
		const known = tunnelAddresses.ipip;
		if (known !== undefined && tunnelled.some(({ prefix }) => prefixContains(prefix, parseAddress(known)))) return {};
		const handleId = `ipip-tunnel-addr-${node}`;
		const result = await allocator.assign({
			handleId,
			attributes: { node, type: 'ipipTunnelAddress' },
			families: ['ipv4'],
			use: 'Tunnel',
			pools: { ipv4: tunnelled.map(({ name }) => name) },
		});
		if (result.type !== 'assigned') throw new Error(`no tunnel address: ${result.reason}`);
		const [address] = result.addresses;
		return address === undefined ? {} : { [nodeAnnotations.ipipTunnelAddress]: address.address };
	}
}

/** What the annotations of a node without one should say: Kubernetes' InternalIP with the length of the interface that has it, else the first address found. */
function ownAddresses({ ipv4, internalAddresses }: NodeFacts): Record<string, string> {
	if (ipv4 !== undefined) return {};
	const rows = Object.entries(networkInterfaces()).flatMap(([device, addresses]) => (addresses ?? []).map((address) => ({ device, ...address })));
	const candidates = rows.filter(({ device, family, internal }) => family === 'IPv4' && !internal && !notOwn.test(device));
	const own = candidates.find(({ address }) => internalAddresses.includes(address)) ?? candidates[0];
	if (own === undefined) return {};
	const length = own.cidr?.split('/')[1] ?? '32';
	return { [nodeAnnotations.ipv4Address]: `${formatAddress(parseAddress(own.address).bytes)}/${length}` };
}

/** Kubernetes schedules no pod on a node whose network is said to be unavailable. */
function networkUp(now: Date): JsonObject {
	const at = `${now.toISOString().slice(0, 19)}Z`;
	return {
		status: {
			conditions: [
				{
					type: 'NetworkUnavailable',
					status: 'False',
					reason: 'BgpmeshIsUp',
					message: 'bgpmesh is running on this node',
					lastHeartbeatTime: at,
					lastTransitionTime: at,
				},
			],
		},
	};
}
