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
