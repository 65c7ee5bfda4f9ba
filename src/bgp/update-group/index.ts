/**
 * Adj-RIB-Out without a table. What a peer is to be sent follows from the announced best path and the terms of its session
 * (`ExportTerms`); peers with equal terms are one `UpdateGroup`, whose messages are encoded once and read by a cursor per peer.
 * `Exporter` decides which attribute set is sent, `BlockWriter` writes it, `Packer` and `UpdateWriter` make messages, and
 * `CatchUp` brings late and slow peers to where the others are.
 */
export { type ExportTerms, exportTerms, ownNextHop } from './export-terms.ts';
export { UpdateGroup } from './group.ts';
export { type GroupContext, type GroupTuning, groupTuning } from './group-context.ts';
export { Groups } from './groups.ts';
export { ChunkPool } from './log.ts';
export type { Member } from './member.ts';
export { endOfRibBytes } from './update-writer.ts';
