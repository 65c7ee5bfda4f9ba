import type { Batch } from '../table/batch.ts';
import type { RibPeer } from '../table/peers.ts';
import type { RouteTable } from '../table/route-table.ts';
import { type ExportTerms, ranksPaths } from './export-terms.ts';
import type { GroupDependencies } from './group-dependencies.ts';
import { Cursor, emptyLog, MessageLog } from './log.ts';
import { CatchUp, Member } from './member.ts';
import { Outgoing } from './outgoing.ts';
import { Rounds } from './rounds.ts';
import { missMessages } from './unread.ts';

/** Blocks of the walk, shared by concurrent walks while nothing changes. */
interface WalkBlock {
	readonly version: number;
	readonly log: MessageLog;
}

/**
 * Peers of one family with equal announcements. Changes are encoded once into a log; each member is
 * a cursor in it. A new member walks the table first; a member that falls behind gets the latest
 * state of the missed prefixes; both then continue in the log.
 */
export class UpdateGroup {
	readonly terms: ExportTerms;
	readonly outgoing: Outgoing;
	readonly members = new Map<number, Member>();
	readonly #dependencies: GroupDependencies;
	readonly #table: RouteTable;
	readonly #log: MessageLog;
	readonly #walk = new Map<number, WalkBlock>();
	readonly #rounds: Rounds<Member>;
	#readers = 0;
	#trimming = false;

	constructor(terms: ExportTerms, dependencies: GroupDependencies) {
		this.terms = terms;
		this.#dependencies = dependencies;
		this.#table = dependencies.table;
		this.outgoing = new Outgoing(terms, dependencies);
		this.#log = new MessageLog(dependencies.chunks);
		const { members } = this;
		this.#rounds = new Rounds({
			...dependencies,
			members,
			visit: (member) => this.#attempt(member, () => this.#serve(member)),
			end: () => this.#trim(),
		});
		if (ranksPaths(terms)) this.#table.announcedPaths.use();
	}

	/**
	 * Adds a peer and sends it all routes; `fresh`: it has no routes yet. `finish` is sent at the
	 * end.
	 */
	join(peer: RibPeer, fresh: boolean, finish: Uint8Array | undefined): Member {
		const member = new Member(peer, this.#log);
		this.members.set(peer.id, member);
		this.#readers++;
		this.#startCatchUp(member, new CatchUp(1, this.#table.prefixes.limit, fresh, finish));
		return member;
	}

	/**
	 * Sends all routes again, now or after the present catch-up; `begin` before and `finish` after
	 * them.
	 */
	resend(member: Member, begin: Uint8Array | undefined, finish: Uint8Array | undefined): void {
		// RFC 7313 §4: no mark before the first End-of-RIB. A request in the meantime is executed
		// after it.
		if (member.catchUp !== undefined) {
			member.catchUp.refresh = { begin, finish };
			return;
		}
		if (begin !== undefined) member.send(begin);
		this.#startCatchUp(member, new CatchUp(1, this.#table.prefixes.limit, false, finish));
	}

	/**
	 * The peer moves to another group as `successor`, which sends it the rest of the missed
	 * changes.
	 */
	leaveFor(peer: number, { catchUp }: Member): void {
		const member = this.members.get(peer);
		if (member === undefined || catchUp === undefined) return;
		for (let unread = member.cursor.next(peer); unread !== undefined; unread = member.cursor.next(peer)) {
			missMessages(unread, this.#table, this.terms.addPath, catchUp);
		}
		if (member.catchUp !== undefined) catchUp.takeOver(member.catchUp);
		this.leave(peer);
	}

	/** Removes a peer; its socket may still read earlier chunks. */
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
		if (ranksPaths(this.terms)) this.#table.announcedPaths.unuse();
		this.outgoing.exporter.close();
		this.#log.trim(this.#log.last.sequence);
	}

	/** Sends the changes of a selection step to the members. */
	emit(batch: Batch): void {
		const behind =
			this.#readers < this.members.size ? [...this.members.values()].flatMap(({ catchUp }) => catchUp ?? []) : [];
		this.outgoing.changes(batch, behind, this.#readers > 0, (peer) => this.members.has(peer));
		if (this.#readers === 0) return;
		this.outgoing.flush(this.#log);
		this.pump();
	}

	/** Writes to all members whose sockets accept bytes. */
	pump(): void {
		this.#rounds.request();
	}

	/** The socket of a peer accepts bytes again. */
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
		if (member.cursor.behind > this.#dependencies.tuning.behindBytes) this.#fallBehind(member);
	}

	/** Moves the member out of the log. */
	#startCatchUp(member: Member, catchUp: CatchUp): void {
		this.#readers--;
		member.catchUp = catchUp;
		this.#table.hold();
		for (
			let unread = member.cursor.next(member.peer.id);
			unread !== undefined;
			unread = member.cursor.next(member.peer.id)
		) {
			missMessages(unread, this.#table, this.terms.addPath, catchUp);
		}
		if (!member.isFlushed) this.#log.pin(member.safeSequence);
		// Nothing to read until the first block exists.
		member.cursor = new Cursor(emptyLog, 'last');
		this.#step(member);
	}

	#fallBehind(member: Member): void {
		this.#dependencies.log.debug('a peer reads slowly: it gets the latest state later', {
			peer: member.peer.name,
			family: this.terms.family,
		});
		this.#startCatchUp(member, new CatchUp(0, 0, false, undefined));
	}

	/** Queues the next step of a catch-up. */
	#step(member: Member): void {
		if (member.stepping) return;
		member.stepping = true;
		this.#dependencies.later(() => {
			let more = false;
			this.#attempt(member, () => {
				more = this.#advance(member);
			});
			member.stepping = more;
			return more;
		});
	}

	/** An exception in the work for one member affects no other one. */
	#attempt({ peer }: Member, act: () => void): void {
		try {
			act();
		} catch (error) {
			this.#dependencies.failed([peer], error);
		}
	}

	/**
	 * One step: the next block, or the end. `false`: it continues with `drained`, or is complete.
	 */
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
			catchUp.next += this.#dependencies.tuning.walkPrefixes;
		} else {
			block = new MessageLog(this.#dependencies.singleUse);
			this.outgoing.missed(member.peer.id, catchUp);
			this.outgoing.flush(block);
		}
		member.cursor = new Cursor(block, 'first');
		return member.pump() || !member.peer.blocked;
	}

	/** The member continues in the log. */
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

	/**
	 * The messages that announce the prefixes from `start` on, for all members except their source.
	 */
	#blockAt(start: number): MessageLog {
		const known = this.#walk.get(start);
		const { version } = this.#table;
		if (known?.version === version) return known.log;
		this.outgoing.table(start, start + this.#dependencies.tuning.walkPrefixes);
		const log = new MessageLog(this.#dependencies.singleUse);
		this.outgoing.flush(log);
		this.#walk.set(start, { version, log });
		return log;
	}

	/** If many members leave or advance at the same time, one call is sufficient. */
	#trimSoon(): void {
		if (this.#trimming) return;
		this.#trimming = true;
		this.#dependencies.later(() => {
			this.#trimming = false;
			this.#trim();
			return false;
		});
	}

	/** Frees chunks that no member needs and no socket reads. */
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
