/**
 * Adj-RIB-Out without a table. The announcements to a peer are derived from the announced best path
 * and the terms of its session (`ExportTerms`); peers with equal terms form one `UpdateGroup`,
 * whose messages are encoded once and read by one cursor per peer. `Exporter` decides the attribute
 * set to send, `BlockWriter` writes it, `Packer` and `UpdateWriter` build messages, and `CatchUp`
 * brings late and slow peers up to date.
 */
export { type ExportTerms, exportTerms, ownNextHop } from './export-terms.ts';

export { groupTuning } from './group-dependencies.ts';
export { Groups } from './groups.ts';
export { ChunkPool } from './log.ts';

export { endOfRibBytes } from './update-writer.ts';
