import type { Clock, Logger } from '../../core/index.ts';
import type { GroupTuning } from '../model/rib.ts';
import type { RibPeer } from '../table/peers.ts';
import type { RouteTable } from '../table/route-table.ts';
import type { ExportDependencies } from './exporter.ts';
import type { ChunkPool } from './log.ts';

export const groupTuning: GroupTuning = {
	chunkBytes: 0x1_0000,
	behindBytes: 6 * 2 ** 20,
	walkPrefixes: 8192,
	missedPrefixes: 4096,
};

/** Dependencies of a group. */
export interface GroupDependencies extends ExportDependencies {
	readonly table: RouteTable;
	/** For the groups' own logs, and for data read once. */
	readonly chunks: ChunkPool;
	readonly singleUse: ChunkPool;
	readonly tuning: GroupTuning;
	readonly log: Logger;
	readonly clock: Clock;
	/** Queues work for a later turn of the event loop. */
	readonly later: (step: () => boolean) => void;
	/**
	 * Called with an unexpected exception in the work for these peers, whose sessions then end.
	 * @throws the exception if there is no handler for it
	 */
	readonly failed: (peers: Iterable<RibPeer>, error: unknown) => void;
}
