import type { Socket } from 'node:net';
import { PacketError } from 'bgp-packet';
import type { Direction } from '../fsm/collision.ts';
import { MessageCursor } from './message-cursor.ts';
import type { Reader, ReadTurns } from './read-turns.ts';
import type { TimerWheel } from './timer-wheel.ts';

/** Above this limit, reading from the socket pauses until most of the queue is processed. */
const mostQueuedBytes = 256 * 1024;
const lingerMs = 1000;
/** Octets processed between two looks at the clock: well below a millisecond. */
const octetsBetweenLooks = 4096;
/** Minimum cost of a message in octets: its processing costs more than its length. */
const leastOctets = 128;

/**
 * Bytes that may be pending in a socket before `write` returns `false`: several of the RIB's
 * largest writes.
 */
export const writeAheadBytes = 256 * 1024;

/** Receives the messages and events of a connection. */
export interface ConnectionHandler {
	/** One whole message at `[start, end)`, valid only during the call. */
	message(type: number, buffer: Uint8Array, start: number, end: number): void;
	/** An invalid header; no message follows. */
	headerRejected(error: PacketError): void;
	/** TCP has ended, and all received messages were delivered. */
	lost(reason: string): void;
	/** All written bytes were handed to the kernel. */
	drained(): void;
	/** An unexpected exception of one of the other calls. The connection is closed. */
	faulted(error: unknown): void;
}

/** Shared state of all connections. */
export interface ConnectionDependencies {
	readonly wheel: TimerWheel;
	readonly turns: ReadTurns;
	/** Open sockets, including those that only finish sending. */
	readonly open: Set<Socket>;
	/**
	 * Called with an unexpected exception; its session ends. Without a handler the exception
	 * propagates.
	 */
	readonly onFault?: ((error: unknown) => void) | undefined;
}

/**
 * A TCP connection that carries messages. The socket must be half-open capable, so that the order
 * of closing is kept. It makes no protocol decisions: it frames, queues, and closes in order.
 */
export class Connection implements Reader {
	readonly socket: Socket;
	readonly direction: Direction;
	readonly #dependencies: ConnectionDependencies;
	readonly #handler: ConnectionHandler;
	readonly #cursor = new MessageCursor();
	#closed = false;
	#paused = false;
	#lostReason: string | undefined;
	bytesReceived = 0;
	bytesSent = 0;
	/** Number of times that all written bytes had reached the kernel. */
	drains = 0;

	constructor(socket: Socket, direction: Direction, dependencies: ConnectionDependencies, handler: ConnectionHandler) {
		this.socket = socket;
		this.direction = direction;
		this.#dependencies = dependencies;
		this.#handler = handler;
		dependencies.open.add(socket);
		socket.setNoDelay(true);
		socket.on('data', (chunk: Uint8Array) => this.#received(chunk));
		socket.on('drain', () => this.#drained());
		socket.on('end', () => this.#lost('closed by the peer'));
		socket.on('error', (error: NodeJS.ErrnoException) => this.#lost(error.code ?? error.message));
		socket.on('close', () => {
			dependencies.open.delete(socket);
			this.#lost('closed');
		});
		socket.resume();
	}

	/** Octets written but not yet handed to the kernel. */
	get bufferedBytes(): number {
		return this.socket.writableLength;
	}

	/** True while received bytes wait for processing. */
	get busy(): boolean {
		return this.#paused || !this.#cursor.drained;
	}

	/** Sets the maximum length of received messages from now on (RFC 8654 §4). */
	set maximumLength(octets: number) {
		this.#cursor.maximumLength = octets;
	}

	/** `false`: wait for `drained`. */
	write(bytes: Uint8Array): boolean {
		if (this.#closed) return true;
		this.bytesSent += bytes.length;
		return this.socket.write(bytes);
	}

	/** Sends pending bytes, then closes; received bytes are discarded. The peer has one second. */
	close(): void {
		if (this.#closed) return;
		this.#closed = true;
		this.#dependencies.turns.gone(this);
		lingerAndClose(this.socket, this.#dependencies);
	}

	/** Closes without a NOTIFICATION. */
	abort(): void {
		if (this.#closed) return;
		this.#closed = true;
		this.#dependencies.turns.gone(this);
		this.socket.destroy();
	}

	/** For `ReadTurns`. */
	work(untilMs: number): boolean {
		try {
			return this.#work(untilMs);
		} catch (error) {
			this.#fault(error);
			return false;
		}
	}

	#work(untilMs: number): boolean {
		try {
			do {
				// Small messages are processed faster than the clock is read.
				for (
					let octets = 0;
					octets < octetsBetweenLooks;
					octets += Math.max(leastOctets, this.#cursor.end - this.#cursor.start)
				) {
					if (!this.#cursor.next()) return this.#worked();
					this.#handler.message(this.#cursor.type, this.#cursor.buffer, this.#cursor.start, this.#cursor.end);
					if (this.#closed) return false;
				}
			} while (performance.now() < untilMs);
		} catch (error) {
			if (!(error instanceof PacketError)) throw error;
			this.#handler.headerRejected(error);
			return false;
		}
		if (this.#paused && this.#cursor.queuedBytes < mostQueuedBytes / 4) this.#resume();
		return this.#cursor.drained ? this.#worked() : true;
	}

	#received(chunk: Uint8Array): void {
		this.bytesReceived += chunk.length;
		if (this.#closed) return;
		this.#cursor.push(chunk);
		this.#dependencies.turns.ready(this);
		if (!this.#paused && this.#cursor.queuedBytes > mostQueuedBytes) {
			this.#paused = true;
			this.socket.pause();
		}
	}

	/** All complete messages were delivered. */
	#worked(): false {
		if (this.#paused) this.#resume();
		if (this.#lostReason !== undefined) this.#reportLoss(this.#lostReason);
		return false;
	}

	#resume(): void {
		this.#paused = false;
		this.socket.resume();
	}

	#drained(): void {
		this.drains++;
		if (this.#closed) return;
		try {
			this.#handler.drained();
		} catch (error) {
			this.#fault(error);
		}
	}

	#fault(error: unknown): void {
		this.abort();
		this.#handler.faulted(error);
	}

	#lost(reason: string): void {
		if (this.#closed) return;
		this.#lostReason ??= reason;
		// The queued bytes may contain a NOTIFICATION. Thousands of connections may be lost at
		// once: each waits for its turn.
		this.#dependencies.turns.ready(this);
	}

	#reportLoss(reason: string): void {
		if (this.#closed) return;
		this.#closed = true;
		this.#dependencies.turns.gone(this);
		this.socket.destroy();
		this.#handler.lost(reason);
	}
}

/**
 * Ends our side and continues to read without processing. Unread bytes would turn the close into a
 * reset, which discards the last message sent.
 */
export function lingerAndClose(socket: Socket, { wheel, open }: Pick<ConnectionDependencies, 'wheel' | 'open'>): void {
	// A closed socket emits no second `close`.
	if (socket.closed) return;
	open.add(socket);
	socket.removeAllListeners('data');
	socket.on('error', () => {});
	socket.on('data', () => {});
	socket.resume();
	const patience = wheel.timer(() => socket.destroy());
	patience.arm(lingerMs);
	socket.once('close', () => {
		patience.disarm();
		open.delete(socket);
	});
	socket.end();
}
