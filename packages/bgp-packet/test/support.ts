import {
	decodeMessage,
	type Message,
	type PacketContext,
	PacketError,
	packetContext,
	strongestRemedy,
} from '../src/index.ts';

/** Bytes written in hex; white space and `# comments` are skipped. */
export function bytes(hex: string): Uint8Array {
	const digits = hex.replace(/#.*$/gm, '').replace(/\s+/g, '');
	if (!/^([0-9a-f]{2})*$/i.test(digits)) throw new Error(`not hex: ${hex}`);
	return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** Bytes as hex digits. */
export function hex(value: Uint8Array): string {
	return Buffer.from(value).toString('hex');
}

/** A message from its type and body: the header is put before it. */
export function frame(type: number, body: string | Uint8Array): Uint8Array {
	const content = typeof body === 'string' ? bytes(body) : body;
	const length = content.length + 19;
	return Uint8Array.of(...Array.from({ length: 16 }, () => 0xff), length >>> 8, length, type, ...content);
}

/** An UPDATE from the hex of its three fields; the lengths are put before them. */
export function update({
	withdrawn = '',
	attributes = '',
	nlri = '',
}: {
	withdrawn?: string;
	attributes?: string;
	nlri?: string;
}): Uint8Array {
	const [gone, block, come] = [bytes(withdrawn), bytes(attributes), bytes(nlri)];
	return frame(
		2,
		Uint8Array.of(gone.length >>> 8, gone.length, ...gone, block.length >>> 8, block.length, ...block, ...come),
	);
}

/** What a frame deserves: a message, or the error as `code/subcode` with its data in hex. Anything else that is thrown comes through. */
export function verdict(
	wire: Uint8Array,
	context: PacketContext = packetContext(),
): Message | { readonly error: string; readonly data: string } {
	try {
		return decodeMessage(wire, context);
	} catch (error) {
		if (!(error instanceof PacketError)) throw error;
		return { error: `${error.code}/${error.subcode}`, data: hex(error.data) };
	}
}

/** The remedy of an UPDATE: the strongest of its problems, `none`, or the NOTIFICATION as `code/subcode`. */
export function remedyOf(wire: Uint8Array, context: PacketContext = packetContext()): string {
	const result = verdict(wire, context);
	if ('error' in result) return result.error;
	return result.type === 'update' ? (strongestRemedy(result.problems) ?? 'none') : 'none';
}

/** Well-formed pieces of an UPDATE, in hex. */
export const pieces = {
	origin: '40 01 01 00',
	asPath: '40 02 06 02 01 0000fde8',
	nextHop: '40 03 04 0a000001',
	nlri: '18 0a0102',
};

/** What every UPDATE with NLRI needs. */
export const mandatory = `${pieces.origin} ${pieces.asPath} ${pieces.nextHop}`;
