import { networkInterfaces } from 'node:os';
import type { Config } from '../config/index.ts';
import { canonicalAddress, formatAddress, parseAddress, parsePrefix, prefixCovers } from '../core/index.ts';

/** Addresses of this node's interfaces, canonical text. */
export interface NodeAddresses {
	readonly all: readonly string[];
	/** The first IPv4 address that others can reach, `undefined` where there is none. */
	readonly ipv4: string | undefined;
}

/** What the interfaces have now; devices of tunnels and containers are not the node's own address. */
export function nodeAddresses(): NodeAddresses {
	const rows = Object.entries(networkInterfaces()).flatMap(([device, addresses]) => (addresses ?? []).map((address) => ({ device, ...address })));
	const own = rows.find(({ device, family, internal }) => family === 'IPv4' && !internal && !/^(tunl|docker|cni|cali|veth|virbr)/.test(device));
	return { all: rows.map(({ address }) => canonicalAddress(address.replace(/%.*$/, ''))), ipv4: own?.address };
}

/** An identifier in dotted quad as the number it is. */
export function identifierNumber(dotted: string): number {
	const bytes = parseAddress(dotted).bytes;
	return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
}

/** The tunnel's own address: as configured, or the first one of the first static block in an IPv4 pool with IPIP. */
export function tunnelAddress({ ipip, bgp, pools }: Config): string | undefined {
	if (ipip.tunnelAddress !== undefined) return ipip.tunnelAddress;
	const tunnelled = pools.filter(({ ipipMode }) => ipipMode !== 'Never').map(({ cidr }) => parsePrefix(cidr));
	const block = bgp?.originate.map(({ prefix }) => parsePrefix(prefix)).find((prefix) => tunnelled.some((pool) => prefixCovers(pool, prefix)));
	return block && formatAddress(block.bytes);
}
