import { UpdateSubcode } from '../constants.ts';
import type { PacketContext } from '../context.ts';
import type { Remedy } from '../errors.ts';
import type { Reader } from '../reader.ts';
import type { Writer } from '../writer.ts';

/**
 * What can be wrong with an attribute. Faults are constants, so that finding one allocates nothing.
 */
export interface Fault {
	readonly remedy: Remedy;
	/** Of UPDATE Message Error. RFC 4271 §6.3. */
	readonly subcode: number;
	readonly text: string;
}

/** An attribute that certain peers must not send. */
export interface Refusal {
	readonly sender: 'external' | 'four-octet-as';
	readonly fault: Fault;
}

/** Everything about one path attribute. */
export interface AttributeCodec<Name extends string, Value> {
	/** Its field in `PathAttributes`. */
	readonly name: Name;
	readonly code: number;
	/** The Optional and Transitive bits as specified. */
	readonly flags: number;
	/** Remedy for other bits; treat-as-withdraw unless given. RFC 7606 §3 (c). */
	readonly flagsRemedy?: Remedy;
	/** From such a peer the attribute is dropped without a look at its flags or value. */
	readonly refused?: Refusal;
	/**
	 * What is wrong with the value at `[start, end)`. Allocates nothing. This alone judges; both
	 * decoders ask it.
	 */
	check(bytes: Uint8Array, start: number, end: number, context: PacketContext): Fault | undefined;
	/**
	 * Is something in the value at `[start, end)`, which `check` let pass, that goes no further?
	 * Allocates little.
	 */
	untidy?(bytes: Uint8Array, start: number, end: number): boolean;
	/** The value of bytes that `check` let pass. */
	decode(reader: Reader, context: PacketContext): Value;
	encode(writer: Writer, value: Value, context: PacketContext): void;
}

/** Why an attribute is malformed. The subcode matters only where the remedy becomes a reset. */
export function fault(remedy: Remedy, text: string, subcode: number = UpdateSubcode.attributeLengthError): Fault {
	return { remedy, subcode, text };
}
