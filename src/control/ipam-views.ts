/** How full a pool is, and how long it will last. */
export interface PoolView {
	readonly name: string;
	readonly cidr: string;
	readonly blockSize: number;
	readonly blocks: { readonly total: number; readonly claimed: number };
	readonly addresses: {
		readonly total: number;
		readonly used: number;
		readonly cooling: number;
		readonly borrowed: number;
	};
	/** 0 to 1: how much of the claimed blocks is free. */
	readonly fragmentation: number;
	/** At the pace of the last week. */
	readonly exhaustedInDays?: number;
	/** Why it gives no address at all. */
	readonly problem?: string;
}

export interface PoolsView {
	readonly pools: readonly PoolView[];
}

/** How full a block is, and whose. */
export interface BlockView {
	readonly cidr: string;
	readonly node?: string;
	readonly size: number;
	readonly used: number;
	readonly free: number;
	readonly cooling: number;
	readonly borrowed: number;
	readonly claimedAt?: string;
}

export interface BlocksView {
	readonly blocks: readonly BlockView[];
}

/** Whose an address is. */
export interface AddressView {
	readonly address: string;
	readonly block?: string;
	readonly node?: string;
	/** `unreadable`: its block can't be read, `ipam check` has the reason. */
	readonly state: 'used' | 'free' | 'cooling' | 'no-block' | 'unreadable';
	readonly handleId?: string;
	readonly attributes: Readonly<Record<string, string>>;
	/** Of the second owner, while a virtual machine migrates. */
	readonly alternate?: Readonly<Record<string, string>>;
	/** Further blocks that hold the address: they overlap, which must not be. */
	readonly overlappingBlocks?: readonly string[];
}

/**
 * What looks abandoned, and who takes it back. Times are RFC 3339: since when it has looked so to
 * this daemon.
 */
export interface GarbageView {
	/**
	 * `running`: this node collects; `waiting`: it may not now, with `reason`; `off`: it never does.
	 */
	readonly collector: 'running' | 'waiting' | 'off';
	readonly reason?: string;
	/** How long something must look abandoned before it is taken back. */
	readonly graceSeconds: number;
	readonly leaks: readonly {
		readonly handleId: string;
		readonly addresses: readonly string[];
		readonly reason: string;
		readonly since: string;
	}[];
	readonly claims: readonly {
		readonly node: string;
		readonly cidr: string;
		readonly reason: string;
		readonly since: string;
	}[];
	readonly handles: readonly { readonly handleId: string; readonly since: string }[];
	/**
	 * What the round that was asked for has taken back; `spared`: leaks that were in use at the last
	 * look.
	 */
	readonly collected?: {
		readonly addresses: number;
		readonly claims: number;
		readonly handles: number;
		readonly spared: number;
	};
}

/**
 * What blocks, claims, handles, pools, pods and BGP say differently. Without `pods` in `checked`:
 * they may not be listed.
 */
export interface IpamCheckView {
	readonly checked: {
		readonly pools: number;
		readonly blocks: number;
		readonly claims: number;
		readonly handles: number;
		readonly pods?: number;
	};
	readonly problems: readonly {
		readonly kind: string;
		readonly subject: string;
		readonly problem: string;
		readonly fix?: string;
		readonly fixed?: boolean;
	}[];
}
