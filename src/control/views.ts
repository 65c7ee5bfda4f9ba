import type { ErrorView, Family, FibRefusal, PeerView, PlaneView, ProblemView, RouteView } from '../core/index.ts';

/** The daemon in one screen. */
export interface StatusView {
	readonly node: string;
	readonly version: string;
	readonly pid: number;
	/** ISO 8601. */
	readonly startedAt: string;
	readonly uptimeSeconds: number;
	readonly asNumber: number;
	readonly routerId: string;
	/** Present: this node is a route reflector. */
	readonly clusterId?: string;
	readonly listen: readonly string[];
	readonly peers: {
		readonly configured: number;
		readonly dynamic: number;
		readonly established: number;
		readonly disabled: number;
	};
	readonly rib: {
		readonly inSync: boolean;
		/** Peers whose End-of-RIB is still awaited. */
		readonly waitingFor: readonly string[];
		readonly prefixes: Readonly<Record<Family, number>>;
		readonly paths: Readonly<Record<Family, number>>;
		readonly attributeSets: number;
		/** Bytes of the attribute blocks that routes use, and of the memory kept for blocks. */
		readonly attributeMemory: { readonly heldBytes: number; readonly residentBytes: number };
		readonly updateGroups: number;
		readonly dirty: number;
	};
	readonly fib: {
		readonly enabled: boolean;
		readonly inSync: boolean;
		readonly installed: number;
		readonly missing: number;
		readonly failed: number;
		/** Present: no route is written, since another program writes the same ones. */
		readonly refusal?: FibRefusal;
		/**
		 * The protocol number, table and metric of our routes in the kernel; `protocolReason`: why
		 * the number is not the default. Absent if the FIB is off.
		 */
		readonly marks?: {
			readonly protocol: number;
			readonly table: number;
			readonly metric: number;
			readonly protocolReason?: string;
		};
	};
	/** What this node keeps in its kernel, by data plane; without the lists of differences. */
	readonly planes?: readonly Omit<PlaneView, 'differences'>[];
	/**
	 * Present where next hops are looked for in the kernel: how many are known, and those that
	 * nothing leads to, whose routes are not used.
	 */
	readonly nextHops?: { readonly tracked: number; readonly unreachable: readonly string[] };
	/**
	 * Present with `datastore: kubernetes`. `awaySince`: the API server does not answer since then
	 * (ISO 8601); `fromLastKnown`: nor has it since the start.
	 */
	readonly cluster?: {
		readonly server: string;
		readonly layout: string;
		readonly awaySince?: string;
		readonly fromLastKnown: boolean;
		/** How the node's own addresses were found, and what is wrong with them. */
		readonly addresses?: readonly {
			readonly family: 'ipv4' | 'ipv6';
			readonly method: string;
			readonly reason: string;
			readonly problem?: string;
		}[];
		/** Resources of addresses that are there and can't be read, as seen last. */
		readonly unreadable?: readonly { readonly kind: string; readonly name: string; readonly problem: string }[];
		/**
		 * Kinds that the API server does not let this node read: its words, and what is missing
		 * meanwhile (absent: all goes on with what was known of them).
		 */
		readonly refused?: readonly {
			readonly kind: string;
			readonly namespace?: string;
			readonly reason: string;
			readonly without?: string;
		}[];
	};
	readonly config: { readonly file: string; readonly loadedAt: string; readonly lastReloadError?: ErrorView };
	readonly process: {
		readonly residentBytes: number;
		readonly heapBytes: number;
		readonly cpuSeconds: number;
		readonly longestBlockSeconds: number;
	};
	/** The reasons of the problems with severity `warning`. */
	readonly warnings: readonly string[];
	/** No problem blocks readiness: the answer of `/readyz`. */
	readonly ready: boolean;
	/** Every problem that holds now, errors first. Empty: the node works as it is configured. */
	readonly problems: readonly ProblemView[];
}

export interface PeersView {
	readonly peers: readonly PeerView[];
}

export interface RoutesView {
	readonly routes: readonly RouteView[];
	/** There are more than `limit`. */
	readonly truncated: boolean;
}

/** The data planes of this node: desired state beside actual state. */
export interface PlanesView {
	readonly planes: readonly PlaneView[];
}

/** What a command to a peer did. */
export interface PeerActionView {
	readonly peer: string;
	readonly action: 'enable' | 'disable' | 'reset' | 'soft-reset' | 'refresh';
	readonly done: boolean;
	/** Why it was not done. */
	readonly reason?: string;
}

/**
 * `live`: at once; `routes`: routes re-evaluated, session untouched; `reset`: that session starts
 * again; `restart`: not before the daemon restarts.
 */
export type ReloadEffectView = 'live' | 'routes' | 'reset' | 'restart';

/** One difference between the running configuration and the file. */
export interface ReloadChangeView {
	readonly change: 'added' | 'removed' | 'changed';
	readonly what: 'setting' | 'peer' | 'range' | 'policy' | 'origin' | 'pool';
	readonly name: string;
	readonly effect: ReloadEffectView;
	readonly keys: readonly {
		readonly key: string;
		readonly effect: ReloadEffectView;
		readonly from: unknown;
		readonly to: unknown;
		readonly why?: string;
	}[];
}

/** What a reload did or, with `dryRun`, would do. */
export interface ReloadView {
	readonly file: string;
	readonly dryRun: boolean;
	readonly changes: readonly ReloadChangeView[];
	/** Names of peers whose sessions are reset. */
	readonly resets: readonly string[];
}

/** The running configuration, defaults filled in. */
export interface ConfigView {
	readonly file: string;
	readonly loadedAt: string;
	readonly config: unknown;
}

/** One line of `monitor`. */
export type MonitorEvent =
	| {
			readonly type: 'session';
			readonly at: string;
			readonly event: string;
			readonly peer: string;
			readonly state: string;
			readonly reason?: string;
	  }
	| {
			readonly type: 'route';
			readonly at: string;
			readonly change: 'install' | 'remove';
			readonly prefix: string;
			readonly nextHop?: string;
			readonly peer?: string;
	  }
	| { readonly type: 'config'; readonly at: string; readonly event: 'reloaded' | 'rejected'; readonly message: string }
	/** The reader was too slow: so many events were left out here. */
	| { readonly type: 'lost'; readonly at: string; readonly count: number };
