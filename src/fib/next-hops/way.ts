import type { Reach } from './route-map.ts';

/** The gateway and interface of a route through a next hop. */
export interface Way {
	/** The next hop itself if it is on a connected link. */
	readonly via: string;
	/** `undefined`: the kernel derives it from the gateway. */
	readonly device: string | undefined;
	/** The gateway counts as on the link of `device`. */
	readonly onlink?: true;
}

/** The way of a resolved next hop; `undefined`: unreachable. */
export const wayOf = (nextHop: string, reach: Reach | undefined): Way | undefined =>
	reach && { via: reach.via ?? nextHop, device: reach.device, ...(reach.onlink === true ? { onlink: true } : {}) };
