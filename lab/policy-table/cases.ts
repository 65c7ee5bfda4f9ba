/**
 * Truth tables of network policy: the format of the files, as values. A file has one JSON document
 * per line: a policy case (steps, each a cluster with resources and tables of permitted
 * connections) or a selector with the label sets that it matches.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type JsonObject, parseJson } from '../../src/json/index.ts';

/** The probe: TCP, UDP and SCTP to a port, ICMP of a type and code. */
export interface Probe {
	readonly protocol: string;
	readonly port?: number;
	/** Source port, if relevant. */
	readonly sport?: number;
	readonly type?: number;
	readonly code?: number;
}

export interface CasePod {
	readonly namespace: string;
	readonly name: string;
	readonly ip: string;
	readonly node: string;
	readonly labels?: Readonly<Record<string, string>>;
	readonly serviceAccount?: string;
	readonly hostNetwork?: boolean;
	readonly ports?: readonly { readonly name: string; readonly port: number; readonly protocol: string }[];
}

/** The endpoints of a step, without resources. */
export interface CaseCluster {
	readonly namespaces: Readonly<Record<string, Readonly<Record<string, string>>>>;
	readonly pods: readonly CasePod[];
	readonly serviceAccounts?: readonly {
		readonly namespace: string;
		readonly name: string;
		readonly labels?: Readonly<Record<string, string>>;
	}[];
	readonly nodes?: readonly {
		readonly name: string;
		readonly ip: string;
		readonly labels?: Readonly<Record<string, string>>;
	}[];
	readonly externals?: readonly { readonly name: string; readonly ip: string }[];
	readonly felix?: { readonly defaultEndpointToHostAction?: string };
}

/**
 * A table for some probes. A row is a sender, a character a receiver: `.` allowed, `e` denied by
 * the sender's side, `i` by the receiver's, `x` by both, `-` not to be probed.
 */
export interface Expectation {
	readonly probes: readonly Probe[];
	readonly rows: readonly string[];
}

export interface CaseStep {
	readonly cluster: CaseCluster;
	readonly resources: readonly JsonObject[];
	readonly from: readonly string[];
	readonly to: readonly string[];
	readonly expect: readonly Expectation[];
}

/** One line of a file of policy cases. */
export interface PolicyCase {
	readonly id: string;
	readonly title: string;
	readonly steps: readonly CaseStep[];
}

/** One line of a file of selectors. */
export interface SelectorCase {
	readonly id: string;
	readonly selector: string;
	readonly valid: boolean;
	readonly canonical?: string;
	readonly matches?: readonly boolean[];
}

/** A file is of one kind. */
export type TableFile =
	| { readonly type: 'policy'; readonly cases: readonly PolicyCase[] }
	| {
			readonly type: 'selectors';
			readonly cases: readonly SelectorCase[];
			readonly labels: readonly Readonly<Record<string, string>>[];
	  };

/**
 * Reads a file; named clusters come from `clusters.json`, label sets from `selectors-labels.json`
 * in its folder.
 */
export function readTable(path: string): TableFile {
	const lines = readFileSync(path, 'utf8')
		.split('\n')
		.filter((line) => line.trim() !== '')
		.map((line) => parseJson(line) as unknown as JsonObject);
	const beside = (name: string) => parseJson(readFileSync(join(dirname(path), name), 'utf8')) as unknown;
	// The files are ours; their format is described beside them.
	if (lines[0]?.['selector'] !== undefined)
		return {
			type: 'selectors',
			cases: lines as unknown as SelectorCase[],
			labels: beside('selectors-labels.json') as Readonly<Record<string, string>>[],
		};
	const clusters = lines.some(usesNamedCluster) ? (beside('clusters.json') as Record<string, CaseCluster>) : {};
	const cases = (lines as unknown as (PolicyCase & { steps: { cluster: string | CaseCluster }[] })[]).map((one) => ({
		...one,
		steps: one.steps.map((step) => ({ ...step, cluster: clusterOf(step.cluster, clusters) })),
	}));
	return { type: 'policy', cases };
}

const usesNamedCluster = (line: JsonObject): boolean =>
	(line['steps'] as unknown as { cluster: unknown }[]).some(({ cluster }) => typeof cluster === 'string');

function clusterOf(cluster: string | CaseCluster, named: Readonly<Record<string, CaseCluster>>): CaseCluster {
	if (typeof cluster !== 'string') return cluster;
	const found = named[cluster];
	if (found === undefined) throw new Error(`clusters.json has no cluster '${cluster}'`);
	return found;
}
