import type { PathAttributes } from 'bgp-packet';
import type { Clock, Logger } from '../../core/index.ts';
import type { Batch } from '../rib/batch.ts';
import type { RibPeer } from '../rib/peers.ts';
import type { RouteTable } from '../rib/route-table.ts';
import type { ExportTerms } from './export-terms.ts';
import { type ExportContext, Exporter } from './exporter.ts';
import { type Audience, type ChunkPool, Cursor, emptyLog, MessageLog } from './log.ts';
import { CatchUp, Member } from './member.ts';
import { Packer } from './packer.ts';
import { Rounds } from './rounds.ts';
import { missMessages } from './unread.ts';
import { UpdateWriter } from './update-writer.ts';

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

/** Blocks of the walk, shared by those who walk at the same time, as long as nothing changes. */
interface WalkBlock {
	readonly version: number;
	readonly log: MessageLog;
}

/**
 * Peers of one family that are sent the same. What changes is encoded once into a log; each member is a cursor in it. Who joins
 * late walks the table first, who falls behind is told the latest state of what it missed; both then go on in the log.
 */
export class UpdateGroup {
	readonly terms: ExportTerms;
	readonly exporter: Exporter;
	readonly members = new Map<number, Member>();
	readonly #context: GroupContext;
	readonly #table: RouteTable;
	readonly #log: MessageLog;
	readonly #writer: UpdateWriter;
	readonly #packer: Packer;
	readonly #walk = new Map<number, WalkBlock>();
	readonly #reported = new Set<number>();
	readonly #rounds: Rounds<Member>;
	#readers = 0;
	#trimming = false;
	/** Routes sent, by the peer they come from; absent until somebody asks. */
	#sent: Map<number, number> | undefined = undefined;

	constructor(terms: ExportTerms, context: GroupContext) {
		this.terms = terms;
		this.#context = context;
		this.#table = context.table;
		this.exporter = new Exporter(terms, context);
		this.#log = new MessageLog(context.chunks);
		this.#writer = new UpdateWriter(terms, context, context.table.prefixes);
		this.#packer = new Packer(context.pool, this.#writer);
		const { members } = this;
		this.#rounds = new Rounds({ ...context, members, visit: (member) => this.#serve(member), end: () => this.#trim() });
	}

	/** Adds a peer, which is sent everything; `fresh`: it holds nothing yet. `finish` is sent at the end. */
	join(peer: RibPeer, fresh: boolean, finish: Uint8Array | undefined): Member {
		const member = new Member(peer, this.#log);
		this.members.set(peer.id, member);
		this.#readers++;
		this.#startCatchUp(member, new CatchUp(1, this.#table.prefixes.limit, fresh, finish));
		return member;
	}

	/** Sends everything again, `begin` before and `finish` behind it (RFC 7313 §4). */
	resend(member: Member, begin: Uint8Array | undefined, finish: Uint8Array | undefined): void {
		if (begin !== undefined) member.send(begin);
		const pending = member.catchUp;
		if (pending === undefined) this.#startCatchUp(member, new CatchUp(1, this.#table.prefixes.limit, false, finish));
		else {
			// What was still to come is part of what comes now.
			pending.next = 1;
			pending.end = this.#table.prefixes.limit;
			// It may hold some of it by now.
			pending.fresh = false;
			pending.finish = finish ?? pending.finish;
			this.#step(member);
		}
	}

	/** The peer goes on in another group as `successor`, which is to tell it what it was not sent here. */
	leaveFor(peer: number, { catchUp }: Member): void {
		const member = this.members.get(peer);
		if (member === undefined || catchUp === undefined) return;
		for (let unread = member.cursor.next(peer); unread !== undefined; unread = member.cursor.next(peer)) {
			missMessages(unread, this.#table, this.terms.addPath, catchUp);
		}
		for (let prefix = member.catchUp?.missed.takeFirst() ?? 0; prefix !== 0; prefix = member.catchUp?.missed.takeFirst() ?? 0) catchUp.miss(prefix);
		this.leave(peer);
	}

	/** The peer goes; its socket may still read what it was given. */
	leave(peer: number): void {
		const member = this.members.get(peer);
		if (member === undefined) return;
		this.members.delete(peer);
		if (member.catchUp !== undefined) {
			member.catchUp = undefined;
			this.#table.unhold();
		} else this.#readers--;
		if (!member.isFlushed) this.#log.pin(member.safeSequence);
		this.#trimSoon();
	}

	/** The group has no members any more. */
	close(): void {
		this.exporter.close();
		this.#log.trim(this.#log.last.sequence);
	}

	/** Tells the members what selection changed. */
	emit({ count, prefixes, before, after }: Batch): void {
		const { pool } = this.#context;
		const table = this.#table.prefixes;
		const behind = this.#readers < this.members.size ? [...this.members.values()].filter(({ catchUp }) => catchUp !== undefined) : [];
		for (let index = 0; index < count; index++) {
			const prefix = prefixes[index] ?? 0;
			const sent = this.exporter.resolve(before[index] ?? 0, table, prefix);
			const sends = this.exporter.resolve(after[index] ?? 0, table, prefix);
			if (sent === 0 && sends === 0) continue;
			if (this.#sent !== undefined) this.#count(this.#sent, sent, sends);
			for (const { catchUp } of behind) catchUp?.miss(prefix);
			if (this.#readers === 0) continue;
			const from = pool.peer[sends] ?? 0;
			const was = pool.peer[sent] ?? 0;
			if (sends === 0) {
				this.#packer.withdraw(was, prefix, 0);
				continue;
			}
			this.#packer.announce(sends, prefix, 0);
			// What now comes from a peer is not told to it; what it was told before has to go.
			if (sent !== 0 && from !== was && this.members.has(from)) this.#packer.withdraw(-from, prefix, 0);
		}
		if (this.#readers === 0) return;
		this.#flush(this.#log);
		this.pump();
	}

	/** How many routes a member has been sent, or is about to be. */
	advertisedTo(peer: number): number {
		let sent = this.#sent;
		if (sent === undefined) {
			sent = new Map();
			const { prefixes, announced } = this.#table;
			for (let prefix = 1; prefix < prefixes.limit; prefix++) this.#count(sent, 0, this.exporter.resolve(announced[prefix] ?? 0, prefixes, prefix));
			this.#sent = sent;
		}
		let total = 0;
		for (const [source, count] of sent) if (source !== peer || source === 0) total += count;
		return total;
	}

	/** What a member has been sent for a prefix, or is about to be: the sets sent, and the ones they were made from. */
	sentTo(peer: number, prefix: number): { readonly set: number; readonly source: number; readonly pathId: number }[] {
		const source = this.#table.announced[prefix] ?? 0;
		const set = this.exporter.resolve(source, this.#table.prefixes, prefix);
		return set === 0 || (this.#context.pool.peer[set] === peer && peer !== 0) ? [] : [{ set, source, pathId: 0 }];
	}

	/** The attributes that members are sent for a set, as objects. */
	attributesSent(set: number): PathAttributes {
		return this.#writer.attributes(set);
	}

	/** Writes to everybody who is not waited for. */
	pump(): void {
		this.#rounds.request();
	}

	/** The socket of a peer takes bytes again. */
	drained(peer: number): void {
		const member = this.members.get(peer);
		if (member === undefined) return;
		if (member.catchUp !== undefined) this.#step(member);
		else {
			member.pump();
			this.#trimSoon();
		}
	}

	#serve(member: Member): void {
		if (member.catchUp !== undefined || member.pump()) return;
		if (member.cursor.behind > this.#context.tuning.behindBytes) this.#fallBehind(member);
	}

	#count(sent: Map<number, number>, before: number, after: number): void {
		const { peer } = this.#context.pool;
		if (before !== 0) sent.set(peer[before] ?? 0, (sent.get(peer[before] ?? 0) ?? 0) - 1);
		if (after !== 0) sent.set(peer[after] ?? 0, (sent.get(peer[after] ?? 0) ?? 0) + 1);
	}

	/** Takes the member out of the log. */
	#startCatchUp(member: Member, catchUp: CatchUp): void {
		this.#readers--;
		member.catchUp = catchUp;
		this.#table.hold();
		for (let unread = member.cursor.next(member.peer.id); unread !== undefined; unread = member.cursor.next(member.peer.id)) {
			missMessages(unread, this.#table, this.terms.addPath, catchUp);
		}
		if (!member.isFlushed) this.#log.pin(member.safeSequence);
		// Nothing to read until the first block is made.
		member.cursor = new Cursor(emptyLog, 'last');
		this.#step(member);
	}

	#fallBehind(member: Member): void {
		this.#context.log.debug('a peer reads slowly: it is told the latest state later', { peer: member.peer.name, family: this.terms.family });
		this.#startCatchUp(member, new CatchUp(0, 0, false, undefined));
	}

	/** Queues the next step of a catch-up. */
	#step(member: Member): void {
		if (member.stepping) return;
		member.stepping = true;
		this.#context.later(() => {
			const more = this.#advance(member);
			member.stepping = more;
			return more;
		});
	}

	/** One step: the next block, or the end. `false`: it goes on with `drained`, or it is done. */
	#advance(member: Member): boolean {
		const { catchUp } = member;
		if (catchUp === undefined || !member.pump()) return false;
		if (catchUp.done) {
			this.#finishCatchUp(member, catchUp);
			return false;
		}
		let block: MessageLog;
		if (catchUp.next < catchUp.end) {
			block = this.#blockAt(catchUp.next);
			catchUp.next += this.#context.tuning.walkPrefixes;
		} else block = this.#encodeMissed(member.peer.id, catchUp);
		member.cursor = new Cursor(block, 'first');
		return member.pump() || !member.peer.blocked;
	}

	/** The member goes on in the log. */
	#finishCatchUp(member: Member, catchUp: CatchUp): void {
		member.catchUp = undefined;
		member.cursor = new Cursor(this.#log, 'last');
		member.safeSequence = member.cursor.chunk.sequence;
		this.#readers++;
		this.#table.unhold();
		if (catchUp.finish !== undefined) member.send(catchUp.finish);
		if (this.#readers === this.members.size) this.#walk.clear();
	}

	/** The messages that announce the prefixes from `start` on, for everybody but their source. */
	#blockAt(start: number): MessageLog {
		const known = this.#walk.get(start);
		const { version } = this.#table;
		if (known?.version === version) return known.log;
		const { prefixes, announced } = this.#table;
		const end = Math.min(start + this.#context.tuning.walkPrefixes, prefixes.limit);
		for (let prefix = start; prefix < end; prefix++) {
			const set = announced[prefix] ?? 0;
			if (set === 0) continue;
			const sends = this.exporter.resolve(set, prefixes, prefix);
			if (sends !== 0) this.#packer.announce(sends, prefix, 0);
		}
		const log = new MessageLog(this.#context.singleUse);
		this.#flush(log);
		this.#walk.set(start, { version, log });
		return log;
	}

	/** The messages that tell one peer the present state of some of what it missed. */
	#encodeMissed(peer: number, { missed }: CatchUp): MessageLog {
		const { prefixes, announced } = this.#table;
		for (let told = 0; told < this.#context.tuning.missedPrefixes; told++) {
			const prefix = missed.takeFirst();
			if (prefix === 0) break;
			const sends = this.exporter.resolve(announced[prefix] ?? 0, prefixes, prefix);
			if (sends !== 0 && this.#context.pool.peer[sends] !== peer) this.#packer.announce(sends, prefix, 0);
			else this.#packer.withdraw(0, prefix, 0);
		}
		const log = new MessageLog(this.#context.singleUse);
		this.#flush(log);
		return log;
	}

	#flush(log: MessageLog): void {
		this.#packer.flush(log, this.#audienceOf, this.#reportTooLong);
	}

	/** Everybody but the source; a route of this node has none. */
	readonly #audienceOf = (set: number): Audience => this.#context.pool.peer[set] ?? 0;

	readonly #reportTooLong = (set: number): void => {
		if (this.#reported.has(set)) return;
		this.#reported.add(set);
		const bytes = this.#context.pool.length[set] ?? 0;
		this.#context.log.warn('a route is not sent: its attributes do not fit into a message', { bytes, family: this.terms.family });
	};

	/** When many leave, or read on, at the same time, once is enough. */
	#trimSoon(): void {
		if (this.#trimming) return;
		this.#trimming = true;
		this.#context.later(() => {
			this.#trimming = false;
			this.#trim();
			return false;
		});
	}

	/** Gives up chunks that no member needs and no socket reads. */
	#trim(): void {
		let needed = this.#log.last.sequence;
		for (const member of this.members.values()) {
			if (member.catchUp !== undefined) continue;
			if (member.isFlushed) member.safeSequence = member.cursor.chunk.sequence;
			if (member.safeSequence < needed) needed = member.safeSequence;
		}
		this.#log.trim(needed);
	}
}
