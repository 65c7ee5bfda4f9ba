import { errnoName } from '../libc.ts';
import { AddressFamily, MessageFlag, MessageType } from '../netlink/constants.ts';
import { NetlinkEvents } from '../netlink/events.ts';
import {
	copyBytes,
	decodeAcknowledgement,
	eachAttribute,
	type Message,
	readText,
	requireBody,
} from '../netlink/reader.ts';
import { NetlinkProtocol } from '../netlink/socket.ts';
import { MessageWriter } from '../netlink/writer.ts';
import {
	genericLength,
	LogAttribute,
	LogCommand,
	LogConfigAttribute,
	LogMessage,
	messageType,
	Subsystem,
} from './constants.ts';
import { readBe32, writeGenericHeader } from './elements.ts';

/** A packet that a rule logged with `log group N`. */
export interface LoggedPacket {
	/** The rule's `prefix`. */
	readonly prefix: string;
	/** Indexes of interfaces; 0 if there is none. */
	readonly inInterface: number;
	readonly outInterface: number;
	readonly mark: number;
	/** The packet from its IP header on, truncated at `snapBytes`. */
	readonly bytes: Uint8Array;
}

export interface PacketLogOptions {
	/** Number of the nflog group, 0 to 65535. One reader each. */
	readonly group: number;
	/** Bytes of a packet that are copied. */
	readonly snapBytes?: number;
	/** Maximum number of packets passed on in one second; the others are counted. */
	readonly mostPerSecond?: number;
	readonly onPacket: (packet: LoggedPacket) => void;
	/** Number of packets that were not passed on since the last call. */
	readonly onSuppressed?: (count: number) => void;
	/** The kernel refused the group (another reader has it: EBUSY), or messages were lost. */
	readonly onTrouble?: (reason: string) => void;
	/** Monotonic milliseconds. */
	readonly nowMs: () => number;
}

/**
 * Reads the packets that rules send to one nflog group of the namespace in which this was created.
 */
export class PacketLog {
	readonly #options: PacketLogOptions;
	readonly #events: NetlinkEvents;
	#windowStartMs = 0;
	#inWindow = 0;
	#suppressed = 0;

	/** @throws SystemCallError */
	constructor(options: PacketLogOptions) {
		this.#options = options;
		this.#events = new NetlinkEvents({
			protocol: NetlinkProtocol.netfilter,
			groups: [],
			ignorePortId: undefined,
			greeting: bindMessages(options.group, options.snapBytes ?? 128),
			onMessage: (message) => this.#read(message),
			onLoss: (reason) => options.onTrouble?.(reason),
		});
	}

	close(): void {
		this.#events.close();
	}

	#read(message: Message): void {
		if (message.type === MessageType.error) {
			const { errno } = decodeAcknowledgement(message);
			if (errno !== 0) this.#options.onTrouble?.(`nflog group ${this.#options.group}: ${errnoName(errno)}`);
			return;
		}
		if (message.type !== messageType(Subsystem.log, LogMessage.packet)) return;
		const now = this.#options.nowMs();
		if (now - this.#windowStartMs >= 1000) {
			if (this.#suppressed > 0) this.#options.onSuppressed?.(this.#suppressed);
			this.#suppressed = 0;
			this.#windowStartMs = now;
			this.#inWindow = 0;
		}
		if (this.#inWindow >= (this.#options.mostPerSecond ?? 1000)) {
			this.#suppressed += 1;
			return;
		}
		this.#inWindow += 1;
		this.#options.onPacket(decodeLoggedPacket(message));
	}
}

/** NFULNL_MSG_CONFIG: bind the group, copy packets, send them one by one. */
function bindMessages(group: number, snapBytes: number): Uint8Array {
	const writer = new MessageWriter(256);
	const config = (sequence: number, body: () => void) => {
		writer.begin(messageType(Subsystem.log, LogMessage.config), MessageFlag.request | MessageFlag.ack, sequence);
		writeGenericHeader(writer, AddressFamily.unspecified, group);
		body();
		writer.end();
	};
	config(1, () => writer.attribute(LogConfigAttribute.command, Uint8Array.of(LogCommand.bind)));
	config(2, () => {
		const mode = new Uint8Array(6);
		new DataView(mode.buffer).setUint32(0, snapBytes, false);
		// NFULNL_COPY_PACKET
		mode[4] = 2;
		writer.attribute(LogConfigAttribute.mode, mode);
		// Hundredths of a second until an incomplete message is sent.
		writer.attributeBe32(LogConfigAttribute.timeout, 10);
	});
	return writer.bytes.slice();
}

/** Decodes NFULNL_MSG_PACKET. @throws NetlinkFormatError */
export function decodeLoggedPacket(message: Message): LoggedPacket {
	requireBody(message, genericLength);
	const { view, bodyStart, bodyEnd } = message;
	const packet: { -readonly [Key in keyof LoggedPacket]: LoggedPacket[Key] } = {
		prefix: '',
		inInterface: 0,
		outInterface: 0,
		mark: 0,
		bytes: new Uint8Array(0),
	};
	eachAttribute(view, bodyStart + genericLength, bodyEnd, (type, start, end) => {
		if (type === LogAttribute.prefix) packet.prefix = readText(view, start, end);
		else if (type === LogAttribute.inInterface) packet.inInterface = readBe32(view, start, end);
		else if (type === LogAttribute.outInterface) packet.outInterface = readBe32(view, start, end);
		else if (type === LogAttribute.mark) packet.mark = readBe32(view, start, end);
		else if (type === LogAttribute.payload) packet.bytes = copyBytes(view, start, end);
	});
	return packet;
}
