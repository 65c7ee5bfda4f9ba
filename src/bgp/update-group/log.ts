/** Who is to get a run of messages: 0 everybody, p everybody but peer p, -p peer p alone. */
export type Audience = number;

/** May a peer see a run? */
export function isFor(audience: Audience, peer: number): boolean {
	return audience === 0 || (audience > 0 ? audience !== peer : audience === -peer);
}

/** A stretch of messages, 64 KiB as a rule, and who gets which. */
export class Chunk {
	readonly bytes: Uint8Array;
	/** Bytes of the log before this chunk. */
	base = 0;
	/** Counts up within a log. */
	sequence = 0;
	used = 0;
	/** Where each run ends, and its audience. */
	readonly ends: number[] = [];
	readonly audiences: Audience[] = [];
	next: Chunk | undefined = undefined;
	/** A closing socket may still read it: never written to again. */
	pinned = false;
	/** The last view that was made; readers of one stream ask for the same. */
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

/** Chunks that nobody reads any more, shared by all logs. */
export class ChunkPool {
	readonly #free: Chunk[] = [];
	readonly #most: number;
	readonly chunkBytes: number;

	/** Keeps at most so many chunks of so many bytes. */
	constructor(most: number, chunkBytes: number) {
		this.#most = most;
		this.chunkBytes = chunkBytes;
	}

	take(sequence: number, base: number, atLeast: number): Chunk {
		const chunk = (atLeast <= this.chunkBytes ? this.#free.pop() : undefined) ?? new Chunk(Math.max(atLeast, this.chunkBytes));
		chunk.clear(sequence, base);
		return chunk;
	}

	give(chunk: Chunk): void {
		if (!chunk.pinned && this.#free.length < this.#most && chunk.bytes.length === this.chunkBytes) this.#free.push(chunk);
	}
}

/**
 * Encoded messages for several readers: linked chunks, written once. Readers hold a `Cursor`; who owns the log says through
 * `trim` which chunks nobody needs any more.
 */
export class MessageLog {
	readonly #pool: ChunkPool;
	#first: Chunk;
	#last: Chunk;
	/** Bytes ever written. */
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

	/** The chunk to write to, with room for `bytes` from `used` on. */
	room(bytes: number): Chunk {
		if (this.#last.bytes.length - this.#last.used >= bytes) return this.#last;
		const chunk = this.#pool.take(this.#last.sequence + 1, this.written, bytes);
		this.#last.next = chunk;
		this.#last = chunk;
		return chunk;
	}

	/** What was written to the last chunk up to `end` is a message for `audience`. */
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

	/** Gives up the chunks before `sequence`; the last one stays. */
	trim(sequence: number): void {
		while (this.#first !== this.#last && this.#first.sequence < sequence) {
			const gone = this.#first;
			// Every chunk but the last has a next one.
			this.#first = gone.next ?? this.#last;
			this.#pool.give(gone);
		}
	}

	/** Forbids reuse of the chunks from `sequence` on that are there now. */
	pin(sequence: number): void {
		for (let chunk: Chunk | undefined = this.#first; chunk !== undefined; chunk = chunk.next) if (chunk.sequence >= sequence) chunk.pinned = true;
	}
}

/** What a reader reads while there is nothing for it; never written to. */
export const emptyLog = new MessageLog(new ChunkPool(0, 0));

/** A reader's place in a log. */
export class Cursor {
	readonly log: MessageLog;
	chunk: Chunk;
	offset = 0;
	/** The run that `offset` is in. */
	#run = 0;

	/** At the end of what is there, or at its beginning. */
	constructor(log: MessageLog, at: 'first' | 'last') {
		this.log = log;
		this.chunk = at === 'first' ? log.first : log.last;
		if (at === 'last') {
			this.offset = this.chunk.used;
			this.#run = this.chunk.ends.length;
			// The last run may grow: a reader at its end goes on in it.
			if (this.#run > 0) this.#run--;
		}
	}

	/** Bytes that were written behind it, for whomever. */
	get behind(): number {
		return this.log.written - this.chunk.base - this.offset;
	}

	/** The next stretch of bytes for `peer` within one chunk, `undefined` at the end; the cursor moves behind it. */
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

	/** Moves on from a run that has been read to its end, unless it is the last one, which may grow. */
	#leaveRun(): boolean {
		const { ends } = this.chunk;
		if (this.#run + 1 >= ends.length || this.offset < (ends[this.#run] ?? 0)) return false;
		this.#run++;
		return true;
	}
}
