import type { Family, PrefixKey } from '../core/index.ts';

/** A route of ours as it stands in the kernel's table. */
export interface KernelRoute {
	readonly prefix: PrefixKey;
	readonly family: Family;
	readonly type: 'unicast' | 'blackhole';
	/** The gateway, canonical text; `undefined` for a blackhole or a connected route. */
	readonly via: string | undefined;
	/** The interface's name; `undefined`: the kernel finds it by the gateway. */
	readonly device: string | undefined;
	/** The gateway is taken as reachable through `device`, whatever the addresses say: what a tunnel needs. */
	readonly onlink: boolean;
	/** Priority among routes for one prefix; the lowest wins. */
	readonly metric: number;
}

/** Somebody else's route, as far as finding the way to a next hop needs it. */
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

/** One change to the kernel's table. */
export type RouteOperation =
	/** Refused where any route holds that prefix and metric. */
	| { readonly type: 'add'; readonly route: KernelRoute }
	/** Takes the place of `old`, which is ours and has the same prefix and metric; at no moment is there none. */
	| { readonly type: 'replace'; readonly route: KernelRoute; readonly old: KernelRoute }
	/** A route that is not there counts as removed. */
	| { readonly type: 'remove'; readonly route: KernelRoute };

/** An operation that the kernel refused. */
export interface RouteFailure {
	readonly operation: RouteOperation;
	readonly error: RouteError;
}

/** Why the kernel refused a route: errno by name, and its own sentence where it gave one. */
export class RouteError extends Error {
	override readonly name = 'RouteError';
	readonly code: string;

	constructor(code: string, sentence = '') {
		super(sentence === '' ? code : `${sentence} (${code})`);
		this.code = code;
	}
}

/** What somebody else did to the kernel's tables. */
export type KernelEvent =
	/** A route with our protocol came or went without our doing. */
	| { readonly type: 'own-route'; readonly change: 'added' | 'removed'; readonly route: KernelRoute }
	/** A route of somebody else came or went: the way to a next hop may be another. */
	| { readonly type: 'foreign-route'; readonly protocol: number; readonly device: string | undefined }
	/** An interface or address changed: routes may have vanished without a word. */
	| { readonly type: 'interface' }
	/** Events were lost. */
	| { readonly type: 'resync' };

/** The kernel's routing table, as far as it is ours. Implemented for netlink, and by a fake that behaves. */
export interface RouteKernel {
	/** `false`: nothing is ever read or written. */
	readonly enabled: boolean;
	/** The routes with our protocol in our table, both families. */
	list(): Promise<readonly KernelRoute[]>;
	/** The routes of others in that table. */
	listForeign(): Promise<readonly ForeignRoute[]>;
	/** Carries out the operations in order; one that is refused does not hold up the rest. */
	apply(operations: readonly RouteOperation[]): Promise<readonly RouteFailure[]>;
	/** Tells what others do, until `close`. One watcher. */
	watch(onEvent: (event: KernelEvent) => void): void;
	/** Stops watching; the routes stay. */
	close(): void;
}

/** The kernel of a node with `fib.enabled: false`: it holds nothing and is never touched. */
export const untouchedKernel: RouteKernel = {
	enabled: false,
	list: async () => [],
	listForeign: async () => [],
	apply: async () => [],
	watch() {},
	close() {},
};
