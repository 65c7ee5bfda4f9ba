/** A message that is truncated or malformed. */
export class ProtobufError extends Error {
	override readonly name = 'ProtobufError';
}

/** A field: its number and its wire value. */
export type Field =
	| { readonly number: number; readonly type: 'integer'; readonly value: bigint }
	| { readonly number: number; readonly type: 'bytes'; readonly value: Uint8Array };

/**
 * The fields of a message in order. Fixed-width fields are bytes, least significant first. @throws
 * ProtobufError
 */
export function* fieldsOf(bytes: Uint8Array): Generator<Field> {
	let position = 0;
	const integer = (): bigint => {
		let value = 0n;
		for (let shift = 0n; shift < 70n; shift += 7n) {
			const byte = bytes[position++];
			if (byte === undefined) throw new ProtobufError('an integer is cut off');
			value |= BigInt(byte & 0x7f) << shift;
			if (byte < 0x80) return BigInt.asUintN(64, value);
		}
		throw new ProtobufError('an integer is too long');
	};
	const take = (length: number): Uint8Array => {
		if (position + length > bytes.length) throw new ProtobufError('a field is cut off');
		position += length;
		return bytes.subarray(position - length, position);
	};
	while (position < bytes.length) {
		const tag = Number(integer());
		const number = Math.floor(tag / 8);
		switch (tag % 8) {
			case 0:
				yield { number, type: 'integer', value: integer() };
				break;
			case 1:
				yield { number, type: 'bytes', value: take(8) };
				break;
			case 2:
				yield { number, type: 'bytes', value: take(Number(integer())) };
				break;
			case 5:
				yield { number, type: 'bytes', value: take(4) };
				break;
			default:
				throw new ProtobufError(`wire type ${tag % 8} is not used`);
		}
	}
}
