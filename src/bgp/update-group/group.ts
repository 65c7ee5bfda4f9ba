import type { Batch } from '../rib/batch.ts';
import type { RibPeer } from '../rib/peers.ts';
import type { RouteTable } from '../rib/route-table.ts';
import type { ExportTerms } from './export-terms.ts';
import type { GroupContext } from './group-context.ts';
import { Cursor, emptyLog, MessageLog } from './log.ts';
import { CatchUp, Member } from './member.ts';
import { Outgoing } from './outgoing.ts';
import { Rounds } from './rounds.ts';
import { missMessages } from './unread.ts';

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
	readonly outgoing: Outgoing;
	readonly members = new Map<number, Member>();
	readonly #context: GroupContext;
	readonly #table: RouteTable;
	readonly #log: MessageLog;
	readonly #walk = new Map<number, WalkBlock>();
	readonly #rounds: Rounds<Member>;
	#readers = 0;
	#trimming = false;

	constructor(terms: ExportTerms, context: GroupContext) {
		this.terms = terms;
		this.#context = context;
		this.#table = context.table;
		this.outgoing = new Outgoing(terms, context);
		this.#log = new MessageLog(context.chunks);
		const { members } = this;
		this.#rounds = new Rounds({ ...context, members, visit: (member) => this.#serve(member), end: () => this.#trim() });
		if (terms.addPath) this.#table.announcedPaths.use();
	}

	/** Adds a peer, which is sent everything; `fresh`: it holds nothing yet. `finish` is sent at the end. */
	join(peer: RibPeer, fresh: boolean, finish: Uint8Array | undefined): Member {
		const member = new Member(peer, this.#log);
		this.members.set(peer.id, member);
		this.#readers++;
		this.#startCatchUp(member, new CatchUp(1, this.#table.prefixes.limit, fresh, finish));
		return member;
	}

	/** Sends everything again, now or when it has got to where the others are; `begin` before and `finish` behind it. */
	resend(member: Member, begin: Uint8Array | undefined, finish: Uint8Array | undefined): void {
		// RFC 7313 §4: no mark stands before the first End-of-RIB. What is asked for meanwhile comes after it.
		if (member.catchUp !== undefined) {
			member.catchUp.refresh = { begin, finish };
			return;
		}
		if (begin !== undefined) member.send(begin);
		this.#startCatchUp(member, new CatchUp(1, this.#table.prefixes.limit, false, finish));
	}

	/** The peer goes on in another group as `successor`, which is to tell it what it was not sent here. */
	leaveFor(peer: number, { catchUp }: Member): void {
		const member = this.members.get(peer);
		if (member === undefined || catchUp === undefined) return;
		for (let unread = member.cursor.next(peer); unread !== undefined; unread = member.cursor.next(peer)) {
			missMessages(unread, this.#table, this.terms.addPath, catchUp);
		}
		if (member.catchUp !== undefined) catchUp.takeOver(member.catchUp);
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
		if (this.terms.addPath) this.#table.announcedPaths.unuse();
		this.outgoing.exporter.close();
		this.#log.trim(this.#log.last.sequence);
	}

	/** Tells the members what selection changed. */
	emit(batch: Batch): void {
		const behind = this.#readers < this.members.size ? [...this.members.values()].flatMap(({ catchUp }) => catchUp ?? []) : [];
		this.outgoing.changes(batch, behind, this.#readers > 0, (peer) => this.members.has(peer));
		if (this.#readers === 0) return;
		this.outgoing.flush(this.#log);
		this.pump();
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
			// A refresh may follow.
			return member.catchUp !== undefined;
		}
		let block: MessageLog;
		if (catchUp.next < catchUp.end) {
			block = this.#blockAt(catchUp.next);
			catchUp.next += this.#context.tuning.walkPrefixes;
		} else {
			block = new MessageLog(this.#context.singleUse);
			this.outgoing.missed(member.peer.id, catchUp);
			this.outgoing.flush(block);
		}
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
		if (catchUp.refresh !== undefined) this.resend(member, catchUp.refresh.begin, catchUp.refresh.finish);
		if (this.#readers === this.members.size) this.#walk.clear();
	}

	/** The messages that announce the prefixes from `start` on, for everybody but their source. */
	#blockAt(start: number): MessageLog {
		const known = this.#walk.get(start);
		const { version } = this.#table;
		if (known?.version === version) return known.log;
		this.outgoing.table(start, start + this.#context.tuning.walkPrefixes);
		const log = new MessageLog(this.#context.singleUse);
		this.outgoing.flush(log);
		this.#walk.set(start, { version, log });
		return log;
	}

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
