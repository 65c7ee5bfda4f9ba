import type { Reader } from '../reader.ts';
import type { Writer } from '../writer.ts';

/** A capability whose type is its name. */
export interface TypedCapability<Type extends string> {
	readonly type: Type;
}

/** Everything about one capability. */
export interface CapabilityCodec<Type extends string, Value extends TypedCapability<Type>> {
	readonly type: Type;
	readonly code: number;
	/** The value, of which every byte must be read. @throws PacketError 2/0 */
	decode(reader: Reader): Value;
	encode(writer: Writer, capability: Value): void;
}
