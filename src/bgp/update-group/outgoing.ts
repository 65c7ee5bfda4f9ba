import type { PathAttributes } from 'bgp-packet';
import type { Prefix } from '../../core/index.ts';
import type { PathChange } from '../table/announced-paths.ts';
import type { Batch } from '../table/batch.ts';
import type { RouteTable } from '../table/route-table.ts';
import { type ExportTerms, ranksPaths } from './export-terms.ts';
import { Exporter, type SentPath } from './exporter.ts';
import type { GroupDependencies } from './group-dependencies.ts';
import type { Audience, MessageLog } from './log.ts';
import type { CatchUp } from './member.ts';
import { Packer } from './packer.ts';
import { UpdateWriter } from './update-writer.ts';

/**
 * This number of octets of attributes fits any message, including additions when sending, such as
 * AS4_PATH.
 */
const surelyFit = 2000;

/**
 * Announcements and withdrawals for the members of a group, as calls of `Packer`: changes, the
 * table in parts, or the present state of prefixes that a member missed. With path identifiers (RFC
 * 7911) each path is announced, otherwise the best one.
 */
export class Outgoing {
	readonly exporter: Exporter;
	readonly #terms: ExportTerms;
	readonly #dependencies: GroupDependencies;
	readonly #table: RouteTable;
	readonly #writer: UpdateWriter;
	readonly #packer: Packer;
	readonly #reported = new Set<number>();
	/** Number of sent routes by source peer; absent until the first request. */
	#sent: Map<number, number> | undefined = undefined;

	constructor(terms: ExportTerms, dependencies: GroupDependencies) {
		this.#terms = terms;
		this.#dependencies = dependencies;
		this.#table = dependencies.table;
		this.exporter = new Exporter(terms, dependencies, this.#reportTooLong);
		this.#writer = new UpdateWriter(terms, dependencies, dependencies.table.prefixes);
		this.#packer = new Packer(dependencies.pool, this.#writer);
	}

	/**
	 * Processes changes of selection: adds them to the missed prefixes of `behind`; with `aloud`
	 * packs them for the others. `isMember` tests whether a source of routes is a member.
	 */
	changes(batch: Batch, behind: readonly CatchUp[], aloud: boolean, isMember: (peer: number) => boolean): void {
		if (ranksPaths(this.#terms)) this.#pathChanges(batch.paths, behind, aloud);
		else this.#bestChanges(batch, behind, aloud, isMember);
	}

	/** Packs the prefixes from `start` up to `end`. */
	table(start: number, end: number): void {
		const { prefixes, rows } = this.#table;
		for (let prefix = start; prefix < Math.min(end, prefixes.limit); prefix++) {
			if (ranksPaths(this.#terms))
				for (const { set, pathId } of this.present(prefix)) this.#packer.announce(set, prefix, pathId);
			else {
				const set = this.exporter.resolve(rows.announced(prefix), prefixes, prefix);
				if (set !== 0) this.#packer.announce(set, prefix, 0);
			}
		}
	}

	/** Packs the present state of a part of a peer's missed prefixes. */
	missed(peer: number, { missed, gone }: CatchUp): void {
		for (let count = 0; count < this.#dependencies.tuning.missedPrefixes; count++) {
			const prefix = missed.takeFirst();
			if (prefix === 0) break;
			const present = this.sentTo(peer, prefix);
			for (const { set, pathId } of present) this.#packer.announce(set, prefix, pathId);
			if (!this.#terms.addPath && present.length === 0) this.#packer.withdraw(0, prefix, 0);
			for (const pathId of gone.get(prefix) ?? []) {
				if (!present.some((path) => path.pathId === pathId)) this.#packer.withdraw(0, prefix, pathId);
			}
			gone.delete(prefix);
		}
	}

	/** Writes the packed messages. */
	flush(log: MessageLog): void {
		this.#packer.flush(log, this.#audienceOf, this.#reportTooLong);
	}

	/** The present announcements of a prefix, for any audience. */
	present(prefix: number): SentPath[] {
		const { prefixes, rows, announcedPaths } = this.#table;
		if (ranksPaths(this.#terms)) return this.exporter.resolvePaths(announcedPaths.of(prefix), prefixes, prefix);
		const source = rows.announced(prefix);
		const set = this.exporter.resolve(source, prefixes, prefix);
		return set === 0 ? [] : [{ set, source, pathId: 0 }];
	}

	/** The present or pending announcements of a prefix to a peer. */
	sentTo(peer: number, prefix: number): SentPath[] {
		return this.present(prefix).filter(({ set }) => this.#dependencies.pool.peer[set] !== peer);
	}

	/** Those of them that fit into a message. */
	advertised(peer: number, prefix: number): SentPath[] {
		return this.sentTo(peer, prefix).filter(({ set }) => this.#fits(set, prefix));
	}

	/** The reason why the path with this set is sent to no peer, as text; `undefined`: it is sent. */
	obstacle(set: number, id: number, prefix: Prefix): string | undefined {
		const rule = this.exporter.obstacle(set, prefix);
		if (rule !== undefined) return rule;
		const sent = this.exporter.resolve(set, this.#table.prefixes, id);
		if (sent === 0) return 'export policy gives it a next hop that the peer does not accept';
		return this.#fits(sent, id) ? undefined : 'its attributes do not fit into a message';
	}

	/** The number of present or pending announcements to a peer. */
	advertisedTo(peer: number): number {
		let sent = this.#sent;
		if (sent === undefined) {
			sent = new Map();
			for (let prefix = 1; prefix < this.#table.prefixes.limit; prefix++)
				for (const { set } of this.present(prefix)) this.#count(sent, prefix, 0, set);
			this.#sent = sent;
		}
		let total = 0;
		for (const [source, count] of sent) if (source !== peer) total += count;
		return total;
	}

	/** The sent attributes of a set, as objects. */
	attributesSent(set: number): PathAttributes {
		return this.#writer.attributes(set);
	}

	#bestChanges(
		{ count, prefixes, before, after }: Batch,
		behind: readonly CatchUp[],
		aloud: boolean,
		isMember: (peer: number) => boolean,
	): void {
		const { pool } = this.#dependencies;
		const table = this.#table.prefixes;
		for (let index = 0; index < count; index++) {
			const prefix = prefixes[index] ?? 0;
			const sent = this.exporter.resolve(before[index] ?? 0, table, prefix);
			const sends = this.exporter.resolve(after[index] ?? 0, table, prefix);
			if (sent === 0 && sends === 0) continue;
			if (sent !== 0 && sends !== 0 && this.#isSame(sent, sends)) continue;
			if (this.#sent !== undefined) this.#count(this.#sent, prefix, sent, sends);
			for (const catchUp of behind) catchUp.miss(prefix);
			if (!aloud) continue;
			const from = pool.peer[sends] ?? 0;
			const was = pool.peer[sent] ?? 0;
			if (sends === 0) {
				this.#packer.withdraw(was, prefix, 0);
				continue;
			}
			this.#packer.announce(sends, prefix, 0);
			// A route is not announced to its source; an earlier announcement to that peer is
			// withdrawn.
			if (sent !== 0 && from !== was && isMember(from)) this.#packer.withdraw(-from, prefix, 0);
		}
	}

	/**
	 * True if the change between two sets of one source is invisible to the peers. RFC 4271 §9.2.
	 * Inside the AS no attribute is removed, so that different sets are sent as different blocks.
	 */
	#isSame(sent: number, sends: number): boolean {
		const { pool } = this.#dependencies;
		if (pool.peer[sent] !== pool.peer[sends]) return false;
		if (this.#terms.kind === 'internal' && pool.contentHash[sent] !== pool.contentHash[sends]) return false;
		if (pool.asPathLength[sent] !== pool.asPathLength[sends] || pool.origin[sent] !== pool.origin[sends]) return false;
		return this.#writer.isSame(sent, sends);
	}

	/** A path always has the same source peer, so that its removal concerns the same audience. */
	#pathChanges(changes: readonly PathChange[], behind: readonly CatchUp[], aloud: boolean): void {
		const { pool } = this.#dependencies;
		const table = this.#table.prefixes;
		for (const { prefix, before, after } of changes) {
			const sent = this.exporter.resolvePaths(before, table, prefix);
			const sends = this.exporter.resolvePaths(after, table, prefix);
			for (const { set, pathId } of sent) {
				if (sends.some((path) => path.pathId === pathId)) continue;
				if (this.#sent !== undefined) this.#count(this.#sent, prefix, set, 0);
				for (const catchUp of behind) {
					if (this.#terms.addPath) catchUp.missPath(prefix, pathId);
					else catchUp.miss(prefix);
				}
				if (aloud) this.#packer.withdraw(pool.peer[set] ?? 0, prefix, pathId);
			}
			for (const { set, pathId } of sends) {
				const old = sent.find((path) => path.pathId === pathId)?.set ?? 0;
				if (old === set) continue;
				if (this.#sent !== undefined) this.#count(this.#sent, prefix, old, set);
				for (const catchUp of behind) catchUp.miss(prefix);
				if (aloud) this.#packer.announce(set, prefix, pathId);
			}
		}
	}

	#count(sent: Map<number, number>, prefix: number, before: number, after: number): void {
		const { peer } = this.#dependencies.pool;
		if (before !== 0 && this.#fits(before, prefix)) sent.set(peer[before] ?? 0, (sent.get(peer[before] ?? 0) ?? 0) - 1);
		if (after !== 0 && this.#fits(after, prefix)) sent.set(peer[after] ?? 0, (sent.get(peer[after] ?? 0) ?? 0) + 1);
	}

	/** Few sets are long enough to require the exact check. */
	#fits(set: number, prefix: number): boolean {
		return (this.#dependencies.pool.length[set] ?? 0) <= surelyFit || this.#writer.fits(set, prefix);
	}

	/** All members except the source; a route of this node has no source member. */
	readonly #audienceOf = (set: number): Audience => this.#dependencies.pool.peer[set] ?? 0;

	readonly #reportTooLong = (set: number): void => {
		if (this.#reported.has(set)) return;
		this.#reported.add(set);
		const bytes = this.#dependencies.pool.length[set] ?? 0;
		this.#dependencies.log.warn('a route is not sent: its attributes do not fit into a message', {
			bytes,
			family: this.#terms.family,
		});
	};
}
