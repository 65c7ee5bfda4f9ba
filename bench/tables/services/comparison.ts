/** The same random Services to a real kube-proxy and to our rules, each in a node of its own. */
import type { Cell } from '../../../lab/truth-table.ts';
import { KubeProxyTranslator } from './kube-proxy.ts';
import { openNftables, ServiceFrames, ServiceNode } from './nftables.ts';
import { randomCase, randomNode, randomRanges, randomServiceCidrs } from './random-cases.ts';

/** A packet with another fate here than at kube-proxy. */
export interface Difference extends Cell {
	readonly title: string;
}

/** The result of a comparison; `expected` is kube-proxy's outcome, `actual` ours. */
export interface Comparison {
	readonly seed: number;
	readonly cases: number;
	readonly packets: number;
	/**
	 * Packets by kube-proxy's verdict: a comparison of packets that nothing translates proves
	 * nothing.
	 */
	readonly verdicts: Readonly<Record<string, number>>;
	readonly differences: readonly Difference[];
}

const outcomesOf = (judged: readonly Cell[] | { readonly skip: string }): readonly string[] =>
	'skip' in judged ? [] : judged.map(({ actual }) => actual);

/**
 * Compares by real frames: every packet is sent often enough to reach each backend. For a process
 * in a network namespace of its own; needs root, nft and kube-proxy. @throws Error
 */
export async function compareWithKubeProxy(
	{ seed, cases }: { readonly seed: number; readonly cases: number },
	onCase: (index: number) => void = () => undefined,
): Promise<Comparison> {
	const ours = openNftables(`bmo${process.pid}`);
	const node = new ServiceNode(`bmk${process.pid}`);
	try {
		const translator = await KubeProxyTranslator.start({
			namespace: node.namespace,
			name: randomNode.name,
			labels: randomNode.labels,
			ranges: randomRanges,
			serviceCidrs: randomServiceCidrs,
		});
		const theirs = new ServiceFrames(node, translator);
		const differences: Difference[] = [];
		const verdicts: Record<string, number> = {};
		let packets = 0;
		try {
			for (let index = 0; index < cases; index++) {
				const item = randomCase(seed, index);
				let [expected, actual] = [await theirs.judge(item), await ours.judge(item)];
				// On a busy machine a packet may be late: a difference is one that a second look confirms.
				if (JSON.stringify(outcomesOf(expected)) !== JSON.stringify(outcomesOf(actual)))
					[expected, actual] = [await theirs.judge(item), await ours.judge(item)];
				if ('skip' in expected || 'skip' in actual) throw new Error(`${item.id} has no packets`);
				for (const [at, cell] of expected.entries()) {
					packets++;
					const kind = cell.actual.split(' ')[0] ?? '';
					verdicts[kind] = (verdicts[kind] ?? 0) + 1;
					const mine = actual[at]?.actual ?? '';
					if (mine !== cell.actual)
						differences.push({ ...cell, title: item.title, expected: cell.actual, actual: mine });
				}
				onCase(index);
			}
		} finally {
			await theirs.close();
		}
		return { seed, cases, packets, verdicts, differences };
	} finally {
		await ours.close();
	}
}
