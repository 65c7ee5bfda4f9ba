import {
	encodeMessage,
	headerLength,
	type Message,
	MessageType,
	maximumExtendedMessageLength,
	maximumMessageLength,
	type NotificationMessage,
	type OpenMessage,
	packetContext,
	routeRefreshMessage,
} from 'bgp-packet';
import { afiSafi } from '../fsm/capabilities.ts';
import type { Negotiated } from '../model/negotiated.ts';
import type { Connection } from './connection.ts';
import type { MessageCounters } from './counters.ts';
import type { SessionTimers } from './timers.ts';

const context = packetContext();
const extendedContext = packetContext({ extendedMessage: true });
const keepalive = encodeMessage({ type: 'keepalive' }, context);

/**
 * Writes a session's messages to its connection, counts them, and monitors their progress (RFC
 * 9687).
 */
export class MessageSender {
	readonly #counters: MessageCounters;
	readonly #timers: SessionTimers;
	/** `undefined`: messages are discarded. */
	connection: Connection | undefined;
	/** The connection's drains when the send hold timer was armed. */
	#drainsBefore = 0;

	constructor(counters: MessageCounters, timers: SessionTimers) {
		this.#counters = counters;
		this.#timers = timers;
	}

	open(message: OpenMessage): void {
		// RFC 8654 §4: the sender of the capability accepts long messages.
		const extended = message.capabilities.some(({ type }) => type === 'extended-message');
		if (this.connection !== undefined)
			this.connection.maximumLength = extended ? maximumExtendedMessageLength : maximumMessageLength;
		this.#message(message, MessageType.open);
	}

	keepalive(): void {
		this.#bytes(keepalive, MessageType.keepalive);
	}

	/**
	 * `extended`: the peer accepts long messages. The data, possibly a whole message of the peer,
	 * are cut to the available size.
	 */
	notification(message: NotificationMessage, extended: boolean): void {
		const most = (extended ? maximumExtendedMessageLength : maximumMessageLength) - headerLength - 2;
		this.#message({ ...message, data: message.data.subarray(0, most) }, MessageType.notification, extended);
	}

	/** Requests the routes of every family. */
	refresh({ families }: Negotiated): void {
		for (const { family } of families) {
			const { afi, safi } = afiSafi(family);
			this.#message(routeRefreshMessage(afi, safi), MessageType.routeRefresh);
		}
	}

	/** Writes whole messages of the RIB. */
	whole(bytes: Uint8Array): boolean {
		if (this.connection === undefined) return true;
		this.#counters.countAll(bytes);
		return this.#transmit(this.connection, bytes);
	}

	/**
	 * The send hold timer fired: true if no bytes were sent since it was armed; otherwise it is
	 * armed again.
	 */
	stalled(): boolean {
		const { connection } = this;
		if (connection === undefined || connection.bufferedBytes === 0) return false;
		if (connection.drains === this.#drainsBefore) return true;
		this.#watch(connection);
		return false;
	}

	#message(message: Message, type: number, extended = false): void {
		this.#bytes(encodeMessage(message, extended ? extendedContext : context), type);
	}

	#bytes(bytes: Uint8Array, type: number): void {
		if (this.connection === undefined) return;
		this.#counters.count(type, bytes.length);
		this.#transmit(this.connection, bytes);
	}

	#transmit(connection: Connection, bytes: Uint8Array): boolean {
		const more = connection.write(bytes);
		if (connection.bufferedBytes > 0 && !this.#timers.sendHold.armed) this.#watch(connection);
		return more;
	}

	#watch(connection: Connection): void {
		this.#drainsBefore = connection.drains;
		this.#timers.armSendHold();
	}
}
