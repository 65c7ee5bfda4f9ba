import { ErrorAttribute, headerLength, MessageFlag } from './constants.ts';
import { aligned, littleEndian } from './writer.ts';

/** Bytes that are not a netlink message. */
export class NetlinkFormatError extends Error {
	override readonly name = 'NetlinkFormatError';
}

/** One message in a buffer: its header, and the position of its body. Valid during the call. */
export interface Message {
	readonly type: number;
	readonly flags: number;
	readonly sequence: number;
	readonly portId: number;
	/** The buffer of all messages. */
	readonly view: DataView;
	readonly bodyStart: number;
	readonly bodyEnd: number;
}

/** The position of an attribute's value in the message's buffer. */
export type AttributeVisitor = (type: number, start: number, end: number) => void;

/** The messages of one datagram. @throws NetlinkFormatError for an impossible length */
export function eachMessage(bytes: Uint8Array, visit: (message: Message) => void): void {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
	let offset = 0;
	while (offset + headerLength <= bytes.length) {
		const length = view.getUint32(offset, littleEndian);
		if (length < headerLength || offset + length > bytes.length)
			throw new NetlinkFormatError(`a message of ${length} bytes where ${bytes.length - offset} are left`);
		visit({
			type: view.getUint16(offset + 4, littleEndian),
			flags: view.getUint16(offset + 6, littleEndian),
			sequence: view.getUint32(offset + 8, littleEndian),
			portId: view.getUint32(offset + 12, littleEndian),
			view,
			bodyStart: offset + headerLength,
			bodyEnd: offset + length,
		});
		offset += aligned(length);
	}
}

/**
 * The attributes between two offsets; flag bits of their types are cleared. @throws
 * NetlinkFormatError for an impossible length
 */
export function eachAttribute(view: DataView, start: number, end: number, visit: AttributeVisitor): void {
	let offset = start;
	while (offset + 4 <= end) {
		const length = view.getUint16(offset, littleEndian);
		if (length < 4 || offset + length > end)
			throw new NetlinkFormatError(`an attribute of ${length} bytes where ${end - offset} are left`);
		visit(view.getUint16(offset + 2, littleEndian) & 0x3fff, offset + 4, offset + length);
		offset += aligned(length);
	}
}

/** A copy of the bytes between two offsets. */
export function copyBytes(view: DataView, start: number, end: number): Uint8Array {
	return new Uint8Array(view.buffer, view.byteOffset + start, end - start).slice();
}

/** A 32-bit value. @throws NetlinkFormatError if it is shorter */
export function readU32(view: DataView, start: number, end: number): number {
	if (end - start < 4) throw new NetlinkFormatError(`a number of ${end - start} bytes`);
	return view.getUint32(start, littleEndian);
}

/** A text up to its zero byte. */
export function readText(view: DataView, start: number, end: number): string {
	const bytes = new Uint8Array(view.buffer, view.byteOffset + start, end - start);
	const zero = bytes.indexOf(0);
	return Buffer.from(bytes.subarray(0, zero < 0 ? bytes.length : zero)).toString();
}

/**
 * The fixed part of a body, before its attributes. @throws NetlinkFormatError if the body is
 * shorter
 */
export function requireBody({ bodyStart, bodyEnd }: Message, length: number): void {
	if (bodyEnd - bodyStart < length)
		throw new NetlinkFormatError(`a body of ${bodyEnd - bodyStart} bytes where ${length} are the least`);
}

/** The kernel's response to one request. */
export interface Acknowledgement {
	/** 0: done. */
	readonly errno: number;
	/** The kernel's message, if there is one; `''` otherwise. */
	readonly sentence: string;
	/**
	 * The position of the refused attribute in the request, from the message's header on, if the
	 * kernel reports it.
	 */
	readonly attributeOffset?: number;
}

/** Decodes an NLMSG_ERROR, which also reports success. @throws NetlinkFormatError */
export function decodeAcknowledgement(message: Message): Acknowledgement {
	const { view, flags, bodyStart, bodyEnd } = message;
	requireBody(message, 4);
	const errno = Math.abs(view.getInt32(bodyStart, littleEndian));
	let sentence = '';
	let attributeOffset: number | undefined;
	if ((flags & MessageFlag.ackTlvs) !== 0) {
		requireBody(message, 4 + headerLength);
		const quoted = view.getUint32(bodyStart + 4, littleEndian);
		// The request's body is quoted only with an error and without `capped`.
		const quotedLength = errno === 0 || (flags & MessageFlag.capped) !== 0 ? headerLength : quoted;
		if (quotedLength < headerLength || bodyStart + 4 + quotedLength > bodyEnd)
			throw new NetlinkFormatError(`an answer that quotes ${quoted} bytes`);
		const tlvs = bodyStart + 4 + aligned(quotedLength);
		eachAttribute(view, tlvs, bodyEnd, (type, start, end) => {
			if (type === ErrorAttribute.message) sentence = readText(view, start, end);
			else if (type === ErrorAttribute.offset) attributeOffset = readU32(view, start, end);
		});
	}
	return attributeOffset === undefined ? { errno, sentence } : { errno, sentence, attributeOffset };
}
