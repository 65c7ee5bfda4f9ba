import {
	HeaderSubcode,
	headerLength,
	MessageType,
	maximumExtendedMessageLength,
	maximumMessageLength,
} from './constants.ts';
import type { PacketContext } from './context.ts';
import { MessageTooLongError, PacketError } from './errors.ts';
import { checkHeader } from './header.ts';
import type { KeepaliveMessage } from './messages/keepalive.ts';
import { decodeNotification, encodeNotification, type NotificationMessage } from './messages/notification.ts';
import { decodeOpen, encodeOpen, type OpenMessage } from './messages/open.ts';
import { decodeRouteRefresh, encodeRouteRefresh, type RouteRefreshMessage } from './messages/route-refresh.ts';
import { decodeUpdate, encodeUpdate, type UpdateMessage } from './messages/update.ts';
import { Writer } from './writer.ts';

/** Any BGP message. */
export type Message = OpenMessage | UpdateMessage | NotificationMessage | KeepaliveMessage | RouteRefreshMessage;

/**
 * One whole message, header included. @throws PacketError, and nothing else for any bytes; lesser
 * problems of an UPDATE are in it (RFC 7606)
 */
export function decodeMessage(frame: Uint8Array, context: PacketContext): Message {
	const end = frame.length;
	const announced =
		end < headerLength
			? -1
			: checkHeader(frame, 0, context.extendedMessage ? maximumExtendedMessageLength : maximumMessageLength);
	if (announced !== end) {
		const data = frame.slice(16, 18);
		throw new PacketError(
			'messageHeader',
			HeaderSubcode.badMessageLength,
			`${end} bytes where the header announces ${announced}`,
			{ data },
		);
	}
	switch (frame[18]) {
		case MessageType.open:
			return decodeOpen(frame, headerLength, end);
		case MessageType.update:
			return decodeUpdate(frame, 0, end, context);
		case MessageType.notification:
			return decodeNotification(frame, headerLength, end);
		case MessageType.routeRefresh:
			return decodeRouteRefresh(frame, 0, end, context);
		default:
			// `checkHeader` let no other type pass.
			return { type: 'keepalive' };
	}
}

const typeNumbers: Readonly<Record<Message['type'], number>> = {
	open: MessageType.open,
	update: MessageType.update,
	notification: MessageType.notification,
	keepalive: MessageType.keepalive,
	'route-refresh': MessageType.routeRefresh,
};

/**
 * The bytes of a message, header included. @throws MessageTooLongError where the peer does not
 * accept so many (RFC 8654 §4)
 */
export function encodeMessage(message: Message, context: PacketContext): Uint8Array {
	const writer = new Writer(maximumMessageLength);
	for (let index = 0; index < 16; index++) writer.u8(0xff);
	writer.u16(0);
	writer.u8(typeNumbers[message.type]);
	encodeBody(writer, message, context);
	const isShort = message.type === 'open' || !context.extendedMessage;
	const maximum = isShort ? maximumMessageLength : maximumExtendedMessageLength;
	if (writer.length > maximum) throw new MessageTooLongError(writer.length, maximum);
	writer.patchU16(16, writer.length);
	return writer.finish();
}

function encodeBody(writer: Writer, message: Message, context: PacketContext): void {
	switch (message.type) {
		case 'open':
			encodeOpen(writer, message);
			break;
		case 'update':
			encodeUpdate(writer, message, context);
			break;
		case 'notification':
			encodeNotification(writer, message);
			break;
		case 'route-refresh':
			encodeRouteRefresh(writer, message);
			break;
		case 'keepalive':
			break;
		default:
			message satisfies never;
	}
}
