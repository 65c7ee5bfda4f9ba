import { type CodeName, ErrorCode, OpenSubcode } from './constants.ts';

/** RFC 7606 §2, weakest first. A single family is never disabled. */
export type Remedy = 'attribute-discard' | 'treat-as-withdraw' | 'session-reset';

/** The remedies as numbers, by which they compare: 0 is none. */
export const remedyLevels: Readonly<Record<Remedy, 1 | 2 | 3>> = {
	'attribute-discard': 1,
	'treat-as-withdraw': 2,
	'session-reset': 3,
};

/** A message that breaks the protocol, with the NOTIFICATION it deserves (RFC 4271 §4.5). */
export class PacketError extends Error {
	override readonly name = 'PacketError';
	readonly code: number;
	readonly subcode: number;
	readonly data: Uint8Array;
	readonly remedy: Remedy;

	constructor(code: CodeName, subcode: number, message: string, options: { data?: Uint8Array; remedy?: Remedy } = {}) {
		super(message);
		this.code = ErrorCode[code];
		this.subcode = subcode;
		this.data = options.data ?? new Uint8Array(0);
		this.remedy = options.remedy ?? 'session-reset';
	}
}

/**
 * A message that cannot be sent: it would be longer than the peer accepts (RFC 8654 §4). Nothing is
 * ever truncated.
 */
export class MessageTooLongError extends Error {
	override readonly name = 'MessageTooLongError';
	readonly lengthBytes: number;
	readonly maximumBytes: number;

	constructor(lengthBytes: number, maximumBytes: number) {
		super(`a message of ${lengthBytes} bytes exceeds ${maximumBytes}`);
		this.lengthBytes = lengthBytes;
		this.maximumBytes = maximumBytes;
	}
}

/** The strongest remedy among problems, `undefined` without any. RFC 7606 §3 (h). */
export function strongestRemedy(problems: readonly PacketError[]): Remedy | undefined {
	let strongest: Remedy | undefined;
	for (const { remedy } of problems) {
		if (strongest === undefined || remedyLevels[remedy] > remedyLevels[strongest]) strongest = remedy;
	}
	return strongest;
}

/** OPEN optional parameter that is recognized and malformed: 2/0. RFC 4271 §6.2, RFC 5492 §5. */
export function malformedOpen(message: string): PacketError {
	return new PacketError('openMessage', OpenSubcode.unspecific, message);
}
