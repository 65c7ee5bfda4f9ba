import { checkHeader, headerLength, maximumMessageLength } from 'bgp-packet';

const none = new Uint8Array(0);

/**
 * Finds messages in received chunks, in place: after `next()` a whole message is at `[start, end)`
 * of `buffer`. Only a message across two chunks is copied, into its own buffer. A message is valid
 * until the next call.
 */
export class MessageCursor {
	buffer: Uint8Array = none;
	start = 0;
	end = 0;
	/** The type octet of the message. */
	type = 0;
	/** Maximum length of a message; a change takes effect at the next header (RFC 8654 §4). */
	maximumLength = maximumMessageLength;
	#chunks: Uint8Array[] = [];
	#head = 0;
	#offset = 0;
	#queued = 0;
	/**
	 * A message across chunks: its first `#filled` octets; of header size until the length is
	 * known.
	 */
	#partial: Uint8Array | undefined;
	#filled = 0;

	/** Received octets that are not part of a returned message. */
	get queuedBytes(): number {
		return this.#queued;
	}

	/** True if no whole message is left. A partial message does not count. */
	get drained(): boolean {
		return this.#head === this.#chunks.length;
	}

	push(chunk: Uint8Array): void {
		this.#chunks.push(chunk);
		this.#queued += chunk.length;
	}

	/**
	 * Moves to the next whole message. `false`: more data is needed. @throws PacketError 1/x for an
	 * invalid header
	 */
	next(): boolean {
		let chunk = this.#chunks[this.#head];
		while (chunk !== undefined) {
			const partial = this.#partial;
			const found: boolean = partial === undefined ? this.#inPlace(chunk) : this.#complete(partial, chunk);
			if (this.#offset === chunk.length) this.#release();
			if (found) return true;
			chunk = this.#chunks[this.#head];
		}
		return false;
	}

	/** Finds a message inside the chunk; otherwise stores its beginning. */
	#inPlace(chunk: Uint8Array): boolean {
		const offset = this.#offset;
		const available = chunk.length - offset;
		const length = available < headerLength ? headerLength : checkHeader(chunk, offset, this.maximumLength);
		if (available < headerLength || available < length) {
			this.#partial = new Uint8Array(length);
			this.#partial.set(chunk.subarray(offset));
			this.#filled = available;
			this.#offset = chunk.length;
			return false;
		}
		this.#offset += length;
		return this.#found(chunk, offset, length);
	}

	/** Completes a message that began in an earlier chunk. */
	#complete(partial: Uint8Array, chunk: Uint8Array): boolean {
		const taken = Math.min(partial.length - this.#filled, chunk.length - this.#offset);
		partial.set(chunk.subarray(this.#offset, this.#offset + taken), this.#filled);
		this.#filled += taken;
		this.#offset += taken;
		if (this.#filled < partial.length) return false;
		if (partial.length === headerLength) {
			const length = checkHeader(partial, 0, this.maximumLength);
			if (length > headerLength) {
				this.#partial = new Uint8Array(length);
				this.#partial.set(partial);
				return false;
			}
		}
		this.#partial = undefined;
		this.#filled = 0;
		return this.#found(partial, 0, partial.length);
	}

	#found(buffer: Uint8Array, start: number, length: number): true {
		this.buffer = buffer;
		this.start = start;
		this.end = start + length;
		this.type = buffer[start + headerLength - 1] ?? 0;
		this.#queued -= length;
		return true;
	}

	#release(): void {
		this.#offset = 0;
		this.#head++;
		if (this.#head === this.#chunks.length || this.#head > 64) {
			this.#chunks.splice(0, this.#head);
			this.#head = 0;
		}
	}
}
