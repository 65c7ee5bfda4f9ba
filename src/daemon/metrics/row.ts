import type { RibStatistics, SpeakerApi } from '../../bgp/index.ts';
import type { Boundary, FibView, PlaneView } from '../../core/index.ts';
import type { FibOverview } from '../../fib/index.ts';
import type { Problem } from '../../health/index.ts';
import type { HandoverPackets, ServiceOutcome } from '../../services/index.ts';
import type { EventLoopMonitor } from '../event-loop.ts';
import type { PolicyFigures } from '../policy/figures.ts';

/** The inputs of the metrics at a request. */
export interface MetricSources {
	readonly version: string;
	readonly eventLoop: EventLoopMonitor;
	readonly boundary: Pick<Boundary, 'caught'>;
	readonly monitors: () => { readonly readers: number; readonly dropped: number };
	readonly speaker: () => Pick<SpeakerApi, 'eachPeer' | 'peerCounts' | 'refusedConnections'> | undefined;
	readonly rib: () => RibStatistics | undefined;
	/** Counts of routes are made in slices. */
	readonly fib: () => { summary(): Omit<FibView, 'routes'>; overview(): Promise<FibOverview> } | undefined;
	readonly planes: () => Promise<readonly PlaneView[]>;
	readonly nextHops: () => { readonly tracked: number; readonly unreachable: readonly string[] } | undefined;
	readonly cluster: () =>
		| {
				awaySinceMs(): number | undefined;
				readonly fromLastKnown: boolean;
				readonly unreadable: readonly { readonly kind: string }[];
				readonly refusals: readonly { readonly kind: string; readonly namespace?: string }[];
				readonly garbage: {
					readonly addresses: number;
					readonly claims: number;
					readonly handles: number;
					readonly spared: number;
					readonly leading: boolean;
				};
		  }
		| undefined;
	/** `undefined` while the daemon starts or stops. */
	readonly problems: () => Promise<readonly Pick<Problem, 'id' | 'severity'>[] | undefined>;
	/** Reads the kernel's counters, once for all metrics of a request. */
	readonly services: () => Promise<ServiceFigures | undefined>;
	/** Reads the kernel's counters, once for all metrics of a request. */
	readonly policy: () => Promise<PolicyFigures | undefined>;
	readonly reloads: () => { readonly done: number; readonly refused: number };
}

/** Metrics of Services; `undefined` if they are not followed. */
export interface ServiceFigures {
	readonly services: number;
	readonly frontends: number;
	readonly backends: number;
	readonly announced: Readonly<Record<'ready' | 'draining', number>>;
	readonly transactions: number;
	readonly flowsRemoved: number;
	/** New connections by outcome; absent where this node programs nothing. */
	readonly connections?: Readonly<Record<ServiceOutcome, number>>;
	/** Connections that routers move between nodes; absent as above. */
	readonly handover?: HandoverPackets & { readonly windows: number };
}

export type Samples = readonly (readonly [labels: Readonly<Record<string, string>>, value: number])[];

/** One metric: one row declares it. Names end in their unit. */
export interface MetricRow {
	readonly name: string;
	readonly kind: 'gauge' | 'counter';
	readonly help: string;
	readonly labels: readonly string[];
	readonly samples: (sources: MetricSources) => Samples | Promise<Samples>;
}

/** The sample of a metric without labels; none for `undefined`. */
export const one = (value: number | undefined): Samples => (value === undefined ? [] : [[{}, value]]);
/** Samples with the label `family`. */
export const byFamily = (numbers: Readonly<Record<'ipv4' | 'ipv6', number>> | undefined): Samples =>
	numbers === undefined
		? []
		: [
				[{ family: 'ipv4' }, numbers.ipv4],
				[{ family: 'ipv6' }, numbers.ipv6],
			];
