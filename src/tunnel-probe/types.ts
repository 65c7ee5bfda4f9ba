import type { Family } from '../core/index.ts';

/** The other end of a tunnel. Addresses are canonical text. */
export interface ProbeTarget {
	/** Name of the remote node. */
	readonly node: string;
	readonly family: Family;
	/** Address of the remote tunnel device: the way to it is the tunnel. */
	readonly tunnelAddress: string;
	/** Address of the remote node on the network below. */
	readonly nodeAddress: string;
	/** Our tunnel device, and its MTU. */
	readonly device: string;
	readonly mtuBytes: number;
}

/** A path that loses packets of the tunnel's full size, while small ones arrive. */
export interface MtuHole extends ProbeTarget {
	/** The largest packet that arrives. */
	readonly passesBytes: number;
}
