import { headerLength, MessageType, readU16 } from 'bgp-packet';
import type { MessageCounts } from '../../core/index.ts';

/** Counts messages by type, and octets, in one direction over all sessions of a peer. */
export class MessageCounters {
	readonly #byType = new Float64Array(6);
	bytes = 0;

	/** One message, or several of one type. */
	count(type: number, octets: number, messages = 1): void {
		this.#byType[type] = (this.#byType[type] ?? 0) + messages;
		this.bytes += octets;
	}

	/** Counts several whole messages in one buffer. */
	countAll(bytes: Uint8Array): void {
		for (let offset = 0; offset + headerLength <= bytes.length; ) {
			const length = readU16(bytes, offset + 16);
			this.count(bytes[offset + 18] ?? 0, length);
			// Our own messages are well-formed; this only keeps the loop finite otherwise.
			offset += Math.max(length, headerLength);
		}
	}

	view(): MessageCounts {
		const of = (type: number): number => this.#byType[type] ?? 0;
		return {
			open: of(MessageType.open),
			update: of(MessageType.update),
			notification: of(MessageType.notification),
			keepalive: of(MessageType.keepalive),
			refresh: of(MessageType.routeRefresh),
			bytes: this.bytes,
		};
	}
}
