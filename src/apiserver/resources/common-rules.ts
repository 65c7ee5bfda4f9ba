import { type JsonObject, objectAt, withAt } from '../../json/index.ts';
import type { Rules } from './types.ts';

/** The rules that most built-in kinds share. */
export const commonRules: Rules = {
	unconditionalUpdate: true,
	createOnUpdate: false,
	generation: false,
	statusKeepsMetadata: false,
	deleteReturnsObject: false,
	deleteCollection: true,
	nameFormat: 'subdomain',
	graceSeconds: () => 0,
	defaults: (object) => object,
	prepare: (object) => object,
	validate: () => [],
};

/** Sets absent members of an object. */
export function withDefaults(object: JsonObject, path: readonly string[], defaults: JsonObject): JsonObject {
	return withAt(object, path, { ...defaults, ...objectAt(object, ...path) });
}
