/**
 * Rules in the Common Expression Language (`x-kubernetes-validations`): compiles the rules of
 * definitions and evaluates them on objects. The engine is loaded at the first use.
 */
import type { JsonObject } from '../../json/index.ts';
import type { Cause } from '../api/status.ts';
import type { Schema } from '../schema/index.ts';

/** The engine; `undefined` until it is loaded. */
let engine: typeof import('./evaluate.ts') | undefined;

/** Loads the engine. Required before the functions below. */
export async function loadRules(): Promise<void> {
	engine ??= await import('./evaluate.ts');
}

const loaded = () => {
	if (engine === undefined) throw new Error('the engine for rules is loaded before a request is decided');
	return engine;
};

/** Evaluates the rules of an object's schema; `previous` is the replaced object. */
export const brokenRules = (schema: Schema, object: JsonObject, previous: JsonObject | undefined): readonly Cause[] =>
	loaded().brokenRules(schema, object, previous);

/** The rules of a definition that do not compile. */
export const faultyRules = (schema: Schema, path: string): readonly Cause[] => loaded().faultyRules(schema, path);
