import type { LabMode } from './topology.ts';

/** One session as one of its two ends sees it. */
export interface PeerRow {
	readonly node: string;
	readonly peer: string;
	readonly address: string;
	readonly asNumber: number;
	readonly state: string;
	readonly received: number;
	readonly advertised: number;
}

/** One of the daemon's routes in the kernel of a node. */
export interface RouteRow {
	readonly prefix: string;
	/** `blackhole` for the own block. */
	readonly type: 'direct' | 'tunnelled' | 'blackhole' | 'external';
	readonly via?: string;
	readonly device?: string;
}

/** Pings from one pod to an address. */
export interface PingRow {
	readonly from: string;
	readonly to: string;
	readonly address: string;
	readonly sent: number;
	readonly lost: number;
	readonly averageMs?: number;
}

/** How many, of how many. */
export interface PingCounts {
	readonly sent: number;
	readonly lost: number;
}

/** What a scenario did and lost. */
export interface ScenarioResult extends PingCounts {
	readonly name: string;
	readonly ok: boolean;
	/** A sentence for people. */
	readonly text: string;
}

/** Everything the laboratory found out: `--json` prints this. */
export interface LabReport {
	readonly ok: boolean;
	readonly mode: LabMode;
	readonly kernel: 'own' | 'user-mode-linux';
	/** Where nodes, pools and neighbours stand: in an API server, or in the daemons' files. */
	readonly resources: 'apiserver' | 'static';
	readonly peers: { readonly configured: number; readonly established: number; readonly sessions: readonly PeerRow[] };
	/** Routes to blocks of other nodes in the kernels of all nodes. */
	readonly routes: { readonly direct: number; readonly tunnelled: number; readonly nodes: Readonly<Record<string, readonly RouteRow[]>> };
	/** Between the pods, each to each other one. */
	readonly pings: PingCounts & { readonly pairs: readonly PingRow[] };
	/** From every pod to the address behind the top-of-rack router. */
	readonly service: PingCounts & { readonly pairs: readonly PingRow[] };
	/** Pings before a daemon was started: all must be lost, or the laboratory proves nothing. */
	readonly before: PingCounts;
	/** From the start of the daemons until every session and every route was there; absent: they never all were. */
	readonly convergedSeconds?: number;
	readonly scenarios: readonly ScenarioResult[];
	readonly seconds: number;
	/** What went wrong, each a sentence for people. */
	readonly problems: readonly string[];
}

/** What happens, as it happens. */
export type LabEvent =
	| { readonly type: 'progress'; readonly text: string }
	| { readonly type: 'report'; readonly report: LabReport }
	/** `--keep`: everything stays up from here on. */
	| { readonly type: 'kept' }
	| { readonly type: 'failed'; readonly message: string };
