import {
	AddressError,
	canonicalAddress,
	familyOf,
	formatAddress,
	type PrefixKey,
	parseAddress,
	prefixKey,
} from '../../core/index.ts';
import { arrayAt, isArray, isObject, type JsonValue, parseJson, textAt } from '../../json/index.ts';
import { type Resource, texts } from './resource.ts';

/** An address of a node with its subnet's prefix length: `10.0.1.2/24`. */
export interface NodeAddress {
	/** Canonical text. */
	readonly address: string;
	readonly length: number;
}

/** A node's facts from Calico's annotations and the Node itself. */
export interface NodeFacts {
	readonly name: string;
	/**
	 * Kubernetes' labels, overridden by the annotation `projectcalico.org/labels`: the input of
	 * selectors.
	 */
	readonly labels: Readonly<Record<string, string>>;
	readonly ipv4: NodeAddress | undefined;
	readonly ipv6: NodeAddress | undefined;
	/** The node's own AS number, if it differs from the cluster's. */
	readonly asNumber: number | undefined;
	/** Present on a route reflector. Dotted quad. */
	readonly clusterId: string | undefined;
	/** Addresses of the node's tunnel devices, canonical. */
	readonly tunnelAddresses: {
		readonly ipip: string | undefined;
		readonly vxlan: string | undefined;
		readonly vxlanIpv6: string | undefined;
	};
	/** MAC addresses of the VXLAN devices as text, from annotations. */
	readonly vxlanMacs: { readonly ipv4: string | undefined; readonly ipv6: string | undefined };
	/**
	 * MAC address, as text, of the device by which the node takes packets for direct server return;
	 * `undefined`: it takes none.
	 */
	readonly directReturnMac: string | undefined;
	/** `spec.podCIDRs`, canonical. */
	readonly podCidrs: readonly PrefixKey[];
	readonly internalAddresses: readonly string[];
	/** The Node is being deleted. */
	readonly terminating: boolean;
	/** Fields that could not be read, for `lint` and the log. */
	readonly problems: readonly string[];
}

const annotation = (name: string): string => `projectcalico.org/${name}`;

/** The annotations this project reads and writes. */
export const nodeAnnotations = {
	ipv4Address: annotation('IPv4Address'),
	ipv6Address: annotation('IPv6Address'),
	asNumber: annotation('ASNumber'),
	clusterId: annotation('RouteReflectorClusterID'),
	ipipTunnelAddress: annotation('IPv4IPIPTunnelAddr'),
	vxlanTunnelAddress: annotation('IPv4VXLANTunnelAddr'),
	vxlanIpv6TunnelAddress: annotation('IPv6VXLANTunnelAddr'),
	vxlanMac: annotation('VXLANTunnelMACAddr'),
	vxlanIpv6Mac: annotation('VXLANTunnelMACAddrV6'),
	labels: annotation('labels'),
	directReturnMac: 'bgpmesh.io/direct-server-return',
} as const;

/** All Nodes are evaluated at each change of one of them: the facts of each Node are cached. */
const known = new WeakMap<Resource, NodeFacts>();

/** Reads a Node; invalid fields are omitted and reported. */
export function toNodeFacts(node: Resource): NodeFacts {
	const facts = known.get(node) ?? readFacts(node);
	known.set(node, facts);
	return facts;
}

function readFacts({ name, labels, annotations, terminating, raw }: Resource): NodeFacts {
	const problems: string[] = [];
	const read = <T>(key: keyof typeof nodeAnnotations, parse: (text: string) => T): T | undefined => {
		const text = annotations[nodeAnnotations[key]];
		if (text === undefined || text === '') return undefined;
		try {
			return parse(text);
		} catch (error) {
			problems.push(`annotation ${nodeAnnotations[key]}: ${error instanceof Error ? error.message : String(error)}`);
			return undefined;
		}
	};
	return {
		name,
		labels: { ...labels, ...read('labels', parseLabels) },
		ipv4: read('ipv4Address', parseNodeAddress),
		ipv6: read('ipv6Address', parseNodeAddress),
		asNumber: read('asNumber', parseAsNumber),
		clusterId: read('clusterId', canonicalAddress),
		tunnelAddresses: {
			ipip: read('ipipTunnelAddress', canonicalAddress),
			vxlan: read('vxlanTunnelAddress', canonicalAddress),
			vxlanIpv6: read('vxlanIpv6TunnelAddress', canonicalAddress),
		},
		vxlanMacs: { ipv4: read('vxlanMac', macAddress), ipv6: read('vxlanIpv6Mac', macAddress) },
		directReturnMac: read('directReturnMac', macAddress),
		podCidrs: podCidrs(arrayAt(raw, 'spec', 'podCIDRs'), problems),
		internalAddresses: internalAddresses(arrayAt(raw, 'status', 'addresses')),
		terminating,
		problems,
	};
}

function podCidrs(entries: readonly JsonValue[], problems: string[]): PrefixKey[] {
	return entries.flatMap((cidr) => {
		try {
			return typeof cidr === 'string' ? [prefixKey(cidr, 'clear')] : [];
		} catch (error) {
			if (!(error instanceof AddressError)) throw error;
			problems.push(`spec.podCIDRs: ${error.message}`);
			return [];
		}
	});
}

function internalAddresses(addresses: readonly JsonValue[]): string[] {
	return addresses.flatMap((entry) => {
		const address = isObject(entry) && textAt(entry, 'type') === 'InternalIP' ? textAt(entry, 'address') : undefined;
		return address === undefined ? [] : [address];
	});
}

/** @throws TypeError */
function macAddress(text: string): string {
	if (!/^([0-9a-fA-F]{1,2}:){5}[0-9a-fA-F]{1,2}$/.test(text.trim())) throw new TypeError(`'${text}' is no MAC address`);
	return text.trim().toLowerCase();
}

function parseLabels(text: string): Readonly<Record<string, string>> {
	const value = parseJson(text);
	if (!isObject(value) || isArray(value)) throw new TypeError('it is not a JSON object');
	return texts(value);
}

/** `10.0.1.2/24`; without a length it is a host address without a subnet. @throws AddressError */
function parseNodeAddress(text: string): NodeAddress {
	const [address = '', length] = text.split('/');
	const { bytes } = parseAddress(address);
	const most = familyOf(bytes) === 'ipv4' ? 32 : 128;
	const bits = length === undefined ? most : Number(length);
	if (!Number.isInteger(bits) || bits < 0 || bits > most)
		throw new AddressError(text, `an address with a prefix length of at most ${most}`);
	return { address: formatAddress(bytes), length: bits };
}

/** An AS number in asplain or asdot notation (RFC 5396). @throws RangeError */
export function parseAsNumber(text: string): number {
	const [, high, low] = /^(\d{1,5})\.(\d{1,5})$/.exec(text) ?? [];
	const asNumber =
		high === undefined || low === undefined
			? /^\d{1,10}$/.test(text)
				? Number(text)
				: Number.NaN
			: Number(high) * 65536 + Number(low);
	if (!(asNumber >= 1 && asNumber <= 0xffffffff) || Number(low ?? 0) > 65535)
		throw new RangeError(`'${text}' is not an AS number`);
	return asNumber;
}
