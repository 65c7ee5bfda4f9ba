import type { PathAttributes } from 'bgp-packet';
import type { PathChange } from '../rib/announced-paths.ts';
import type { Batch } from '../rib/batch.ts';
import type { RouteTable } from '../rib/route-table.ts';
import type { ExportTerms } from './export-terms.ts';
import { Exporter, type SentPath } from './exporter.ts';
import type { GroupContext } from './group-context.ts';
import type { Audience, MessageLog } from './log.ts';
import type { CatchUp } from './member.ts';
import { Packer } from './packer.ts';
import { UpdateWriter } from './update-writer.ts';

/** So many octets of attributes fit into any message, also with what is added on sending, AS4_PATH included. */
const surelyFit = 2000;

/**
 * What the members of a group are told, as calls of `Packer`: changes, the table bit by bit, or the present state of what one of
 * them missed. With path identifiers (RFC 7911) each path is told for itself, otherwise the best one.
 */
export class Outgoing {
	readonly exporter: Exporter;
	readonly #terms: ExportTerms;
	readonly #context: GroupContext;
	readonly #table: RouteTable;
	readonly #writer: UpdateWriter;
	readonly #packer: Packer;
	readonly #reported = new Set<number>();
	/** Routes sent, by the peer they come from; absent until somebody asks. */
	#sent: Map<number, number> | undefined = undefined;

	constructor(terms: ExportTerms, context: GroupContext) {
		this.#terms = terms;
		this.#context = context;
		this.#table = context.table;
		this.exporter = new Exporter(terms, context, this.#reportTooLong);
		this.#writer = new UpdateWriter(terms, context, context.table.prefixes);
		this.#packer = new Packer(context.pool, this.#writer);
	}

	/**
	 * What selection changed: `behind` learn that they missed it; with `aloud` it is packed for the others. `isMember` says whether
	 * a source of routes is among those.
	 */
	changes(batch: Batch, behind: readonly CatchUp[], aloud: boolean, isMember: (peer: number) => boolean): void {
		if (this.#terms.addPath) this.#pathChanges(batch.paths, behind, aloud);
		else this.#bestChanges(batch, behind, aloud, isMember);
	}

	/** The prefixes from `start` on, up to `end`. */
	table(start: number, end: number): void {
		const { prefixes, rows } = this.#table;
		for (let prefix = start; prefix < Math.min(end, prefixes.limit); prefix++) {
			if (this.#terms.addPath) for (const { set, pathId } of this.present(prefix)) this.#packer.announce(set, prefix, pathId);
			else {
				const set = this.exporter.resolve(rows.announced(prefix), prefixes, prefix);
				if (set !== 0) this.#packer.announce(set, prefix, 0);
			}
		}
	}

	/** The present state of some of what a peer missed. */
	missed(peer: number, { missed, gone }: CatchUp): void {
		for (let told = 0; told < this.#context.tuning.missedPrefixes; told++) {
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

	/** Writes what was packed. */
	flush(log: MessageLog): void {
		this.#packer.flush(log, this.#audienceOf, this.#reportTooLong);
	}

	/** What is sent of a prefix at present, to whomever. */
	present(prefix: number): SentPath[] {
		const { prefixes, rows, announcedPaths } = this.#table;
		if (this.#terms.addPath) return this.exporter.resolvePaths(announcedPaths.of(prefix), prefixes, prefix);
		const source = rows.announced(prefix);
		const set = this.exporter.resolve(source, prefixes, prefix);
		return set === 0 ? [] : [{ set, source, pathId: 0 }];
	}

	/** What a peer has been sent for a prefix, or is about to be. */
	sentTo(peer: number, prefix: number): SentPath[] {
		return this.present(prefix).filter(({ set }) => this.#context.pool.peer[set] !== peer);
	}

	/** Of these those that fit into a message. */
	advertised(peer: number, prefix: number): SentPath[] {
		return this.sentTo(peer, prefix).filter(({ set }) => this.#fits(set, prefix));
	}

	/** How many routes a peer has been sent, or is about to be. */
	advertisedTo(peer: number): number {
		let sent = this.#sent;
		if (sent === undefined) {
			sent = new Map();
			for (let prefix = 1; prefix < this.#table.prefixes.limit; prefix++) for (const { set } of this.present(prefix)) this.#count(sent, prefix, 0, set);
			this.#sent = sent;
		}
		let total = 0;
		for (const [source, count] of sent) if (source !== peer) total += count;
		return total;
	}

	/** The attributes that are sent for a set, as objects. */
	attributesSent(set: number): PathAttributes {
		return this.#writer.attributes(set);
	}

	#bestChanges({ count, prefixes, before, after }: Batch, behind: readonly CatchUp[], aloud: boolean, isMember: (peer: number) => boolean): void {
		const { pool } = this.#context;
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
			// What now comes from a peer is not told to it; what it was told before has to go.
			if (sent !== 0 && from !== was && isMember(from)) this.#packer.withdraw(-from, prefix, 0);
		}
	}

	/**
	 * Does the change between two sets of one source change nothing for the peers? RFC 4271 §9.2. Inside the AS nothing is taken out,
	 * so sets of different content are sent as different blocks.
	 */
	#isSame(sent: number, sends: number): boolean {
		const { pool } = this.#context;
		if (pool.peer[sent] !== pool.peer[sends]) return false;
		if (this.#terms.kind === 'internal' && pool.contentHash[sent] !== pool.contentHash[sends]) return false;
		if (pool.asPathLength[sent] !== pool.asPathLength[sends] || pool.origin[sent] !== pool.origin[sends]) return false;
		return this.#writer.isSame(sent, sends);
	}

	/** A path always comes from the same peer, so that nobody else needs to be told of where it goes. */
	#pathChanges(changes: readonly PathChange[], behind: readonly CatchUp[], aloud: boolean): void {
		const { pool } = this.#context;
		const table = this.#table.prefixes;
		for (const { prefix, before, after } of changes) {
			const sent = this.exporter.resolvePaths(before, table, prefix);
			const sends = this.exporter.resolvePaths(after, table, prefix);
			for (const { set, pathId } of sent) {
				if (sends.some((path) => path.pathId === pathId)) continue;
				if (this.#sent !== undefined) this.#count(this.#sent, prefix, set, 0);
				for (const catchUp of behind) catchUp.missPath(prefix, pathId);
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
		const { peer } = this.#context.pool;
		if (before !== 0 && this.#fits(before, prefix)) sent.set(peer[before] ?? 0, (sent.get(peer[before] ?? 0) ?? 0) - 1);
		if (after !== 0 && this.#fits(after, prefix)) sent.set(peer[after] ?? 0, (sent.get(peer[after] ?? 0) ?? 0) + 1);
	}

	/** Few sets are so long that one has to look. */
	#fits(set: number, prefix: number): boolean {
		return (this.#context.pool.length[set] ?? 0) <= surelyFit || this.#writer.fits(set, prefix);
	}

	/** Everybody but the source; a route of this node has none. */
	readonly #audienceOf = (set: number): Audience => this.#context.pool.peer[set] ?? 0;

	readonly #reportTooLong = (set: number): void => {
		if (this.#reported.has(set)) return;
		this.#reported.add(set);
		const bytes = this.#context.pool.length[set] ?? 0;
		this.#context.log.warn('a route is not sent: its attributes do not fit into a message', { bytes, family: this.#terms.family });
	};
}
