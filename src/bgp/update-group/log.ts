/** Receivers of a run of messages: 0 all members, p all except peer p, -p only peer p. */
export type Audience = number;

/** True if a peer receives a run. */
export function isFor(audience: Audience, peer: number): boolean {
	return audience === 0 || (audience > 0 ? audience !== peer : audience === -peer);
}

/** A part of the log, usually 64 KiB, with the audience of each run. */
class Chunk {
	readonly bytes: Uint8Array;
	/** Bytes of the log before this chunk. */
	base = 0;
	/** Increases within a log. */
	sequence = 0;
	used = 0;
	/** End of each run, and its audience. */
	readonly ends: number[] = [];
	readonly audiences: Audience[] = [];
	next: Chunk | undefined = undefined;
	/** A closing socket may still read it: never written again. */
	pinned = false;
	/** The last view created; readers of one stream request the same. */
	#view: Uint8Array | undefined = undefined;
	#viewStart = -1;

	constructor(length: number) {
		this.bytes = new Uint8Array(length);
	}

	view(start: number, end: number): Uint8Array {
		if (this.#view === undefined || this.#viewStart !== start || this.#view.length !== end - start) {
			this.#view = this.bytes.subarray(start, end);
			this.#viewStart = start;
		}
		return this.#view;
	}

	clear(sequence: number, base: number): void {
		this.sequence = sequence;
		this.base = base;
		this.used = 0;
		this.ends.length = 0;
		this.audiences.length = 0;
		this.next = undefined;
		this.#view = undefined;
	}
}

/** Chunks without readers, shared by all logs. */
export class ChunkPool {
	readonly #free: Chunk[] = [];
	readonly #most: number;
	readonly chunkBytes: number;

	/** Keeps at most this number of chunks of this size. */
	constructor(most: number, chunkBytes: number) {
		this.#most = most;
		this.chunkBytes = chunkBytes;
	}

	take(sequence: number, base: number, atLeast: number): Chunk {
		const chunk =
			(atLeast <= this.chunkBytes ? this.#free.pop() : undefined) ?? new Chunk(Math.max(atLeast, this.chunkBytes));
		chunk.clear(sequence, base);
		return chunk;
	}

	give(chunk: Chunk): void {
		if (!chunk.pinned && this.#free.length < this.#most && chunk.bytes.length === this.chunkBytes)
			this.#free.push(chunk);
	}
}

/**
 * Encoded messages for several readers: linked chunks, written once. Readers hold a `Cursor`; the
 * owner of the log calls `trim` to free the chunks without readers.
 */
export class MessageLog {
	readonly #pool: ChunkPool;
	#first: Chunk;
	#last: Chunk;
	/** Total bytes written. */
	written = 0;

	constructor(pool: ChunkPool) {
		this.#pool = pool;
		this.#first = pool.take(0, 0, 0);
		this.#last = this.#first;
	}

	get first(): Chunk {
		return this.#first;
	}

	get last(): Chunk {
		return this.#last;
	}

	/** The chunk for the next write, with room for `bytes` from `used` on. */
	room(bytes: number): Chunk {
		if (this.#last.bytes.length - this.#last.used >= bytes) return this.#last;
		const chunk = this.#pool.take(this.#last.sequence + 1, this.written, bytes);
		this.#last.next = chunk;
		this.#last = chunk;
		return chunk;
	}

	/** The bytes written to the last chunk up to `end` are a message for `audience`. */
	commit(end: number, audience: Audience): void {
		const chunk = this.#last;
		this.written += end - chunk.used;
		chunk.used = end;
		const runs = chunk.ends.length;
		if (runs > 0 && chunk.audiences[runs - 1] === audience) chunk.ends[runs - 1] = end;
		else {
			chunk.ends.push(end);
			chunk.audiences.push(audience);
		}
	}

	/** Frees the chunks before `sequence`; the last one stays. */
	trim(sequence: number): void {
		while (this.#first !== this.#last && this.#first.sequence < sequence) {
			const gone = this.#first;
			// Every chunk except the last has a next one.
			this.#first = gone.next ?? this.#last;
			this.#pool.give(gone);
		}
	}

	/** Prevents the reuse of the present chunks from `sequence` on. */
	pin(sequence: number): void {
		for (let chunk: Chunk | undefined = this.#first; chunk !== undefined; chunk = chunk.next)
			if (chunk.sequence >= sequence) chunk.pinned = true;
	}
}

/** The log of a reader without data; never written. */
export const emptyLog = new MessageLog(new ChunkPool(0, 0));

/** A reader's position in a log. */
export class Cursor {
	readonly log: MessageLog;
	chunk: Chunk;
	offset = 0;
	/** The run that contains `offset`. */
	#run = 0;

	/** Starts at the end of the log, or at its beginning. */
	constructor(log: MessageLog, at: 'first' | 'last') {
		this.log = log;
		this.chunk = at === 'first' ? log.first : log.last;
		if (at === 'last') {
			this.offset = this.chunk.used;
			this.#run = this.chunk.ends.length;
			// The last run may grow: a reader at its end continues in it.
			if (this.#run > 0) this.#run--;
		}
	}

	/** Bytes written after the cursor, for any audience. */
	get behind(): number {
		return this.log.written - this.chunk.base - this.offset;
	}

	/** The next bytes for `peer` within one chunk, `undefined` at the end; advances the cursor. */
	next(peer: number): Uint8Array | undefined {
		for (;;) {
			const { chunk } = this;
			const { ends, audiences } = chunk;
			this.#leaveRun();
			while (this.#run < ends.length && !isFor(audiences[this.#run] ?? 0, peer)) {
				this.offset = ends[this.#run] ?? 0;
				if (!this.#leaveRun()) break;
			}
			const start = this.offset;
			while (this.#run < ends.length && isFor(audiences[this.#run] ?? 0, peer)) {
				this.offset = ends[this.#run] ?? 0;
				if (!this.#leaveRun()) break;
			}
			if (this.offset > start) return chunk.view(start, this.offset);
			if (chunk.next === undefined) return undefined;
			this.chunk = chunk.next;
			this.offset = 0;
			this.#run = 0;
		}
	}

	/** Advances from a run that was read completely, unless it is the last one, which may grow. */
	#leaveRun(): boolean {
		const { ends } = this.chunk;
		if (this.#run + 1 >= ends.length || this.offset < (ends[this.#run] ?? 0)) return false;
		this.#run++;
		return true;
	}
}
