import type { Family, PrefixKey } from '../core/index.ts';

/**
 * A tunnel mode of Calico's IPPool: never, always, or only to nodes outside of this node's subnets.
 */
export type TunnelMode = 'Never' | 'Always' | 'CrossSubnet';

/** The part of an IPPool that routes, tunnels and address translation need. */
export interface TunnelPool {
	readonly cidr: PrefixKey;
	readonly ipipMode: TunnelMode;
	/** Default `Never`. With both modes set VXLAN counts, as in Calico. */
	readonly vxlanMode?: TunnelMode;
	/** Pool sources leave to destinations outside all pools under the node's own address. */
	readonly natOutgoing: boolean;
	/** Another program owns the routes of this pool: the reason why no route is written for it. */
	readonly foreign?: string;
	/**
	 * Routes of the pool follow from block affinities in the datastore; best routes of BGP are not
	 * written for it.
	 */
	readonly routesFromDatastore?: boolean;
}

/** An address of an interface of this node. */
export interface InterfaceAddress {
	/** The interface's name. */
	readonly device: string;
	/** `10.0.1.2/24`: the address with the length of its subnet, host bits kept. */
	readonly address: string;
}

/** Where VXLAN packets for a node go: its tunnel address by family, canonical text. */
export type TunnelAddresses = Readonly<Partial<Record<Family, string>>>;
