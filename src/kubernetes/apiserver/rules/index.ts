/**
 * Rules in the Common Expression Language (`x-kubernetes-validations`): what of a definition's rules does not compile, and which of them an object
 * breaks. The engine is loaded when the first rule comes by.
 */
import type { JsonObject } from '../../json/index.ts';
import type { Cause } from '../api/status.ts';
import type { Schema } from '../schema/index.ts';

/** The engine, once it is there. */
let engine: typeof import('./evaluate.ts') | undefined;

/** Loads the engine; what asks it comes later. */
export async function loadRules(): Promise<void> {
	engine ??= await import('./evaluate.ts');
}

const loaded = () => {
	if (engine === undefined) throw new Error('the engine for rules is loaded before a request is decided');
	return engine;
};

/** What of an object breaks the rules of its schema; `previous` is what is being replaced. */
export const brokenRules = (schema: Schema, object: JsonObject, previous: JsonObject | undefined): readonly Cause[] =>
	loaded().brokenRules(schema, object, previous);

/** What does not compile of a definition's rules. */
export const faultyRules = (schema: Schema, path: string): readonly Cause[] => loaded().faultyRules(schema, path);
