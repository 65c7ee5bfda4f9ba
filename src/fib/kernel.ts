import type { Family, PrefixKey } from '../core/index.ts';

/** A route of ours in the kernel's table. */
export interface KernelRoute {
	readonly prefix: PrefixKey;
	readonly family: Family;
	readonly type: 'unicast' | 'blackhole';
	/** The gateway, canonical text; `undefined` for a blackhole or a connected route. */
	readonly via: string | undefined;
	/** The interface's name; `undefined`: the kernel derives it from the gateway. */
	readonly device: string | undefined;
	/**
	 * The gateway counts as reachable through `device` without a matching address, as tunnels
	 * require.
	 */
	readonly onlink: boolean;
	/** Priority among routes to one prefix; the lowest wins. */
	readonly metric: number;
	/**
	 * Further next hops of equal cost (ECMP), in the order of `hopOrder`; absent: `via` and
	 * `device` are the only one.
	 */
	readonly others?: readonly RouteHop[];
	/**
	 * Preferred source address of this host's own packets, canonical text; absent: the kernel
	 * chooses.
	 */
	readonly source?: string;
	/**
	 * The route protocol number of a route in the kernel that marked our routes before: the route is
	 * written again. Absent: the present one.
	 */
	readonly protocol?: number;
}

/** Which routes of the kernel's table are ours. */
export interface RouteOwnership {
	/** The route protocol number that marks our routes. */
	readonly protocol: number;
	/** The number that marked them before a change. */
	readonly former?: number;
	/**
	 * The families in which routes with our protocol, but in the form of Felix, belong to Felix
	 * (`isFelixRoute`). In the others they are ours: left over by a Felix that does not run here any
	 * more.
	 */
	readonly felixFamilies: readonly Family[];
}

/** One next hop of a route. */
export type RouteHop = Pick<KernelRoute, 'via' | 'device' | 'onlink'>;

/** The order of next hops in a route, so that equal sets are equal routes. */
export const hopOrder = (left: RouteHop, right: RouteHop): number => {
	const [a, b] = [`${left.via} ${left.device}`, `${right.via} ${right.device}`];
	return a < b ? -1 : a > b ? 1 : 0;
};

/** A route of another owner, with the fields for the resolution of next hops. */
export interface ForeignRoute {
	readonly prefix: PrefixKey;
	readonly family: Family;
	/** `undefined`: the destination is on the link. */
	readonly via: string | undefined;
	readonly device: string | undefined;
	readonly metric: number;
	/** The kernel's route protocol number: 2 kernel, 3 boot, 4 static, ... */
	readonly protocol: number;
}

/** One change of the kernel's table. */
export type RouteOperation =
	/** Fails if any route has that prefix and metric. */
	| { readonly type: 'add'; readonly route: KernelRoute }
	/** Replaces `old`, our route with the same prefix and metric, without a gap. */
	| { readonly type: 'replace'; readonly route: KernelRoute; readonly old: KernelRoute }
	/** An absent route counts as removed. */
	| { readonly type: 'remove'; readonly route: KernelRoute };

/** An operation that the kernel refused. */
export interface RouteFailure {
	readonly operation: RouteOperation;
	readonly error: RouteError;
}

/** The kernel's reason against a route: the errno name, and its extended message if present. */
export class RouteError extends Error {
	override readonly name = 'RouteError';
	readonly code: string;

	constructor(code: string, sentence = '') {
		super(sentence === '' ? code : `${sentence} (${code})`);
		this.code = code;
	}
}

/** A change of the kernel's tables by another program. */
export type KernelEvent =
	/** Another program added or removed a route with our protocol. */
	| { readonly type: 'own-route'; readonly change: 'added' | 'removed'; readonly route: KernelRoute }
	/** A foreign route was added or removed: the ways to next hops may have changed. */
	| {
			readonly type: 'foreign-route';
			readonly family: Family;
			readonly protocol: number;
			readonly device: string | undefined;
			readonly metric: number;
	  }
	/**
	 * An interface changed, or lost an address: the kernel may have removed routes without an
	 * event.
	 */
	| { readonly type: 'interface' }
	/**
	 * An interface got an address, or the address changed its state (duplicate address detection):
	 * no route was removed, and a refused one may be possible now.
	 */
	| { readonly type: 'address-added' }
	/** Events were lost. */
	| { readonly type: 'resync' };

/**
 * Our part of the kernel's routing table. Implementations: netlink, and a fake with the same
 * behaviour.
 */
export interface RouteKernel {
	/** `false`: nothing is ever read or written. */
	readonly enabled: boolean;
	/** The routing table; 254 is the main one. */
	readonly table: number;
	/** The routes with our protocol in our table, both families. */
	list(): Promise<readonly KernelRoute[]>;
	/** The foreign routes in that table. */
	listForeign(): Promise<readonly ForeignRoute[]>;
	/** Sets which routes are ours. Until then those with the protocol of the kernel's options. */
	setOwnership(ownership: RouteOwnership): void;
	/** Applies the operations in order; a refused one does not block the others. */
	apply(operations: readonly RouteOperation[]): Promise<readonly RouteFailure[]>;
	/** Reports changes by other programs until `close`. One watcher. */
	watch(onEvent: (event: KernelEvent) => void): void;
	/** Stops watching; the routes stay. */
	close(): void;
}

/** The kernel of a node with `fib.enabled: false`: empty, never accessed. */
export const untouchedKernel: RouteKernel = {
	enabled: false,
	table: 254,
	list: async () => [],
	listForeign: async () => [],
	setOwnership() {},
	apply: async () => [],
	watch() {},
	close() {},
};
