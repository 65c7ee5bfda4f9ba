import type { Clock, Logger } from '../../core/index.ts';
import type { RouteTable } from '../rib/route-table.ts';
import type { ExportContext } from './exporter.ts';
import type { ChunkPool } from './log.ts';

/** Sizes that decide when and how much; tests make them small, so that rare things happen often. */
export interface GroupTuning {
	/** Bytes of a chunk of the log. */
	readonly chunkBytes: number;
	/** A cursor that is so many bytes behind is given up: its peer is told the latest state instead. */
	readonly behindBytes: number;
	/** Prefixes in one block of a walk through the table. */
	readonly walkPrefixes: number;
	/** Missed prefixes told in one step. */
	readonly missedPrefixes: number;
}

export const groupTuning: GroupTuning = { chunkBytes: 0x1_0000, behindBytes: 6 * 2 ** 20, walkPrefixes: 8192, missedPrefixes: 4096 };

/** What a group asks of its surroundings. */
export interface GroupContext extends ExportContext {
	readonly table: RouteTable;
	/** For the groups' own logs, and for what is read once. */
	readonly chunks: ChunkPool;
	readonly singleUse: ChunkPool;
	readonly tuning: GroupTuning;
	readonly log: Logger;
	readonly clock: Clock;
	/** Queues work for a later turn of the event loop. */
	readonly later: (step: () => boolean) => void;
}
