import { type JsonObject, objectAt, withAt } from '../../json/index.ts';
import type { Rules } from './types.ts';

/** What most built-in kinds have in common. */
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

/** Sets members of an object that are absent. */
export function withDefaults(object: JsonObject, path: readonly string[], defaults: JsonObject): JsonObject {
	return withAt(object, path, { ...defaults, ...objectAt(object, ...path) });
}
