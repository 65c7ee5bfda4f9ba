import type { RibPeer } from '../table/peers.ts';
import { Bitmap } from './bitmap.ts';
import { Cursor, type MessageLog } from './log.ts';

/** The catch-up of a member: the table from `next` to `end`, then the prefixes missed meanwhile. */
export class CatchUp {
	/** Prefix ids still to walk: from here up to `end` (exclusive). */
	next: number;
	end: number;
	/** The peer has no routes of the rest of the walk: changes there can wait for the walk. */
	fresh: boolean;
	/** Prefixes whose present state must be sent, including withdrawn ones. */
	readonly missed = new Bitmap();
	/** Withdrawn paths that the peer may still have, by prefix; only with add-path. */
	readonly gone = new Map<number, Set<number>>();
	/** Sent at the end: End-of-RIB, or the end mark of a refresh. */
	finish: Uint8Array | undefined;
	/** A refresh requested meanwhile, which follows: its marks. */
	refresh: { readonly begin: Uint8Array | undefined; readonly finish: Uint8Array | undefined } | undefined = undefined;

	constructor(next: number, end: number, fresh: boolean, finish: Uint8Array | undefined) {
		this.next = next;
		this.end = end;
		this.fresh = fresh;
		this.finish = finish;
	}

	/** A prefix changed. */
	miss(prefix: number): void {
		if (this.fresh && prefix >= this.next && prefix < this.end) return;
		this.missed.add(prefix);
	}

	/** With add-path: this path of the prefix was removed. */
	missPath(prefix: number, pathId: number): void {
		this.missed.add(prefix);
		let ids = this.gone.get(prefix);
		if (ids === undefined) {
			ids = new Set();
			this.gone.set(prefix, ids);
		}
		ids.add(pathId);
	}

	/** Adds the pending changes of another catch-up. */
	takeOver({ missed, gone }: CatchUp): void {
		for (let prefix = missed.takeFirst(); prefix !== 0; prefix = missed.takeFirst()) this.missed.add(prefix);
		for (const [prefix, ids] of gone) for (const pathId of ids) this.missPath(prefix, pathId);
	}

	get done(): boolean {
		return this.next >= this.end && this.missed.count === 0;
	}
}

/** A peer in an update group: a cursor in the group's stream, or in a catch-up. */
export class Member {
	readonly peer: RibPeer;
	cursor: Cursor;
	/** `undefined`: the cursor is in the group's log. */
	catchUp: CatchUp | undefined = undefined;
	/** A step of the catch-up is queued. */
	stepping = false;
	/** The peer's socket no longer reads chunks of the group's log before this one. */
	safeSequence = 0;

	constructor(peer: RibPeer, log: MessageLog) {
		this.peer = peer;
		this.cursor = new Cursor(log, 'last');
		this.safeSequence = this.cursor.chunk.sequence;
	}

	/** Writes until the socket is full or no data is left. `true`: no data is left. */
	pump(): boolean {
		const { peer } = this;
		while (peer.sink !== undefined && !peer.blocked) {
			const bytes = this.cursor.next(peer.id);
			if (bytes === undefined) return true;
			if (!peer.sink.write(bytes)) peer.blocked = true;
		}
		return false;
	}

	/** True if the socket has sent all bytes written so far. */
	get isFlushed(): boolean {
		return this.peer.sink === undefined || this.peer.sink.bufferedBytes === 0;
	}

	/** Writes a message outside the stream; the stream is at a message boundary here. */
	send(message: Uint8Array): void {
		if (this.peer.sink !== undefined && !this.peer.sink.write(message)) this.peer.blocked = true;
	}
}
