import type { PrefixKey } from '../core/index.ts';

/** Calico's `ipipMode` of an IPPool: tunnel never, always, or only to nodes outside of our subnets. */
export type IpipMode = 'Never' | 'Always' | 'CrossSubnet';

/** What the tunnels need to know of an IPPool. */
export interface TunnelPool {
	readonly cidr: PrefixKey;
	readonly ipipMode: IpipMode;
	/** Pool sources leave to destinations outside all pools under the node's own address. */
	readonly natOutgoing: boolean;
	/** Somebody else programs this pool (a VXLAN pool, or one that is left to Felix): why we keep away. */
	readonly foreign?: string;
}

/** An address of an interface of this node. */
export interface InterfaceAddress {
	/** The interface's name. */
	readonly device: string;
	/** `10.0.1.2/24`: the address with the length of its subnet, host bits kept. */
	readonly address: string;
}
