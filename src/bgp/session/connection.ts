import type { Socket } from 'node:net';
import { PacketError } from 'bgp-packet';
import type { Direction } from '../fsm/collision.ts';
import { MessageCursor } from './message-cursor.ts';
import type { Reader, ReadTurns } from './read-turns.ts';
import type { TimerWheel } from './timer-wheel.ts';

/** Above this, no more is read from the socket until most of it was worked through. */
const mostQueuedBytes = 256 * 1024;
const lingerMs = 1000;
/** What is worked through between two looks at the clock: well below a millisecond. */
const octetsBetweenLooks = 4096;
/** What even the smallest message counts for: there is work in it beside its octets. */
const leastOctets = 128;

/** What may wait in a socket before `write` says so: some of the RIB's largest pieces. */
export const writeAheadBytes = 256 * 1024;

/** Who is told what arrives. */
export interface ConnectionHandler {
	/** One whole message at `[start, end)`, valid during the call. */
	message(type: number, buffer: Uint8Array, start: number, end: number): void;
	/** A header that can't be; nothing comes after it. */
	headerRejected(error: PacketError): void;
	/** TCP is gone and everything that had arrived was handed over. */
	lost(reason: string): void;
	/** What was written is with the kernel again. */
	drained(): void;
}

/** What connections share. */
export interface ConnectionSurroundings {
	readonly wheel: TimerWheel;
	readonly turns: ReadTurns;
	/** Sockets that are open, also those that only finish sending. */
	readonly open: Set<Socket>;
}

/** A TCP connection that carries messages; the socket must allow half-open, so that nothing is closed out of turn. It decides nothing: it frames, queues, and closes in an orderly way. */
export class Connection implements Reader {
	readonly socket: Socket;
	readonly direction: Direction;
	readonly #surroundings: ConnectionSurroundings;
	readonly #handler: ConnectionHandler;
	readonly #cursor = new MessageCursor();
	#closed = false;
	#paused = false;
	#lostReason: string | undefined;
	bytesReceived = 0;
	bytesSent = 0;
	/** Counts times that everything written had reached the kernel. */
	drains = 0;

	constructor(socket: Socket, direction: Direction, surroundings: ConnectionSurroundings, handler: ConnectionHandler) {
		this.socket = socket;
		this.direction = direction;
		this.#surroundings = surroundings;
		this.#handler = handler;
		surroundings.open.add(socket);
		socket.setNoDelay(true);
		socket.on('data', (chunk: Uint8Array) => this.#received(chunk));
		socket.on('drain', () => this.#drained());
		socket.on('end', () => this.#lost('closed by the peer'));
		socket.on('error', (error: NodeJS.ErrnoException) => this.#lost(error.code ?? error.message));
		socket.on('close', () => {
			surroundings.open.delete(socket);
			this.#lost('closed');
		});
		socket.resume();
	}

	/** Octets that were written and are not with the kernel. */
	get bufferedBytes(): number {
		return this.socket.writableLength;
	}

	/** Is something that arrived still waiting for its turn? */
	get busy(): boolean {
		return this.#paused || !this.#cursor.drained;
	}

	/** The longest message that is accepted from now on (RFC 8654 §4). */
	set maximumLength(octets: number) {
		this.#cursor.maximumLength = octets;
	}

	/** `false`: wait for `drained`. */
	write(bytes: Uint8Array): boolean {
		if (this.#closed) return true;
		this.bytesSent += bytes.length;
		return this.socket.write(bytes);
	}

	/** Sends what was written, then closes; what still arrives is thrown away. The peer gets a second for it. */
	close(): void {
		if (this.#closed) return;
		this.#closed = true;
		this.#surroundings.turns.gone(this);
		lingerAndClose(this.socket, this.#surroundings);
	}

	/** Closes without a word. */
	abort(): void {
		if (this.#closed) return;
		this.#closed = true;
		this.#surroundings.turns.gone(this);
		this.socket.destroy();
	}

	/** For `ReadTurns`. */
	work(untilMs: number): boolean {
		try {
			do {
				// Small messages are done faster than the clock is read.
				for (let octets = 0; octets < octetsBetweenLooks; octets += Math.max(leastOctets, this.#cursor.end - this.#cursor.start)) {
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
		this.#surroundings.turns.ready(this);
		if (!this.#paused && this.#cursor.queuedBytes > mostQueuedBytes) {
			this.#paused = true;
			this.socket.pause();
		}
	}

	/** Everything whole was handed over. */
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
		if (!this.#closed) this.#handler.drained();
	}

	#lost(reason: string): void {
		if (this.#closed) return;
		this.#lostReason ??= reason;
		// A NOTIFICATION may be in what is still queued. And thousands may be lost at once: each takes its turn.
		this.#surroundings.turns.ready(this);
	}

	#reportLoss(reason: string): void {
		if (this.#closed) return;
		this.#closed = true;
		this.#surroundings.turns.gone(this);
		this.socket.destroy();
		this.#handler.lost(reason);
	}
}

/** Ends our side and reads on without looking, so that unread bytes don't turn the close into a reset that destroys what we sent last. */
export function lingerAndClose(socket: Socket, { wheel, open }: Pick<ConnectionSurroundings, 'wheel' | 'open'>): void {
	// What is closed already says so no second time.
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
