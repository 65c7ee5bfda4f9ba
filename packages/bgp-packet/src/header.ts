import { HeaderSubcode, headerLength, MessageType, maximumMessageLength } from './constants.ts';
import { PacketError } from './errors.ts';
import { readU16 } from './reader.ts';

/**
 * The shortest message of each type. RFC 4271 §6.1. A short ROUTE-REFRESH is judged by its own rule
 * (RFC 7313 §5).
 */
const shortest: Readonly<Record<number, number>> = {
	[MessageType.open]: 29,
	[MessageType.update]: 23,
	[MessageType.notification]: 21,
	[MessageType.keepalive]: headerLength,
	[MessageType.routeRefresh]: headerLength,
};

/**
 * The length of the message whose header starts at `start`; 19 bytes are there.
 * @throws PacketError 1/x (RFC 4271 §6.1)
 */
export function checkHeader(bytes: Uint8Array, start: number, maximumLength: number): number {
	for (let index = start; index < start + 16; index++) {
		if (bytes[index] !== 0xff)
			throw new PacketError('messageHeader', HeaderSubcode.connectionNotSynchronized, 'the marker is not all ones');
	}
	const length = readU16(bytes, start + 16);
	if (length < headerLength || length > maximumLength) throw badLength(length);
	const type = bytes[start + 18] ?? 0;
	const least = shortest[type];
	if (least === undefined) {
		throw new PacketError('messageHeader', HeaderSubcode.badMessageType, `message type ${type}`, {
			data: Uint8Array.of(type),
		});
	}
	if (length < least) throw badLength(length);
	if (type === MessageType.keepalive && length !== headerLength) throw badLength(length);
	// RFC 8654 §4: never longer, for any negotiated length.
	if (type === MessageType.open && length > maximumMessageLength) throw badLength(length);
	return length;
}

function badLength(length: number): PacketError {
	return new PacketError('messageHeader', HeaderSubcode.badMessageLength, `message length ${length}`, {
		data: Uint8Array.of(length >>> 8, length),
	});
}
