import type { Direction } from '../../policy/index.ts';
import type { RuleChain } from './chain.ts';
import { counterKey, type ProgramDecision } from './decision.ts';
import type { PolicyMaps } from './maps.ts';

/**
 * Packets that a decision has decided; those of a connection that was allowed before are not
 * counted.
 */
export interface DecisionCount {
	readonly direction: Direction;
	readonly action: 'allow' | 'deny';
	readonly decision: ProgramDecision;
	readonly packets: number;
}

/** Packets by decision of these chains. @throws SystemCallError */
export function readCounters(maps: PolicyMaps, chains: Iterable<RuleChain>): DecisionCount[] {
	const map = maps.get('counters');
	const counts = new Map<bigint, DecisionCount>();
	if (map === undefined) return [];
	const key = new Uint8Array(8);
	for (const { decisions, direction } of chains)
		for (const decision of decisions)
			for (const action of ['allow', 'deny'] as const) {
				const id = counterKey(direction, action, decision);
				if (counts.has(id)) continue;
				new DataView(key.buffer).setBigUint64(0, id, true);
				const value = map.get(key);
				if (value === undefined) continue;
				const packets = Number(new DataView(value.buffer).getBigUint64(0, true));
				counts.set(id, { direction, action, decision, packets });
			}
	return [...counts.values()];
}
