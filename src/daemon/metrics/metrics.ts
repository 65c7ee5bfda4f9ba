import type { MetricsText } from '../../control/index.ts';
import { bgpRows } from './bgp-rows.ts';
import { clusterRows } from './cluster-rows.ts';
import { daemonRows } from './daemon-rows.ts';
import { kernelRows } from './kernel-rows.ts';
import { peerMetricRows, peerMetrics } from './peer-rows.ts';
import { policyRows } from './policy-rows.ts';
import { processRows } from './process-rows.ts';
import type { MetricRow, MetricSources } from './row.ts';
import { rowsText, textContentType } from './text.ts';

const rows: readonly MetricRow[] = [
	...daemonRows,
	...bgpRows,
	...kernelRows,
	...policyRows,
	...clusterRows,
	...processRows,
];

/** One metric in the form of the manual. */
export interface MetricReference {
	readonly name: string;
	readonly kind: 'gauge' | 'counter';
	readonly labels: readonly string[];
	readonly help: string;
}

/** Every metric of the daemon, in the order of /metrics. */
export function metricsReference(): readonly MetricReference[] {
	const reference = ({ name, kind, labels, help }: MetricReference): MetricReference => ({ name, kind, labels, help });
	return [...rows.map(reference), ...peerMetricRows.map(reference)];
}

/**
 * Prometheus' text: the rows above, and then the neighbours one by one (there may be thousands).
 * Written here and not by a library, whose first use blocked the event loop for some 40 ms.
 */
export function createMetrics(sources: MetricSources): () => Promise<MetricsText> {
	return async () => ({ contentType: textContentType, text: textOf(await rowsText(rows, sources), sources) });
}

function* textOf(head: readonly string[], { speaker }: MetricSources): Generator<string> {
	yield* head;
	yield* peerMetrics(() => speaker()?.eachPeer() ?? []);
}
