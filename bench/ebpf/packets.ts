/** Processor time of a packet between two pods, by what enforces policy, all ways by turns. */
import { openEbpf } from '../../lab/policy-table/ebpf-enforcer.ts';
import { type BenchEnforcer, benchPackets, openNftables, type PacketsResult } from '../nftables/packets.ts';

/** `ebpf`: with its gate, by routes; `redirect`: with `podRedirect`. */
const enforcers: Readonly<Record<'nftables' | 'ebpf' | 'redirect', (namespace: string) => BenchEnforcer>> = {
	nftables: openNftables,
	ebpf: (namespace) => openEbpf(namespace),
	redirect: (namespace) => openEbpf(namespace, 'best', { redirect: true }),
};

export interface WayResult extends PacketsResult {
	/** `none`: no policy. */
	readonly way: keyof typeof enforcers | 'none';
	/** Least and median of established packets above those without policy, microseconds. */
	readonly aboveNoneUs: { readonly least: number; readonly median: number };
}

const numbers = [1, 1000] as const;

/** Without policy, with connections tracked alone, and each way with 1 and with 1,000 policies. */
export async function benchWays(options: { readonly packets: number; readonly rounds: number }): Promise<WayResult[]> {
	const ways = numbers.flatMap((policies) => Object.entries(enforcers).map(([way, open]) => ({ way, open, policies })));
	const rows = ['none', 'conntrack', ...ways.map(({ policies }) => policies)] as const;
	const results = await benchPackets(rows, options, (namespace, row) => {
		const open = ways[row - 2]?.open;
		if (open === undefined) throw new RangeError(`row ${row} has no policy`);
		return open(namespace);
	});
	const base = results[0]?.established ?? { leastUs: Number.NaN, medianUs: Number.NaN };
	const above = (value: number, from: number) => Math.round((value - from) * 100) / 100;
	return results.map((result, row) => ({
		// Keys of `enforcers`, which `Object.entries` forgets.
		way: (ways[row - 2]?.way ?? 'none') as WayResult['way'],
		...result,
		aboveNoneUs: {
			least: above(result.established.leastUs, base.leastUs),
			median: above(result.established.medianUs, base.medianUs),
		},
	}));
}
