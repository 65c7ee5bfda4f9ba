import type { LabMode } from './topology.ts';

/** One session from the view of one of its ends. */
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
	/** About when the lost ones were sent, in milliseconds since 1970; absent if unknown or none. */
	readonly lostAtMs?: readonly number[];
}

/** Count and total. */
export interface PingCounts {
	readonly sent: number;
	readonly lost: number;
}

/** Lost packets from one pod to another, one after the other or nearly. */
export interface LossRow {
	readonly from: string;
	readonly to: string;
	readonly lost: number;
	/** When the first and the last one were sent, in seconds since the scenario began. */
	readonly fromSeconds: number;
	readonly toSeconds: number;
}

/** The result and the losses of a scenario. */
export interface ScenarioResult extends PingCounts {
	readonly name: string;
	/** Which packets were lost, and when; absent if none were. */
	readonly losses?: readonly LossRow[];
	/**
	 * Where the only way is away for a while: packets lost meanwhile, until every session and route
	 * was back, and after that.
	 */
	readonly lostByPhase?: { readonly away: number; readonly comingBack: number; readonly afterwards: number };
	/** Packets that a policy denies: none may pass. */
	readonly denied?: { readonly sent: number; readonly passed: number };
	readonly ok: boolean;
	/** A sentence of text. */
	readonly text: string;
}

/** The result of the laboratory: `--json` prints this. */
export interface LabReport {
	readonly ok: boolean;
	readonly mode: LabMode;
	readonly kernel: 'own' | 'user-mode-linux' | 'qemu-5.10' | 'qemu-6.1' | 'qemu-6.12';
	/** The source of nodes, pools and neighbours: an API server, or the daemons' files. */
	readonly resources: 'apiserver' | 'static';
	readonly peers: { readonly configured: number; readonly established: number; readonly sessions: readonly PeerRow[] };
	/** Routes to blocks of other nodes in the kernels of all nodes. */
	readonly routes: {
		readonly direct: number;
		readonly tunnelled: number;
		readonly nodes: Readonly<Record<string, readonly RouteRow[]>>;
	};
	/** Between the pods, each to each other one. */
	readonly pings: PingCounts & { readonly pairs: readonly PingRow[] };
	/** From every pod to the address behind the top-of-rack router. */
	readonly service: PingCounts & { readonly pairs: readonly PingRow[] };
	/**
	 * Pings before a daemon was started: all must be lost, otherwise the laboratory proves nothing.
	 */
	readonly before: PingCounts;
	/**
	 * Time from the start of the daemons until every session and every route was present; absent:
	 * they never all were.
	 */
	readonly convergedSeconds?: number;
	readonly scenarios: readonly ScenarioResult[];
	readonly seconds: number;
	/** Errors, each a sentence. */
	readonly problems: readonly string[];
}

/** Events, as they happen. */
export type LabEvent =
	| { readonly type: 'progress'; readonly text: string }
	| { readonly type: 'report'; readonly report: LabReport }
	/** `--keep`: the laboratory stays up from here on. */
	| { readonly type: 'kept' }
	| { readonly type: 'failed'; readonly message: string };
