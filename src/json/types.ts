/**
 * A JSON value whose integers keep every digit: those beyond 2^53 are `bigint`, all others
 * `number`.
 */
export type JsonValue = null | boolean | number | bigint | string | JsonArray | JsonObject;

/** A JSON array. Immutable: a change makes a new array. */
export type JsonArray = readonly JsonValue[];

/** A JSON object. Immutable: a change makes a new object. */
export interface JsonObject {
	readonly [key: string]: JsonValue | undefined;
}

/** Text that is not JSON; `cause` is the parser's error. */
export class JsonSyntaxError extends Error {
	override readonly name = 'JsonSyntaxError';
}
