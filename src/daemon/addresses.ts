import { networkInterfaces } from 'node:os';
import { canonicalAddress } from '../core/index.ts';

/** Addresses of this node's interfaces, canonical text. */
export interface NodeAddresses {
	readonly all: readonly string[];
	/** The first IPv4 address that is reachable from other hosts, `undefined` if there is none. */
	readonly ipv4: string | undefined;
}

/**
 * The current addresses of the interfaces; devices of tunnels and containers do not have the node's
 * own address.
 */
export function nodeAddresses(): NodeAddresses {
	const rows = Object.entries(networkInterfaces()).flatMap(([device, addresses]) =>
		(addresses ?? []).map((address) => ({ device, ...address })),
	);
	const own = rows.find(
		({ device, family, internal }) =>
			family === 'IPv4' && !internal && !/^(tunl|docker|cni|cali|veth|virbr)/.test(device),
	);
	return { all: rows.map(({ address }) => canonicalAddress(address.replace(/%.*$/, ''))), ipv4: own?.address };
}
