import { headerLength, maximumExtendedMessageLength, maximumMessageLength } from './constants.ts';
import { checkHeader } from './header.ts';

/**
 * Takes one whole message at `[start, end)` of `buffer`, header included; the bytes are valid
 * during the call.
 */
export type FrameHandler = (buffer: Uint8Array, start: number, end: number) => void;

/**
 * Cuts a byte stream into messages. RFC 4271 §4.1. Messages inside one chunk are handed over in
 * place; only a message that is spread over chunks is copied.
 */
export class Framer {
	/**
	 * The longest message that is accepted; a change counts from the next header on (RFC 8654 §4).
	 */
	maximumLength = maximumMessageLength;
	#partial = new Uint8Array(maximumMessageLength);
	#partialLength = 0;

	/** Bytes of a message that is not whole yet. */
	get pendingBytes(): number {
		return this.#partialLength;
	}

	/**
	 * Hands each whole message to `handle`, in order, before the header behind it is looked at.
	 * @throws PacketError 1/x at the first bad header (RFC 4271 §6.1); the stream cannot be read on
	 * after it. What `handle` throws comes through.
	 */
	scan(chunk: Uint8Array, handle: FrameHandler): void {
		let offset = this.#partialLength > 0 ? this.#complete(chunk, handle) : 0;
		while (chunk.length - offset >= headerLength) {
			const length = checkHeader(chunk, offset, this.maximumLength);
			if (offset + length > chunk.length) break;
			const start = offset;
			offset += length;
			handle(chunk, start, offset);
		}
		this.#stash(chunk, offset);
	}

	/**
	 * The whole messages as a list, each a view that is valid until the next `push`. For tests and
	 * tools: `maximumLength` cannot change in between. @throws PacketError as `scan`
	 */
	push(chunk: Uint8Array): Uint8Array[] {
		const frames: Uint8Array[] = [];
		// A message put together from chunks lies in a buffer that the next one overwrites.
		this.scan(chunk, (buffer, start, end) =>
			frames.push(buffer === chunk ? buffer.subarray(start, end) : buffer.slice(start, end)),
		);
		return frames;
	}

	/** Fills the partial message from `chunk`; the offset behind what was taken. */
	#complete(chunk: Uint8Array, handle: FrameHandler): number {
		let taken = this.#take(chunk, 0, headerLength);
		if (this.#partialLength < headerLength) return taken;
		const length = checkHeader(this.#partial, 0, this.maximumLength);
		taken = this.#take(chunk, taken, length);
		if (this.#partialLength < length) return taken;
		this.#partialLength = 0;
		handle(this.#partial, 0, length);
		return taken;
	}

	/** Copies from `chunk` until the partial message has `length` bytes or the chunk ends. */
	#take(chunk: Uint8Array, offset: number, length: number): number {
		const missing = Math.max(0, Math.min(length - this.#partialLength, chunk.length - offset));
		this.#reserve(this.#partialLength + missing);
		this.#partial.set(chunk.subarray(offset, offset + missing), this.#partialLength);
		this.#partialLength += missing;
		return offset + missing;
	}

	#stash(chunk: Uint8Array, offset: number): void {
		if (offset < chunk.length) this.#take(chunk, offset, this.#partialLength + chunk.length - offset);
	}

	#reserve(length: number): void {
		if (length <= this.#partial.length) return;
		const larger = new Uint8Array(maximumExtendedMessageLength);
		larger.set(this.#partial.subarray(0, this.#partialLength));
		this.#partial = larger;
	}
}
