import type { RibPeer } from '../rib/peers.ts';
import { Bitmap } from './bitmap.ts';
import { Cursor, type MessageLog } from './log.ts';

/** How a member gets to where the others are: the table from `next` to `end`, then what it missed meanwhile. */
export class CatchUp {
	/** Prefix ids still to be walked: from here, up to `end` (exclusive). */
	next: number;
	end: number;
	/** The peer holds nothing yet of what is still to be walked: what changes there can wait for the walk. */
	fresh: boolean;
	/** Prefixes whose present state the peer has to be told, withdrawn ones included. */
	readonly missed = new Bitmap();
	/** Withdrawn paths the peer may still hold, by prefix; with add-path only. */
	readonly gone = new Map<number, Set<number>>();
	/** Sent at the end: End-of-RIB, or the end mark of a refresh. */
	finish: Uint8Array | undefined;
	/** A refresh that was asked for meanwhile, and follows: its marks. */
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

	/** With add-path: this path of the prefix went. */
	missPath(prefix: number, pathId: number): void {
		this.missed.add(prefix);
		let ids = this.gone.get(prefix);
		if (ids === undefined) {
			ids = new Set();
			this.gone.set(prefix, ids);
		}
		ids.add(pathId);
	}

	/** What another one had still to tell. */
	takeOver({ missed, gone }: CatchUp): void {
		for (let prefix = missed.takeFirst(); prefix !== 0; prefix = missed.takeFirst()) this.missed.add(prefix);
		for (const [prefix, ids] of gone) for (const pathId of ids) this.missPath(prefix, pathId);
	}

	get done(): boolean {
		return this.next >= this.end && this.missed.count === 0;
	}
}

/** A peer in an update group: a cursor in the group's stream, or on its way there. */
export class Member {
	readonly peer: RibPeer;
	cursor: Cursor;
	/** `undefined`: the cursor is in the group's log. */
	catchUp: CatchUp | undefined = undefined;
	/** A step of the catch-up is queued. */
	stepping = false;
	/** Chunks of the group's log before this one are no longer read by the peer's socket. */
	safeSequence = 0;

	constructor(peer: RibPeer, log: MessageLog) {
		this.peer = peer;
		this.cursor = new Cursor(log, 'last');
		this.safeSequence = this.cursor.chunk.sequence;
	}

	/** Writes until the socket has enough or nothing is left. `true`: nothing is left. */
	pump(): boolean {
		const { peer } = this;
		while (peer.sink !== undefined && !peer.blocked) {
			const bytes = this.cursor.next(peer.id);
			if (bytes === undefined) return true;
			if (!peer.sink.write(bytes)) peer.blocked = true;
		}
		return false;
	}

	/** The socket has let go of everything that was written so far. */
	get isFlushed(): boolean {
		return this.peer.sink === undefined || this.peer.sink.bufferedBytes === 0;
	}

	/** Writes a message beside the stream; the stream is at a message's border whenever we are called. */
	send(message: Uint8Array): void {
		if (this.peer.sink !== undefined && !this.peer.sink.write(message)) this.peer.blocked = true;
	}
}
