import { type ProblemId, problems } from './problems.ts';

/** A number of this host that must not pass a bound which depends on other values of the host. */
export interface HostLimit {
	/** `TUNNEL` or `POD` stands for each such device. */
	readonly name: string;
	/** The bound in words. */
	readonly bound: string;
	/** The daemon writes the number, unless the configuration sets it. */
	readonly written: boolean;
	readonly breaks: string;
	readonly remedy: string;
	/** `undefined`: `bgpmesh doctor` lists it, health does not. */
	readonly problem: ProblemId | undefined;
}

/** Every such number. */
export const hostLimits = {
	tunnelMtu: {
		name: 'MTU of TUNNEL',
		bound: 'at most the least MTU of the interfaces between nodes, less the header of the tunnel',
		written: true,
		breaks: 'packets of full size between pods of different nodes: the interface below the tunnel drops them',
		remedy:
			'remove `ipip.mtuBytes`, `vxlan.mtuBytes` and the MTU of FelixConfiguration (the daemon then ' +
			'derives it), or raise the MTU of the interfaces between nodes',
		problem: undefined,
	},
	podMtu: {
		name: 'MTU of POD',
		bound: 'at most the least MTU of the tunnels',
		written: false,
		breaks:
			'packets of full size of that pod to other nodes, where the ICMP message that they are too large is filtered',
		remedy: 'restart the pod: its interface keeps the MTU that the node had when the pod was created',
		problem: undefined,
	},
	conntrack: {
		name: 'net.netfilter.nf_conntrack_count',
		bound: 'at most 90 % of net.netfilter.nf_conntrack_max',
		written: false,
		breaks: 'new connections: the kernel drops packets that begin one beyond the maximum',
		remedy: problems['conntrack-full'].remedy,
		problem: 'conntrack-full',
	},
} as const satisfies Readonly<Record<string, HostLimit>>;

/** Numbers of this host. */
export interface HostNumbers {
	/** `undefined`: the kernel tracks no connections. */
	readonly connections: { readonly count: number; readonly most: number } | undefined;
	/** `mostBytes`: what the interfaces between nodes leave for it. */
	readonly tunnels: readonly { readonly name: string; readonly mtuBytes: number; readonly mostBytes: number }[];
	readonly pods: readonly { readonly name: string; readonly mtuBytes: number }[];
}

/** One number, as it was found. */
export interface LimitCheck {
	readonly limit: HostLimit;
	readonly subject: string;
	readonly found: number;
	readonly most: number;
	readonly ok: boolean;
}

/** From this part of the table of connections on it counts as nearly full. */
const fullShare = 0.9;

/** Compares each number with its bound. Without tunnels, the MTU of pods has none. Pure. */
export function checkLimits({ connections, tunnels, pods }: HostNumbers): readonly LimitCheck[] {
	const check = (limit: HostLimit, device: string, found: number, most: number): LimitCheck => ({
		...{ limit, found, most },
		subject: limit.name.replace(/TUNNEL|POD/, device),
		ok: found <= most,
	});
	const leastTunnel = Math.min(...tunnels.map(({ mtuBytes }) => mtuBytes));
	return [
		...tunnels.map(({ name, mtuBytes, mostBytes }) => check(hostLimits.tunnelMtu, name, mtuBytes, mostBytes)),
		...(tunnels.length === 0
			? []
			: pods.map(({ name, mtuBytes }) => check(hostLimits.podMtu, name, mtuBytes, leastTunnel))),
		...(connections === undefined
			? []
			: [check(hostLimits.conntrack, '', connections.count, Math.floor(connections.most * fullShare))]),
	];
}

/**
 * The use of the table of connections; `undefined`: the kernel has none, or does not show it. Pure
 * but for `read`.
 */
export function readConnections(read: (path: string) => string | undefined): HostNumbers['connections'] {
	const [count, most] = ['nf_conntrack_count', 'nf_conntrack_max'].map((name) => Number(read(`net/netfilter/${name}`)));
	// A maximum of 0 is no maximum (nf_conntrack_core).
	return count === undefined || most === undefined || !Number.isFinite(count) || !(most > 0)
		? undefined
		: { count, most };
}
