import { headerLength, UpdateSubcode } from './constants.ts';
import { PacketError } from './errors.ts';
import { readU16 } from './reader.ts';

/** Where the three fields of an UPDATE are. One object serves any number of messages. */
export class UpdateSpans {
	withdrawnStart = 0;
	withdrawnEnd = 0;
	attributesStart = 0;
	attributesEnd = 0;
	nlriStart = 0;
	nlriEnd = 0;
}

/**
 * Writes the offsets of withdrawn routes, attribute block and NLRI of the UPDATE at `[start, end)`,
 * header included. Looks at no prefix and no attribute, allocates nothing. RFC 4271 §4.3. @throws
 * PacketError 3/1 where the lengths disagree (RFC 7606 §3 (b)).
 */
export function scanUpdate(buffer: Uint8Array, start: number, end: number, spans: UpdateSpans): void {
	const withdrawnStart = start + headerLength + 2;
	const withdrawnEnd = withdrawnStart + readU16(buffer, start + headerLength);
	if (withdrawnStart + 2 > end || withdrawnEnd + 2 > end) throw badLengths('Withdrawn Routes run over the UPDATE');
	const attributesEnd = withdrawnEnd + 2 + readU16(buffer, withdrawnEnd);
	if (attributesEnd > end) throw badLengths('path attributes run over the UPDATE');
	spans.withdrawnStart = withdrawnStart;
	spans.withdrawnEnd = withdrawnEnd;
	spans.attributesStart = withdrawnEnd + 2;
	spans.attributesEnd = attributesEnd;
	spans.nlriStart = attributesEnd;
	spans.nlriEnd = end;
}

function badLengths(message: string): PacketError {
	return new PacketError('updateMessage', UpdateSubcode.malformedAttributeList, message);
}
