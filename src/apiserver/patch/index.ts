/** The patch formats of kubectl, and field management. Pure functions on values. */
export * from './field-set.ts';
export { goKind } from './go-text.ts';
export * from './json-patch.ts';
export * from './managed-fields.ts';
export * from './merge-patch.ts';
export * from './strategic.ts';
