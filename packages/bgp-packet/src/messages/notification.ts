import { CeaseSubcode, ErrorCode } from '../constants.ts';
import type { Writer } from '../writer.ts';

/**
 * Why a speaker ends the session. RFC 4271 §4.5. Codes and subcodes that are not known are no
 * error.
 */
export interface NotificationMessage {
	readonly type: 'notification';
	readonly code: number;
	readonly subcode: number;
	readonly data: Uint8Array;
}

/** The body of a NOTIFICATION, of at least 2 bytes. */
export function decodeNotification(bytes: Uint8Array, start: number, end: number): NotificationMessage {
	return {
		type: 'notification',
		code: bytes[start] ?? 0,
		subcode: bytes[start + 1] ?? 0,
		data: new Uint8Array(bytes.subarray(start + 2, end)),
	};
}

/** The body of a NOTIFICATION. */
export function encodeNotification(writer: Writer, { code, subcode, data }: NotificationMessage): void {
	writer.u8(code);
	writer.u8(subcode);
	writer.bytes(data);
}

/** A NOTIFICATION from its parts, or from a `PacketError`. */
export function notificationMessage({
	code,
	subcode,
	data,
}: {
	readonly code: number;
	readonly subcode: number;
	readonly data?: Uint8Array;
}): NotificationMessage {
	return { type: 'notification', code, subcode, data: data ?? new Uint8Array(0) };
}

/**
 * The text that came with an administrative shutdown or reset, or the bytes where they are none.
 */
export type ShutdownText =
	| { readonly type: 'text'; readonly text: string }
	| { readonly type: 'invalid'; readonly bytes: Uint8Array };

/**
 * The operator's text in the data of Cease 2 or 4; `undefined` where there is none, `invalid` where
 * the length does not fit or the bytes are no UTF-8, which is to be shown in hex and has no other
 * effect. RFC 9003 §2, §3.
 */
export function shutdownText({ code, subcode, data }: NotificationMessage): ShutdownText | undefined {
	const mayHaveText =
		code === ErrorCode.cease &&
		(subcode === CeaseSubcode.administrativeShutdown || subcode === CeaseSubcode.administrativeReset);
	if (!mayHaveText || data.length === 0) return undefined;
	// Bytes behind the text are not spoken of; some speakers pad.
	if (1 + (data[0] ?? 0) > data.length) return { type: 'invalid', bytes: data };
	try {
		return {
			type: 'text',
			text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data.subarray(1, 1 + (data[0] ?? 0))),
		};
	} catch {
		return { type: 'invalid', bytes: data };
	}
}

/**
 * The data of Cease 2 or 4 with a text, cut at a character so that it has at most `maximumBytes`
 * (128 for speakers of RFC 8203). RFC 9003 §2.
 */
export function encodeShutdownText(text: string, maximumBytes = 255): Uint8Array {
	const bytes = new Uint8Array(Math.min(maximumBytes, 255));
	const { written } = new TextEncoder().encodeInto(text, bytes);
	return Uint8Array.of(written, ...bytes.subarray(0, written));
}

/**
 * Text from a peer, made harmless for logs and terminals: control, format and separator characters
 * become `\u{...}`. RFC 9003 §4.
 */
export function escapeText(text: string): string {
	return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}\p{Cn}\\]/gu, (character) =>
		character === '\\' ? '\\\\' : `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
	);
}

/** A Cease 9 that encapsulates the real reason. RFC 8538 §3. Only for a peer that set the N bit. */
export function hardReset({ code, subcode, data }: NotificationMessage): NotificationMessage {
	return {
		type: 'notification',
		code: ErrorCode.cease,
		subcode: CeaseSubcode.hardReset,
		data: Uint8Array.of(code, subcode, ...data),
	};
}

/**
 * The reason inside a Cease 9; `undefined` for another NOTIFICATION or an empty one. RFC 8538 §3.
 */
export function hardResetReason({ code, subcode, data }: NotificationMessage): NotificationMessage | undefined {
	if (code !== ErrorCode.cease || subcode !== CeaseSubcode.hardReset || data.length < 2) return undefined;
	return decodeNotification(data, 0, data.length);
}

/** What the data of Cease 1 may say. RFC 4486 §4. */
export interface MaximumPrefixes {
	readonly afi: number;
	readonly safi: number;
	readonly limit: number;
}

/** The data of Cease 1. RFC 4486 §4. */
export function encodeMaximumPrefixes({ afi, safi, limit }: MaximumPrefixes): Uint8Array {
	return Uint8Array.of(afi >>> 8, afi, safi, limit >>> 24, limit >>> 16, limit >>> 8, limit);
}

/** The limit in a Cease 1; `undefined` where it is not given. RFC 4486 §4. */
export function maximumPrefixes({ code, subcode, data }: NotificationMessage): MaximumPrefixes | undefined {
	if (code !== ErrorCode.cease || subcode !== CeaseSubcode.maximumPrefixesReached || data.length !== 7)
		return undefined;
	const view = new DataView(data.buffer, data.byteOffset, data.length);
	return { afi: view.getUint16(0), safi: view.getUint8(2), limit: view.getUint32(3) };
}
