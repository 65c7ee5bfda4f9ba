/** A JSON value whose integers keep every digit: those beyond 2^53 are `bigint`, all others `number`. */
export type JsonValue = null | boolean | number | bigint | string | JsonArray | JsonObject;

/** A JSON array; values are treated as immutable, a change makes a new one. */
export type JsonArray = readonly JsonValue[];

/** A JSON object; values are treated as immutable, a change makes a new one. */
export interface JsonObject {
	readonly [key: string]: JsonValue | undefined;
}

/** Text that is not JSON; `cause` is what the parser said. */
export class JsonSyntaxError extends Error {
	override readonly name = 'JsonSyntaxError';
}
