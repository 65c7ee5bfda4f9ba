import { AddressError, canonicalAddress, familyOf, formatAddress, type PrefixKey, parseAddress, prefixKey } from '../../core/index.ts';
import { arrayAt, isArray, isObject, type JsonValue, parseJson, textAt } from '../json/index.ts';
import { type Resource, texts } from './resource.ts';

/** An address of a node with the length of its subnet: `10.0.1.2/24`. */
export interface NodeAddress {
	/** Canonical text. */
	readonly address: string;
	readonly length: number;
}

/** What Calico's annotations and the Node itself say of a node. */
export interface NodeFacts {
	readonly name: string;
	/** Kubernetes' labels, and those of the annotation `projectcalico.org/labels` over them: what selectors see. */
	readonly labels: Readonly<Record<string, string>>;
	readonly ipv4: NodeAddress | undefined;
	readonly ipv6: NodeAddress | undefined;
	/** Of its own, where it differs from the cluster's. */
	readonly asNumber: number | undefined;
	/** Present: it reflects. As a dotted quad. */
	readonly clusterId: string | undefined;
	readonly tunnelAddresses: { readonly ipip: string | undefined };
	/** `spec.podCIDRs`, canonical. */
	readonly podCidrs: readonly PrefixKey[];
	readonly internalAddresses: readonly string[];
	/** What could not be read, for `lint` and the log. */
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
	labels: annotation('labels'),
} as const;

/** All Nodes are looked at whenever one changes: what each of them says is worked out once. */
const known = new WeakMap<Resource, NodeFacts>();

/** Reads a Node; what does not parse is left out and named. */
export function toNodeFacts(node: Resource): NodeFacts {
	const facts = known.get(node) ?? readFacts(node);
	known.set(node, facts);
	return facts;
}

function readFacts({ name, labels, annotations, raw }: Resource): NodeFacts {
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
		tunnelAddresses: { ipip: read('ipipTunnelAddress', canonicalAddress) },
		podCidrs: podCidrs(arrayAt(raw, 'spec', 'podCIDRs'), problems),
		internalAddresses: internalAddresses(arrayAt(raw, 'status', 'addresses')),
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

function parseLabels(text: string): Readonly<Record<string, string>> {
	const value = parseJson(text);
	if (!isObject(value) || isArray(value)) throw new TypeError('it is not a JSON object');
	return texts(value);
}

/** `10.0.1.2/24`; without a length it is a host's: nothing shares its subnet. @throws AddressError */
export function parseNodeAddress(text: string): NodeAddress {
	const [address = '', length] = text.split('/');
	const { bytes } = parseAddress(address);
	const most = familyOf(bytes) === 'ipv4' ? 32 : 128;
	const bits = length === undefined ? most : Number(length);
	if (!Number.isInteger(bits) || bits < 0 || bits > most) throw new AddressError(text, `an address with a prefix length of at most ${most}`);
	return { address: formatAddress(bytes), length: bits };
}

/** An AS number, plain or in dotted notation (RFC 5396). @throws RangeError */
export function parseAsNumber(text: string): number {
	const [, high, low] = /^(\d{1,5})\.(\d{1,5})$/.exec(text) ?? [];
	const asNumber = high === undefined || low === undefined ? (/^\d{1,10}$/.test(text) ? Number(text) : Number.NaN) : Number(high) * 65536 + Number(low);
	if (!(asNumber >= 1 && asNumber <= 0xffffffff) || Number(low ?? 0) > 65535) throw new RangeError(`'${text}' is not an AS number`);
	return asNumber;
}
