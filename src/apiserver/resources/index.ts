/** The served resources: names, schemas, columns and rules. */
export * from './columns.ts';
export { commonRules } from './common-rules.ts';
export * from './custom.ts';
export * from './definition-rules.ts';
export { definitionOf, loadDefinitions, loadFieldTable } from './definitions.ts';
export * from './metadata.ts';
export * from './registry.ts';
export * from './types.ts';
