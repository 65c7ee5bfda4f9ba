import type { Socket } from 'node:net';
import type { Direction } from '../fsm/collision.ts';
import type { PeerOptions } from '../model/peer-options.ts';
import { Connection, type ConnectionDependencies, type ConnectionHandler } from './connection.ts';
import type { MessageCounters } from './counters.ts';
import { Attempt, type AttemptHandler } from './dial.ts';
import { MessageSender } from './message-sender.ts';
import type { SessionTimers } from './timers.ts';

/** The TCP side of a session: a connection attempt, or a connection with its sender. */
export class Transport {
	readonly sender: MessageSender;
	readonly #dependencies: ConnectionDependencies;
	readonly #handler: ConnectionHandler & AttemptHandler;
	#attempt: Attempt | undefined;
	#connection: Connection | undefined;

	/** `counters` counts what is sent. */
	constructor(
		dependencies: ConnectionDependencies,
		handler: ConnectionHandler & AttemptHandler,
		counters: MessageCounters,
		timers: SessionTimers,
	) {
		this.#dependencies = dependencies;
		this.#handler = handler;
		this.sender = new MessageSender(counters, timers);
	}

	get connection(): Connection | undefined {
		return this.#connection;
	}
	get socket(): Socket | undefined {
		return this.#connection?.socket;
	}
	/** The side that opened the connection; an attempt is outgoing. */
	get direction(): Direction {
		return this.#connection?.direction ?? 'outgoing';
	}
	/** Bytes written but not yet in the kernel. */
	get bufferedBytes(): number {
		return this.#connection?.bufferedBytes ?? 0;
	}

	/** Starts a connection attempt; the handler gets its result. */
	dial(options: PeerOptions, kind: 'internal' | 'external'): void {
		this.#attempt = new Attempt(options, kind, this.#dependencies.wheel, this.#handler);
	}

	/** Takes over an established TCP connection. */
	attach(socket: Socket, direction: Direction): void {
		this.#attempt?.cancel();
		this.#attempt = undefined;
		this.#connection = new Connection(socket, direction, this.#dependencies, this.#handler);
		this.sender.connection = this.#connection;
	}

	/** Cancels an attempt, and closes a connection behind its last message. */
	close(): void {
		this.#attempt?.cancel();
		this.#attempt = undefined;
		this.#connection?.close();
		this.#connection = undefined;
		this.sender.connection = undefined;
	}
}
