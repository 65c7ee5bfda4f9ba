import { networkInterfaces } from 'node:os';
import { type Clock, canonicalAddress } from '../../core/index.ts';
import { type ApiClient, ApiError, coreKinds, type Informer, type NodeFacts, nodeAnnotations, toNodeFacts } from '../../kubernetes/index.ts';
import { until } from './patience.ts';

/** Devices that never carry a node's own address. Calico's first-found excludes these. */
const notOwn =
	/^(docker|cbr|dummy|podman|virbr|lxcbr|veth|lo$|br-|cali|tunl|flannel|kube-ipvs|cni|vxlan\.calico|vxlan-v6\.calico|wireguard\.cali|wg-v6\.cali|nodelocaldns)/;

/** So long the copy may take to catch up with what somebody else wrote, in milliseconds; and how often. */
const catchUpMs = 2000;
const mostAttempts = 5;

/** What the annotations of a node without one should say: Kubernetes' InternalIP with the length of the interface that has it, else the first address found. */
export function ownAddresses({ ipv4, internalAddresses }: NodeFacts): Record<string, string> {
	if (ipv4 !== undefined) return {};
	const rows = Object.entries(networkInterfaces()).flatMap(([device, addresses]) => (addresses ?? []).map((address) => ({ device, ...address })));
	const candidates = rows.filter(({ device, family, internal }) => family === 'IPv4' && !internal && !notOwn.test(device));
	const own = candidates.find(({ address }) => internalAddresses.includes(address)) ?? candidates[0];
	if (own === undefined) return {};
	const length = own.cidr?.split('/')[1] ?? '32';
	return { [nodeAnnotations.ipv4Address]: `${canonicalAddress(own.address)}/${length}` };
}

export interface OwnAddressOptions {
	readonly node: string;
	readonly client: Pick<ApiClient, 'patch'>;
	readonly nodes: Pick<Informer, 'items' | 'absorb'>;
	readonly clock: Clock;
	/** What a node without an address should say. */
	readonly addresses: (facts: NodeFacts) => Readonly<Record<string, string>>;
}

/**
 * Gives a Node without an address its own, and returns what was written. Only where the copy is as new as the Node itself: an address that somebody has
 * just written is not overwritten by one that was found. @throws ApiError, ApiUnreachableError
 */
export async function writeOwnAddresses({ node, client, nodes, clock, addresses }: OwnAddressOptions): Promise<Readonly<Record<string, string>>> {
	for (let attempt = 1; ; attempt++) {
		const resource = nodes.items.get(node);
		const annotations = resource === undefined ? {} : addresses(toNodeFacts(resource));
		if (resource === undefined || Object.keys(annotations).length === 0) return {};
		const { resourceVersion } = resource;
		try {
			nodes.absorb(await client.patch(coreKinds.nodes, node, { metadata: { resourceVersion, annotations } }, 'application/merge-patch+json'));
			return annotations;
		} catch (error) {
			if (!(error instanceof ApiError && error.code === 409) || attempt === mostAttempts) throw error;
			await until(() => nodes.items.get(node)?.resourceVersion !== resourceVersion, catchUpMs, clock);
		}
	}
}
